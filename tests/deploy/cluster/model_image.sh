#!/usr/bin/env bash
# An image as `model.image` of the chart names one: version 2 of the fan's model, hardly trained so that the pipeline can make a better one,
# signed with a key of this machine's, in .cache/cluster/model.tar. The key's public half, which the chart is told, lies beside it.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../../.." && pwd)
CLUSTER=$(realpath -m "$ROOT/.cache/cluster")
FANWATCH=$ROOT/.venv/bin/fanwatch
mkdir -p "$CLUSTER"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ -e "$CLUSTER/keys/model-signing.key" ] || "$FANWATCH" model keygen --out "$CLUSTER/keys"
cd "$work" # where training leaves its report
"$FANWATCH" train --out "$work/bundle" --version 2 --rows 1000 --epochs 2 --seed 9
rm -rf "$work/bundle/report"
"$FANWATCH" model sign "$work/bundle" --key "$CLUSTER/keys/model-signing.key"
printf 'FROM python:3.13-slim\nCOPY bundle /bundle\n' >"$work/Dockerfile"
DOCKER_BUILDKIT=0 docker build -q -t fanwatch/model-fan:2 "$work" >/dev/null
docker save -o "$CLUSTER/model.tar" fanwatch/model-fan:2
