# Every target works from a clean clone: the environment .venv is made when it is missing or stale.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Python keeps what it compiled, whatever the caller's environment says: tests start many processes.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
READY := $(VENV)/.ready
BUILD ?= docker build
PUSH ?= docker push
# The version, which pyproject.toml has.
TAG ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# The registry of `make push`, such as registry.example.com/team; images have it in their names.
REGISTRY ?=
IMAGES := $(if $(REGISTRY),$(REGISTRY)/)linear-regressor
PREDICTOR_IMAGE ?= $(IMAGES)/predictor:$(TAG)
PREDICTOR_IMAGE_NEXT ?= $(IMAGES)/predictor:next
PIPELINE_IMAGE ?= $(IMAGES)/pipeline:$(TAG)
REGISTRY_IMAGE ?= $(IMAGES)/registry:$(TAG)
NAMESPACE ?= linear-regressor
RELEASE ?=
PORT ?= 8080
GRPC_PORT ?= 8081

# The first Python on the path that is supported; PYTHON=... names another.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && { echo $$python; break; }; done)

.PHONY: help install run serve test test-slow test-all fuzz hold lint format lock benchmark clean image push compose manifests kind e2e e2e-short e2e-lifecycle status docs

include delivery/delivery.mk

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## Make the environment .venv from the locks

$(READY): requirements/dev.txt pyproject.toml
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c '$(SUPPORTED)' || { \
		echo "linear-regressor needs Python 3.11, 3.12 or 3.13; $(or $(PYTHON),python3) is $$($(or $(PYTHON),python3) --version 2>&1)." \
		     "Name another one with: make install PYTHON=/path/to/python3.12" >&2; exit 1; }
	@rm -rf $(VENV)
	@if uv=$$(command -v uv); then \
		$$uv venv --quiet --no-python-downloads --python "$$(command -v $(PYTHON))" $(VENV); \
	else \
		$(PYTHON) -m venv $(VENV); pip="$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check"; \
		sed -n '/^uv==/,/^    #/p' requirements/dev.txt | $$pip --require-hashes -r /dev/stdin && uv=$(VENV)/bin/uv || uv=; \
	fi; \
	install="$${uv:+$$uv pip install --quiet --python $(VENV)/bin/python}"; install="$${install:-$$pip}"; \
	echo "Installing the locked packages into $(VENV) ..."; \
	$$install --require-hashes --no-deps -r requirements/dev.txt; \
	$$install --no-deps --no-build-isolation -e .
	@touch $@

run: $(READY) ## Data to served model: train, gate, register, then serve until Ctrl-C (PORT, GRPC_PORT)
	@exec $(VENV)/bin/python pipeline.py run --serve --port $(PORT) --grpc-port $(GRPC_PORT)

serve: $(READY) ## Serve the champion of the last make run, without training (PORT, GRPC_PORT, VERSION)
	@exec $(VENV)/bin/python pipeline.py serve $(VERSION) --port $(PORT) --grpc-port $(GRPC_PORT)

TEST_PROCESSES ?= auto
PYTEST := $(VENV)/bin/python -m pytest --numprocesses $(TEST_PROCESSES)

test: $(READY) ## The tests to run before each commit, with branch coverage (TEST: options for pytest)
	$(PYTEST) --dist loadfile --no-loadscope-reorder -m "not slow and not network" --cov --cov-report=term $(TEST)

# The store of compose.yaml, at the Dockerfile's version.
STORE = $(shell grep -o 'github.com/versity/[^ ]*' Dockerfile)
test-slow: $(READY) ## The other tests: long runs, fuzzing, installing from a registry (TEST: options for pytest)
	@$(WITH_TOOLS); $(call program,versitygw,$(STORE)) || echo "LEFT OUT: the run of compose.yaml; go can't build its store"
	$(PYTEST) --dist worksteal -m "slow or network" $(TEST)

test-all: test test-slow ## Both

fuzz: $(READY) ## Send 100,000 malformed and odd requests; none may get a 5xx (FUZZ: options, such as --seed 7)
	$(VENV)/bin/python -m tests.fuzz $(FUZZ)

hold: $(READY) ## Twenty replacements under load, 10,000 connections, the largest and the worst bodies (HOLD: one part)
	$(VENV)/bin/python -m tests.hold $(HOLD)

lint: $(READY) ## Formatting, lint, types, the layers of the packages, the Dockerfile and the workflows
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/hadolint Dockerfile
	$(VENV)/bin/zizmor --quiet --offline .github
	@$(WITH_TOOLS); $(call program,actionlint,$(ACTIONLINT)) 2>/dev/null || true; \
	if command -v actionlint >/dev/null; then actionlint; else echo "LEFT OUT: actionlint is neither there nor to be built by go"; fi

format: $(READY) ## Format the code, and fix what ruff can fix
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

benchmark: $(READY) ## Accuracy against scikit-learn (BENCHMARK: another one, such as training or serving)
	$(VENV)/bin/python benchmark.py $(BENCHMARK)

# One resolution for all: the smaller locks are held to the versions of the largest.
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
lock: $(READY) ## Resolve the dependencies anew (UPGRADE=--upgrade takes newer ones)
	$(COMPILE) --all-extras --group dev $(UPGRADE) pyproject.toml -o requirements/dev.txt
	$(COMPILE) --extra pipeline --extra signing -c requirements/dev.txt pyproject.toml -o requirements/pipeline.txt
	$(COMPILE) --extra predictor -c requirements/dev.txt pyproject.toml -o requirements/predictor.txt
	$(COMPILE) --extra predictor --extra signing -c requirements/dev.txt pyproject.toml -o requirements/predictor-signing.txt
	$(COMPILE) --extra predictor --extra tracing -c requirements/dev.txt pyproject.toml -o requirements/predictor-tracing.txt
	$(COMPILE) --extra predictor --extra signing --extra tracing -c requirements/dev.txt pyproject.toml -o requirements/predictor-all.txt
	$(COMPILE) -c requirements/dev.txt --group build -o requirements/build.txt
	$(COMPILE) $(UPGRADE) --group registry -o requirements/registry.txt

docs: $(READY) ## Build the site of the documents into build/site (needs npm)
	npm ci --prefix docs/tools --ignore-scripts --no-audit --no-fund --silent
	$(VENV)/bin/python docs/tools/stage.py build/docs
	$(VENV)/bin/zensical build --strict --clean

image: ## Build the images predictor, pipeline and registry (REGISTRY, TAG, BUILD)
	$(BUILD) $(BUILD_ARGS) -t $(IMAGES)/predictor:$(TAG) --target predictor .
	$(BUILD) $(BUILD_ARGS) -t $(IMAGES)/pipeline:$(TAG) --target pipeline .
	$(BUILD) $(BUILD_ARGS) -t $(IMAGES)/registry:$(TAG) --target registry .

push: ## Push them to REGISTRY, which the chart gets as image.registry (PUSH, TAG)
	@[ -n "$(REGISTRY)" ] || { echo "REGISTRY is not set: make image push REGISTRY=registry.example.com/team" >&2; exit 1; }
	$(PUSH) $(IMAGES)/predictor:$(TAG)
	$(PUSH) $(IMAGES)/pipeline:$(TAG)
	$(PUSH) $(IMAGES)/registry:$(TAG)

.env: ## Write the passwords of compose.yaml, once
	@umask 077; printf 'STORE_SECRET_KEY=%s\n' "$$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" > $@

compose: .env ## Store, registry, one run of the pipeline and the predictor, in Docker
	docker compose up --build

manifests: $(READY) ## Render chart and overlays, compare and check them (needs helm and kubectl)
	$(VENV)/bin/python -m pytest tests/manifests

kind: ## A cluster in Docker with all that make e2e needs, the images loaded (PARTS: monitoring keda pipelines)
	MORE_IMAGES="$(if $(findstring pipelines,$(PARTS)),$(PIPELINE_IMAGE) $(REGISTRY_IMAGE))" \
		tests/cluster/kind.sh $(PREDICTOR_IMAGE) $(PARTS)

# From data to a served model and back; it needs PIPELINES and S3, the addresses of Kubeflow Pipelines and its store.
LIFECYCLE := $(wildcard $(addprefix tests/cluster/test_,pipeline_runs.py retraining.py rollout_job.py rollout_ownership.py))

e2e: $(READY) ## The deployment on the cluster of KUBECONFIG, through INGRESS (E2E: options for pytest)
	PREDICTOR_IMAGE=$(PREDICTOR_IMAGE) PREDICTOR_IMAGE_NEXT=$(PREDICTOR_IMAGE_NEXT) \
		$(VENV)/bin/python -m pytest tests/cluster $(addprefix --ignore=,$(LIFECYCLE)) -v --durations=0 $(E2E)

# Helm alone, and of the rollouts one: minutes instead of an hour.
SHORT := -m short -k helm
e2e-short: ## The part of make e2e that runs in a few minutes
	@$(MAKE) e2e E2E='$(SHORT)'

e2e-lifecycle: $(READY) ## Runs of the pipeline, rollouts, canaries and rollbacks on the cluster (E2E: options for pytest)
	PREDICTOR_IMAGE=$(PREDICTOR_IMAGE) PREDICTOR_IMAGE_NEXT=$(PREDICTOR_IMAGE_NEXT) \
	PIPELINE_IMAGE=$(PIPELINE_IMAGE) REGISTRY_IMAGE=$(REGISTRY_IMAGE) \
		$(VENV)/bin/python -m pytest $(LIFECYCLE) -v --durations=0 $(E2E)

status: ## Which pod serves which version, and which one fails and why (NAMESPACE, RELEASE)
	@python3 manifests/status.py --namespace $(NAMESPACE) $(RELEASE:%=--release %)

clean: ## Remove the environment, caches and local runs
	rm -rf $(VENV) build .cache .local .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -prune -exec rm -rf {} +
