#!/usr/bin/env bash
# make test-compose: the shipped docker-compose.yml on a Docker engine. Arguments go to pytest; TESTS names another folder.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
PYTHON=${PYTHON:-$ROOT/.venv/bin/python}
cd "$ROOT"

say() { printf '==> %s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

command -v docker >/dev/null || die "test-compose needs Docker, and there is none: .ci/docker-engine.sh start installs and starts it"
timeout 30 docker info >/dev/null 2>&1 || die "test-compose needs a Docker engine, and none answers: .ci/docker-engine.sh start starts one"
docker compose version >/dev/null 2>&1 || die "test-compose needs Docker Compose v2: .ci/docker-engine.sh start installs it"
[ -x "$PYTHON" ] || die "no Python environment at $PYTHON: make env, or name one in PYTHON"

say "base images"
"$HERE/images.sh"
# On stand-ins the classic builder: BuildKit would ask the registry that cannot be reached about them.
if [ -n "$(docker image inspect --format '{{index .Config.Labels "fanwatch.stand-in"}}' python:3.13-slim)" ]; then
  export DOCKER_BUILDKIT=0
fi
docker image inspect grafana/grafana:13.2.3 >/dev/null 2>&1 ||
  say "GRAFANA IS LEFT OUT of this run: its image can be neither pulled nor made here"
TESTS=${TESTS:-tests/compose/engine}
say "$TESTS: build, up, test, down"
exec "$PYTHON" -m pytest "$TESTS" --timeout=900 "$@"
