#!/usr/bin/env bash
# The chart's images as one file, .cache/cluster/images.tar, for `ctr images import`: the base images (pulled, or stand-ins of
# tests/compose/images.sh) and ours, built from this tree. Needs a Docker engine (.ci/docker-engine.sh start).
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../../.." && pwd)
CLUSTER=$(realpath -m "$ROOT/.cache/cluster")
VERSION=$(sed -n 's/^appVersion: "\(.*\)"$/\1/p' "$ROOT/deploy/helm/fanwatch/Chart.yaml")
mkdir -p "$CLUSTER"
cd "$ROOT"

say() { printf '==> %s\n' "$*"; }

"$ROOT/tests/compose/images.sh"
if [ -n "$(docker image inspect --format '{{index .Config.Labels "fanwatch.stand-in"}}' python:3.13-slim)" ]; then
  export DOCKER_BUILDKIT=0
fi
images=()
for room in edge_manager inference predictor monitor drift simulator training; do
  image=fanwatch/${room//_/-}:$VERSION
  say "image $image: build"
  docker build -q -f "$room/Dockerfile" -t "$image" . >/dev/null
  images+=("$image")
done
for image in $(docker compose config --images | grep -E '^(eclipse-mosquitto|telegraf|influxdb|grafana/grafana):'); do
  if docker image inspect "$image" >/dev/null 2>&1; then images+=("$image"); else say "image $image: LEFT OUT, it can be neither pulled nor made here"; fi
done
say "saving ${images[*]}"
docker save -o "$CLUSTER/images.tar" "${images[@]}"
printf '%s\n' "${images[@]}" >"$CLUSTER/images"
