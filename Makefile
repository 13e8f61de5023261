# Everything a newcomer needs: `make demo` and `make test`. Both set themselves up.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help venv demo ui test fuzz lint lock bench docs clean

PYTHON ?= $(shell for p in python3.12 python3.11 python3.13 python3.14 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
STAMP := .venv/.installed
# Processes of tests: one more than the two cores of CI, because tests wait for servers, for children and for disks.
WORKERS ?= 3

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

venv: $(STAMP) ## the virtual environment, installed from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.14 with venv found; install one, or set PYTHON=/path/to/python." >&2; exit 1; }
	@echo "Installing into .venv with $(PYTHON) (the first time takes a minute or two) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP) ## generate payments data, materialize the example project, show the result (SIZE=500k)
	@$(BIN)/python -m feature_platform.demo --size $(or $(SIZE),500k)

ui: $(STAMP) ## Dagster's web UI and daemon over the same state
	@$(BIN)/fp ui

test: $(STAMP) ## every test
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope

fuzz: $(STAMP) ## the tests with new random examples, and more of them (SEEDS=30000 queries against the guard)
	@HYPOTHESIS_PROFILE=search FP_FUZZ_SEEDS=$(or $(SEEDS),30000) FP_FUZZ_FROM=$$(date +%s) \
		$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope

lint: $(STAMP) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: $(STAMP) ## renew requirements.lock from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-strip-extras --no-annotate --no-header --upgrade --quiet -o requirements.lock

bench: $(STAMP) ## speed and memory, JSON out
	@$(BIN)/python benchmarks/run.py

docs: $(STAMP) ## renew the generated pages
	@$(BIN)/python -m feature_platform.specs.reference docs/reference
	@$(BIN)/python -m feature_platform.governance.transforms.reference docs/reference
	@$(BIN)/python -m feature_platform.compiler.functions.reference docs/reference
	@$(BIN)/python -m feature_platform.cli.reference docs/reference/cli.md
	@$(BIN)/python -m feature_platform.cli.explain.pages docs/reference
	@$(BIN)/python -m docs.pictures.draw

clean: ## forget state and environment
	rm -rf .fp .venv
