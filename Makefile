# Fanwatch. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
UV_VERSION := 0.9.0
export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON ?= $(PYTHON)

UV := .cache/uv/bin/uv
SERVERS := .cache/servers/bin
say = @printf '\n== %s\n' "$(1)"

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# -- environments -----------------------------------------------------------------------------------

$(UV):
	$(call say,uv: the package installer$(comma) in .cache/uv)
	@$(PYTHON) -m venv .cache/uv
	@.cache/uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=$(UV_VERSION)'

.venv/.synced: pyproject.toml uv.lock | $(UV)
	$(call say,Python environment for development$(comma) in .venv)
	@$(UV) sync --quiet --frozen --all-extras
	@touch $@

.venv-demo/.synced: pyproject.toml uv.lock | $(UV)
	$(call say,Python environment of the demo$(comma) in .venv-demo)
	@UV_PROJECT_ENVIRONMENT=.venv-demo $(UV) sync --quiet --frozen --extra demo --no-default-groups --compile-bytecode
	@touch $@

comma := ,

.PHONY: servers
servers: ## the real Mosquitto, Telegraf and InfluxDB for the tests, in .cache/servers
	$(call say,real servers for the tests)
	@testbed/install.sh

.PHONY: browser
browser: ## Chromium for the test of the live page
	$(call say,Chromium for the test of the live page)
	@tests/browser/install.sh

# -- for those who try, test and develop -------------------------------------------------------------

.PHONY: demo
demo: .venv-demo/.synced ## the stack as processes, no Docker: make demo [DURATION=20]
	@exec .venv-demo/bin/python -m demo $(if $(DURATION),--duration $(DURATION))

.PHONY: lint
lint: .venv/.synced ## ruff, mypy strict, import rules
	$(call say,ruff)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	$(call say,mypy)
	@.venv/bin/mypy
	$(call say,import rules)
	@.venv/bin/lint-imports

.PHONY: test
test: lint servers browser ## everything that needs no Docker, against the real servers
	$(call say,tests)
	@.venv/bin/pytest --numprocesses 3 --dist loadfile  # three on two cores: most of them wait for a server

.PHONY: test-compose
test-compose: .venv/.synced servers ## the real docker-compose.yml on a Docker engine
	$(call say,docker-compose.yml on a Docker engine)
	@tests/compose/run.sh

.PHONY: test-training-image
test-training-image: .venv/.synced ## the pipeline in its own image, on a Docker engine: 2 GB, several minutes
	$(call say,the pipeline in its own image on a Docker engine)
	@TESTS=tests/compose/training_image tests/compose/run.sh

.PHONY: test-cluster
test-cluster: .venv/.synced servers ## the Helm chart on a real one-node Kubernetes, root and Docker, a quarter of an hour
	$(call say,the Helm chart on a one-node Kubernetes)
	@tests/deploy/cluster/run.sh

.PHONY: bench-sizing
bench-sizing: .venv/.synced servers ## bridged brokers and stored bytes, and the tables of docs/sizing.md anew
	@.venv/bin/python -m benchmarks.sizing

.PHONY: bench
bench: .venv/.synced servers ## speed, beside what could be used instead, a quarter of an hour: make bench [ARGS="--rate 150"]
	@.venv/bin/fanwatch bench $(ARGS)

.PHONY: bench-full
bench-full: .venv/.synced servers ## every measure of speed, a million messages among them: most of an hour
	@.venv/bin/fanwatch bench --full --rounds 3

.PHONY: chaos
chaos: .venv/.synced servers ## kill, hang, fill, cut, and look for every reading: make chaos [CASES=1,6-8] [DURATION=180] [SEED=7]
	@.venv/bin/fanwatch chaos $(if $(CASES),--cases $(CASES)) $(if $(DURATION),--duration $(DURATION)) $(if $(SEED),--seed $(SEED))

.PHONY: chaos-ci
chaos-ci: .venv/.synced servers ## three minutes of it, on processes, with its outcome in reports/
	@.venv/bin/fanwatch chaos --on processes --cases 1-6,9-13 --duration 180 --out reports

IMAGES := simulator predictor inference monitor drift edge-manager pipeline

.PHONY: sbom
sbom: | $(UV) ## what each image of ours holds, as CycloneDX 1.5 in reports/sbom
	@mkdir -p reports/sbom
	@for image in $(IMAGES); do $(UV) export --quiet --frozen --no-default-groups --extra $$image \
	  --preview-features sbom-export --format cyclonedx1.5 --output-file reports/sbom/$$image.cdx.json >/dev/null; done
	@ls reports/sbom

.PHONY: audit
audit: | $(UV) ## known vulnerabilities in the locked packages; fails where it cannot find out
	@$(PYTHON) .ci/audit.py

.PHONY: pin-images
pin-images: ## write docker-compose.digests.yml: others' images by digest, as their registries say now
	@$(PYTHON) .ci/pin_images.py

.PHONY: train
train: .venv/.synced ## train the fan model anew, on seeded generated data
	@.venv/bin/fanwatch train

.PHONY: studies
studies: .venv/.synced ## how good the diagnosis is on simulated fans, and the gate, into docs/studies
	@.venv/bin/fanwatch evaluate health
	@.venv/bin/fanwatch evaluate wear
	@.venv/bin/fanwatch evaluate backtest
	@.venv/bin/fanwatch evaluate gate

.PHONY: schema
schema: .venv/.synced ## write docs/schema from the contract
	@.venv/bin/python -m docs.generate_schema

.PHONY: screenshots
screenshots: .venv/.synced servers browser ## write the README's screenshots anew
	@FANWATCH_SCREENSHOTS=1 .venv/bin/pytest tests/stack/test_live_page.py

.PHONY: clean
clean: ## remove what was built and installed here
	@rm -rf .venv .venv-demo .cache .demo
