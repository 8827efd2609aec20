#!/bin/sh
# What Compose asks the broker every ten seconds: is there room, has it read what it should know, and does it serve?
#
# Without the first question a full volume loses readings: the broker goes on acknowledging and keeps in its memory alone what it can
# no longer write, and a kill or a power cut takes it. So at 95 % the broker is ended while it can still write everything. Its senders
# keep their readings and send them again; Compose starts it again and again, and it stays up once there is room. Grafana alarms
# at 80 %, long before.
#
# tests/mosquitto/test_full_volume.py shows what goes wrong without it.

used=$(df -P "${FANWATCH_BROKER_DATA:-/mosquitto/data}" | awk 'NR == 2 { sub("%", "", $5); print $5 }')
if [ "$used" -ge 95 ]; then
  echo "the broker's volume is $used % full: ended before it acknowledges what it cannot keep; make room"
  kill -TERM "${FANWATCH_BROKER_PID:-1}"
  exit 1
fi

# The setup service has written since: a renewed certificate, a removed fan. Without this they would wait for somebody's SIGHUP: a
# removed fan stays in until then, and an expired certificate locks every device out. The time of the last reload is noted before it,
# so that what is written meanwhile is not missed; where it cannot be noted, nothing reloads for ever.
# tests/mosquitto/test_encrypted.py shows what goes wrong without it.
secrets=${FANWATCH_SECRETS_DIR:-/run/fanwatch}
reloaded=${FANWATCH_RELOADED_FILE:-/tmp/fanwatch-reloaded}
if [ ! -e "$reloaded" ] || [ -n "$(find "$secrets" -newer "$reloaded" -name 'mosquitto_*')" ]; then
  touch "$reloaded" && kill -HUP "${FANWATCH_BROKER_PID:-1}"
fi

# Signs in and waits for a message, so a broker that accepts connections and does nothing is unhealthy.
exec mosquitto_sub -h 127.0.0.1 -p "${FANWATCH_BROKER_PORT:-1883}" -o "$secrets/probe_options" \
  -t '$SYS/broker/uptime' -C 1 -W 4
