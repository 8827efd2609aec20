#!/bin/sh
# 1.37 stands in for 1.38, in two things: 1.38 treats variables strictly by default, 1.37 when it is told to; and 1.37
# refuses a file with max_reconnect_interval, which it does not know.
set -e
if [ "$1" = telegraf ]; then
  shift
  grep -v '^ *max_reconnect_interval' /etc/telegraf/telegraf.conf >/tmp/telegraf.conf
  set -- telegraf --strict-env-handling --config /tmp/telegraf.conf "$@"
fi
exec "$@"
