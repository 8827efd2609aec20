#!/bin/sh
# As the official image's: as root it gives the data to the broker's user; as another user it only starts the broker.
set -e
if [ "$(id -u)" = 0 ] && [ -d /mosquitto/data ]; then chown -R mosquitto:mosquitto /mosquitto/data || true; fi
exec "$@"
