#!/bin/sh
# The official one does more only for those who start as root.
set -e
exec "$@"
