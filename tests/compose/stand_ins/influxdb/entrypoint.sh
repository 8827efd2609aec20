#!/bin/sh
# The official one also makes users from variables with passwords in them, which Fanwatch never sets.
set -e
exec "$@"
