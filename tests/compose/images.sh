#!/usr/bin/env bash
# The images that docker-compose.yml and the Dockerfiles start from. Pulled where an image registry can be reached. Where
# none can, made here under the same names: Debian's Python, and the servers that testbed/install.sh builds, each
# with the paths, the user and the entry point of the official image. Grafana cannot be had that way.
#
# A stand-in carries the label fanwatch.stand-in with the digest of what it was made from, so none is made twice.
# Remove them:  docker rmi -f $(docker images -q --filter label=fanwatch.stand-in)
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
WORK=$ROOT/.cache/compose
SERVERS=${FANWATCH_SERVERS_DIR:-$ROOT/.cache/servers}
BASE=python:3.13-slim

say() { printf '==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

label_of() { docker image inspect --format '{{index .Config.Labels "fanwatch.stand-in"}}' "$1" 2>/dev/null; }
digest() { cat "$@" | sha256sum | cut -c1-16; }

pulled() { # pulled IMAGE: whether the official one is here, or comes when asked for
  if docker image inspect "$1" >/dev/null 2>&1 && [ -z "$(label_of "$1")" ]; then return 0; fi
  [ -z "${NO_REGISTRY:-}" ] || return 1
  say "image $1: pulling"
  timeout 900 docker pull -q "$1" >/dev/null 2>"$WORK/pull.log" && return 0
  say "no image registry can be reached ($(tail -c 120 "$WORK/pull.log" | tr -d '\n')); making stand-ins"
  NO_REGISTRY=1
  return 1
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

base() {
  local made_from rootfs
  made_from=$(digest "$HERE/stand_ins/python/packages" "$0" "$(authorities)")
  [ "$(label_of $BASE)" != "$made_from" ] || { say "image $BASE: stand-in ready"; return 0; }
  say "image $BASE: stand-in from Debian 13 (a minute)"
  command -v debootstrap >/dev/null || {
    as_root apt-get -qq update && as_root apt-get -qq -y --no-install-recommends install debootstrap >"$WORK/apt.log" 2>&1
  } || die "debootstrap is needed to make a stand-in for $BASE; see $WORK/apt.log"
  rootfs=$WORK/rootfs
  as_root rm -rf "$rootfs"
  as_root debootstrap --variant=minbase --include="$(paste -sd, "$HERE/stand_ins/python/packages")" trixie "$rootfs" \
    >"$WORK/debootstrap.log" 2>&1 || { tail -5 "$WORK/debootstrap.log" >&2; die "debootstrap failed; its log is $WORK/debootstrap.log"; }
  # The official image has its Python as `python`, and pip may install there.
  as_root ln -sf python3 "$rootfs/usr/bin/python"
  as_root rm -rf "$rootfs"/usr/lib/python3*/EXTERNALLY-MANAGED "$rootfs"/var/cache/apt/archives/*.deb "$rootfs"/var/lib/apt/lists/*
  # This machine's certificate authorities: a package registry may be reached through a mirror that only they vouch for.
  as_root cp "$(authorities)" "$rootfs/etc/ssl/certs/machine.crt"
  as_root tar -C "$rootfs" -c . | docker import \
    --change "LABEL fanwatch.stand-in=$made_from" \
    --change "ENV PIP_CERT=/etc/ssl/certs/machine.crt SSL_CERT_FILE=/etc/ssl/certs/machine.crt" \
    --change 'CMD ["python3"]' - "$BASE" >/dev/null
  as_root rm -rf "$rootfs"
}

authorities() { echo "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}"; }

server() { # server NAME IMAGE: the stand-in of a server, from the program that the other tests run
  local name=$1 image=$2 context=$WORK/$1 made_from
  made_from=$(digest "$HERE/stand_ins/$name"/* "$SERVERS/stamps/$name" <(docker image inspect --format '{{.Id}}' $BASE))
  [ "$(label_of "$image")" != "$made_from" ] || { say "image $image: stand-in ready"; return 0; }
  say "image $image: stand-in from $SERVERS/bin"
  rm -rf "$context" && mkdir -p "$context/lib"
  cp "$HERE/stand_ins/$name"/* "$context/"
  case $name in
    mosquitto) cp "$SERVERS"/bin/mosquitto* "$context/" && cp -P "$SERVERS"/lib/*.so* "$context/lib/" ;;
    telegraf) cp "$SERVERS/bin/telegraf" "$context/" ;;
    influxdb) cp "$SERVERS/bin/influxd" "$context/" ;;
  esac
  DOCKER_BUILDKIT=0 docker build -q --label "fanwatch.stand-in=$made_from" -t "$image" "$context" >"$WORK/$name.log" 2>&1 ||
    { tail -20 "$WORK/$name.log" >&2; die "the stand-in of $image did not build"; }
  rm -rf "$context"
}

mkdir -p "$WORK"
images=$(cd "$ROOT" && docker compose config --images | grep -E '^(eclipse-mosquitto|telegraf|influxdb|grafana/grafana):')
missing=()
servers=()
for image in $BASE $images; do
  pulled "$image" || missing+=("$image")
done
for image in "${missing[@]}"; do
  case $image in
    "$BASE") base ;;
    grafana/*) say "image $image: LEFT OUT, no stand-in can be made of it; the stack runs without Grafana" ;;
    *) servers+=("$image") ;;
  esac
done
if [ ${#servers[@]} -gt 0 ]; then
  "$ROOT/testbed/install.sh"
  for image in "${servers[@]}"; do
    name=${image%%:*}
    server "${name#eclipse-}" "$image"
  done
fi
