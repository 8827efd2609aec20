#!/usr/bin/env bash
# A Docker engine with Compose v2 for `make test-compose`, on a machine that has none.
#
#   .ci/docker-engine.sh start   nothing when an engine answers; else installs what is missing and starts one
#   .ci/docker-engine.sh stop    stops the engine that `start` started, and no other
#
# Images, containers and volumes of an engine started here lie in .cache/docker, so a second run builds nothing twice.
# Debian or Ubuntu; root or sudo. Elsewhere: install Docker by its own instructions, and this script has nothing to do.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Without links in it, which the engine refuses under its containers.
STATE=$(realpath -m "$ROOT/.cache")/docker
PID_FILE=$STATE/engine.pid
LOG=$STATE/engine.log
# The engine's sockets: a path under a deep clone would pass the 107 characters that a Unix socket may have.
EXEC_ROOT=/run/fanwatch-docker
PLUGINS=/usr/local/lib/docker/cli-plugins
COMPOSE_VERSION=v2.40.3  # of the build from source, the second way to Compose

say() { printf '==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "root or sudo is needed to $PURPOSE"; fi
}

answers() { command -v docker >/dev/null && timeout 20 docker info >/dev/null 2>&1; }

await() { # await SECONDS COMMAND...: until the command succeeds
  local until=$((SECONDS + $1)); shift
  until "$@"; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 0.5
  done
}

apt_install() {
  command -v apt-get >/dev/null || die "no Docker here, and this script can install it on Debian and Ubuntu only: see docs.docker.com/engine/install"
  PURPOSE="install Docker" as_root apt-get -qq update
  PURPOSE="install Docker" as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" >"$STATE/apt.log" 2>&1 ||
    { tail -20 "$STATE/apt.log" >&2; die "apt-get could not install: $*"; }
}

# --- Compose v2 ---------------------------------------------------------------------------------------

compose_answers() { docker compose version >/dev/null 2>&1; }

compose_of_debian() {
  # Debian 12 ships Compose 1. Trixie's package holds one program, which runs on Debian 12: it is unpacked beside the
  # system through an apt configuration of its own, so the machine's sources and packages stay as they are.
  local apt=$STATE/apt mirror
  [ -r /usr/share/keyrings/debian-archive-keyring.gpg ] || return 1
  mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true; } |
    sed -nE 's/^URIs: *([^ ]*\/debian)\/? *$/\1/p; s/^deb +(\[[^]]*\] *)?([^ ]*\/debian)\/? .*/\2/p' | head -1)
  [ -n "$mirror" ] || return 1
  mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial"
  printf 'Types: deb\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
    "$mirror" >"$apt/parts/trixie.sources"
  printf 'Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "%s/parts";\nDir::State::Lists "%s/lists";\nDir::Cache "%s/cache";\nAcquire::Check-Valid-Until "false";\nAPT::Sandbox::User "";\n' \
    "$apt" "$apt" "$apt" >"$apt/apt.conf"
  (cd "$apt" && export APT_CONFIG=$apt/apt.conf && apt-get -qq update && apt-get -qq download docker-compose) || return 1
  rm -rf "$apt/unpacked"
  dpkg-deb -x "$apt"/docker-compose_*.deb "$apt/unpacked"
  rm -f "$apt"/docker-compose_*.deb
  "$apt/unpacked/usr/libexec/docker/cli-plugins/docker-compose" version >/dev/null || return 1
  install_plugin "$apt/unpacked/usr/libexec/docker/cli-plugins/docker-compose"
}

compose_of_source() {
  command -v go >/dev/null || return 1
  say "Compose $COMPOSE_VERSION from source (two minutes)"
  mkdir -p "$STATE/compose"
  (cd "$STATE/compose" && { [ -f go.mod ] || go mod init compose; } &&
    go get -tool "github.com/docker/compose/v2/cmd@$COMPOSE_VERSION" &&
    go build -o docker-compose github.com/docker/compose/v2/cmd) >"$STATE/compose.log" 2>&1 || return 1
  install_plugin "$STATE/compose/docker-compose"
}

install_plugin() { PURPOSE="install Compose" as_root install -D -m 0755 "$1" "$PLUGINS/docker-compose"; }

need_compose() {
  compose_answers && return
  say "Docker Compose v2"
  if apt-cache show docker-compose 2>/dev/null | grep -q '^Version: 2\.'; then
    apt_install docker-compose
  elif apt-cache show docker-compose-v2 >/dev/null 2>&1; then  # its name on Ubuntu
    apt_install docker-compose-v2
  else
    compose_of_debian || compose_of_source || die "Docker Compose v2 is missing and could not be installed: see docs.docker.com/compose/install"
  fi
  compose_answers || die "Docker Compose is installed, but 'docker compose version' fails"
}

# --- the engine ---------------------------------------------------------------------------------------

start() {
  mkdir -p "$STATE"
  if answers; then
    say "Docker: an engine answers"
    need_compose
    return
  fi
  [ -z "${DOCKER_HOST:-}" ] || die "DOCKER_HOST is $DOCKER_HOST, and nothing answers there"
  command -v dockerd >/dev/null || [ -x /usr/sbin/dockerd ] || {
    say "Docker: installing Debian's docker.io"
    apt_install docker.io iptables ca-certificates
  }
  # From trixie on the client is a package of its own.
  command -v docker >/dev/null || apt_install docker-cli
  need_compose
  if [ -d /run/systemd/system ] && await 10 answers; then
    say "Docker: the package started it"
    echo unit >"$PID_FILE"
    return
  fi
  say "Docker: starting an engine (data in ${STATE#"$ROOT"/}, log in ${LOG#"$ROOT"/})"
  # In a session of its own, so that Ctrl-C on a test run does not end it before its containers are gone.
  PURPOSE="start Docker" as_root sh -c "PATH=\$PATH:/usr/sbin:/sbin exec setsid dockerd --data-root '$STATE/data' \
    --exec-root '$EXEC_ROOT' --pidfile '$PID_FILE' --host unix:///var/run/docker.sock --group '$(id -gn)'" \
    >"$LOG" 2>&1 </dev/null &
  local starter=$!
  ready_or_dead() { answers || ! kill -0 "$starter" 2>/dev/null; }
  await 90 ready_or_dead || true
  answers || { tail -15 "$LOG" >&2; die "dockerd did not come up; its whole log is $LOG"; }
}

ours() { # ours PID: whether it is the engine that start() started
  { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null | grep -qF -- "--data-root $STATE/data"
}

stop() {
  [ -f "$PID_FILE" ] || { say "Docker: no engine of ours runs"; return; }
  local pid
  pid=$(cat "$PID_FILE")
  if [ "$pid" = unit ]; then
    PURPOSE="stop Docker" as_root systemctl stop docker.socket docker.service
    rm -f "$PID_FILE"
    return
  fi
  if ours "$pid"; then
    say "Docker: stopping our engine ($pid)"
    PURPOSE="stop Docker" as_root kill -TERM "$pid"
    gone() { ! ours "$pid"; }
    await 90 gone || die "dockerd ($pid) does not stop; its log is $LOG"
  fi
  rm -f "$PID_FILE"
}

case ${1:-} in
  start | stop) "$1" ;;
  *) die "usage: .ci/docker-engine.sh start|stop" ;;
esac
