#!/usr/bin/env bash
# Builds what a one-node Kubernetes cluster is made of into .cache/cluster/bin: Kubernetes' programs, and those that K3s puts beside them,
# from the Go module proxy (about ten minutes on two cores, once), the rest from Debian. Run it again at any time.
set -euo pipefail

KUBERNETES_VERSION=v1.34.1
COREDNS_VERSION=v1.12.4
KINE_VERSION=v0.17.5
LOCAL_PATH_VERSION=v0.0.30
NETWORK_POLICIES_VERSION=v0.8.0
METRICS_SERVER_VERSION=v0.8.0

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../../.." && pwd)
CLUSTER=$(realpath -m "$ROOT/.cache/cluster")
BIN=$CLUSTER/bin
BUILD=$CLUSTER/build
mkdir -p "$BIN" "$BUILD"

say() { printf '==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

exec 9>"$CLUSTER/lock"
flock 9

debian() {
  local missing=() package
  for package in containerd runc containernetworking-plugins iptables conntrack; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  say "Debian packages: ${missing[*]}"
  as_root apt-get -qq update
  # Debian's containerd would start as a service: this cluster starts its own one.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -y --no-install-recommends install "${missing[@]}" \
    >"$BUILD/apt.log" 2>&1 || { tail -20 "$BUILD/apt.log" >&2; die "apt-get could not install: ${missing[*]}"; }
}

kubernetes() {
  # Kubernetes' own go.mod replaces its staging modules by folders of its repository, which the module proxy does not carry; each is
  # published as a module of its own.
  local module=$BUILD/kubernetes go_mod name
  local programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)
  [ "$(cat "$BIN/.kubernetes" 2>/dev/null)" != "$KUBERNETES_VERSION" ] || { say "Kubernetes $KUBERNETES_VERSION: ready"; return 0; }
  say "Kubernetes $KUBERNETES_VERSION: build (six minutes or more)"
  mkdir -p "$module"
  go_mod=$(cd "$module" && go mod download -json "k8s.io/kubernetes@$KUBERNETES_VERSION" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
  {
    printf 'module cluster\n\ngo %s\n\nrequire k8s.io/kubernetes %s\n\n' "$(sed -n 's/^go //p' "$go_mod")" "$KUBERNETES_VERSION"
    for name in $(sed -n 's/^\t\(k8s\.io\/[a-z-]*\) v0\.0\.0\( \/\/.*\)\{0,1\}$/\1/p' "$go_mod"); do
      printf 'replace %s => %s v0.%s\n' "$name" "$name" "${KUBERNETES_VERSION#v1.}"
    done
  } >"$module/go.mod"
  (cd "$module" && CGO_ENABLED=0 go build -mod=mod -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$KUBERNETES_VERSION \
      -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34" -o "$BIN/" \
      "${programs[@]/#/k8s.io/kubernetes/cmd/}") >"$BUILD/kubernetes.log" 2>&1 ||
    { tail -20 "$BUILD/kubernetes.log" >&2; die "Kubernetes did not build; the whole log is $BUILD/kubernetes.log"; }
  echo "$KUBERNETES_VERSION" >"$BIN/.kubernetes"
}

program() { # program NAME PACKAGE VERSION [CGO]: one that go install builds by itself, and calls after its folder; 1: it holds C
  [ "$(cat "$BIN/.$1" 2>/dev/null)" != "$3" ] || { say "$1 $3: ready"; return 0; }
  say "$1 $3: build"
  GOBIN=$BIN CGO_ENABLED=${4:-0} GOFLAGS=-buildvcs=false go install -trimpath -ldflags "-s -w" "$2@$3" >"$BUILD/$1.log" 2>&1 ||
    { tail -20 "$BUILD/$1.log" >&2; die "$1 did not build; the whole log is $BUILD/$1.log"; }
  [ "${2##*/}" = "$1" ] || mv "$BIN/${2##*/}" "$BIN/$1"
  echo "$3" >"$BIN/.$1"
}

command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
debian
kubernetes
program kine github.com/k3s-io/kine "$KINE_VERSION" 1
program local-path-provisioner github.com/rancher/local-path-provisioner "$LOCAL_PATH_VERSION"
program coredns github.com/coredns/coredns "$COREDNS_VERSION"
program kube-network-policies sigs.k8s.io/kube-network-policies/cmd "$NETWORK_POLICIES_VERSION"
program metrics-server sigs.k8s.io/metrics-server/cmd/metrics-server "$METRICS_SERVER_VERSION"
