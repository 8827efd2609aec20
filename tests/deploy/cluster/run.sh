#!/usr/bin/env bash
# make test-cluster: programs, images, then the cluster. Root. The images need a Docker engine (.ci/docker-engine.sh start), the cluster
# none: FANWATCH_CLUSTER_IMAGES=kept takes those of the last run.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../../.." && pwd)
cd "$ROOT"

[ "$(id -u)" = 0 ] || { echo "error: a cluster makes network bridges and mounts: run this as root" >&2; exit 1; }
"$HERE/build.sh"
if [ "${FANWATCH_CLUSTER_IMAGES:-}" != kept ]; then
  timeout 30 docker info >/dev/null 2>&1 || { echo "error: no Docker engine answers: .ci/docker-engine.sh start" >&2; exit 1; }
  "$HERE/images.sh"
  "$HERE/model_image.sh"
fi
# One cluster at a time: its address and its ports are the same each time.
exec 8>.cache/cluster/run.lock
flock 8
PATH=$PATH:/usr/sbin:/usr/local/go/bin exec .venv/bin/python -m tests.deploy.cluster.run "$@"
