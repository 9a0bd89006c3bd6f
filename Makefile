# Everything runs from the checkout, in .venv. Each target may be repeated and leaves no process behind.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help
help: ## this list
	@grep -hE '^[a-z.]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z.]+):.*## /\1\t/' | expand -t 12

.venv: .venv/.done ## the virtual environment, from requirements-dev.lock
.PHONY: .venv

.venv/.done: requirements-dev.lock .ci/packages
	.ci/packages python3-venv skopeo docker-registry
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: demo
demo: .venv/.done ## replicate real images into the SWR sandbox (KEEP=1 leaves it running)
	$(BIN)/python -m adapter demo $(if $(KEEP),--keep)

.PHONY: lint
lint: .venv/.done ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: test
test: lint ## everything, with coverage; then a search for secrets in all that was printed
	.ci/packages curl docker-compose nginx redis-server tinyproxy
	mkdir -p build
	rm -rf build/output && mkdir -p build/output
	$(BIN)/coverage erase
	OUTPUT_DIR=build/output $(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term 2>&1 | tee build/output/pytest.txt
	$(BIN)/python tests/canaries.py build/output

.PHONY: conformance
conformance: .venv/.done ## OCI's conformance suite, with Go (UPDATE=1 writes its results and docs/conformance.md)
	$(if $(UPDATE),$(BIN)/python -m tests.conformance,CONFORMANCE=required $(BIN)/python -m pytest tests/conformance)

.PHONY: bench
bench: .venv/.done ## what the adapter costs, beside nginx (ROW="upload-tls head" picks rows)
	.ci/packages curl nginx
	.ci/packages gcc libc6-dev libssl-dev || true # without them curl and nginx are both ends
	mkdir -p build/bench
	OUTPUT_DIR=build/bench/output $(BIN)/python -m tests.bench $(ROW)

MUTATION := build/mutation

$(MUTATION)/venv/.done: requirements-mutation.lock .ci/packages
	.ci/packages python3-venv
	rm -rf $(MUTATION)/venv && mkdir -p $(MUTATION)
	$(PYTHON) -m venv $(MUTATION)/venv
	$(MUTATION)/venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-mutation.lock
	touch $@

.PHONY: mutation
mutation: $(MUTATION)/venv/.done ## do the unit tests of the pure modules notice changed code? (1 to 2 minutes)
	rm -rf $(MUTATION)/work && mkdir $(MUTATION)/work
	cp -r adapter tests pyproject.toml $(MUTATION)/work
	cd $(MUTATION)/work && ../venv/bin/mutmut run > ../run.txt || { tail -n 50 ../run.txt; exit 1; }
	cd $(MUTATION)/work && ../venv/bin/mutmut results --all true > ../results.txt
	cd $(MUTATION)/work && ../venv/bin/python tests/mutation.py < ../results.txt
	@echo "a mutant: cd $(MUTATION)/work && ../venv/bin/mutmut show NAME"

.PHONY: image
image: ## build the container image and try it out (as root, or with sudo); SAVE=FILE keeps it for `docker load`
	.ci/packages buildah debian-archive-keyring iproute2 mmdebstrap python3-pip
	docker/image.sh

.PHONY: format
format: .venv/.done ## rewrite the sources as ruff wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: lock
lock: ## renew requirements*.lock (needs uv)
	uv pip compile --quiet --no-strip-extras --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links pyproject.toml -o requirements.lock
	uv pip compile --quiet --no-strip-extras --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	uv pip compile --quiet --no-strip-extras --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --group mutation -c requirements-dev.lock pyproject.toml -o requirements-mutation.lock

.PHONY: clean
clean: ## everything that was made
	rm -rf .venv build dist .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
