# Every target that people and CI use. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
PACKAGES := protos protos/runtime gateway intent-service llm-service conversation-service kommo-service
SOURCES := gateway/src intent-service/src llm-service/src conversation-service/src kommo-service/src protos/runtime/src
STAMP := $(VENV)/.ready
.DEFAULT_GOAL := help
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c

.PHONY: help setup protos run test check bench migrate clean lint types imports contracts deploy-check intent-model eval-intent floor-runs fuzz fault-table

help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make the environment in .venv with everything in it

$(STAMP): constraints.txt $(addsuffix /pyproject.toml,$(PACKAGES)) protos/hatch_build.py
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is needed; name another with make PYTHON=..."; exit 1; }
	echo "setup: environment in $(VENV)"
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -E '^uv==' constraints.txt)"
	echo "setup: packages (about a minute the first time)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r constraints.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt $(addprefix -e ./,$(PACKAGES))
	touch $(STAMP)

protos: setup ## Make the stubs again from the .proto files
	@$(BIN)/python protos/hatch_build.py

run: setup protos intent-model ## Start the whole mesh and the simulator on this machine
	@exec $(BIN)/python deploy/local/run.py

migrate: setup ## Bring the database named by DATABASE_URL (default: var/mesh.db) to the newest schema
	@$(BIN)/python -m conversation_service.migrate

test: setup protos intent-model ## Run the whole suite, PostgreSQL included
	@echo "test: the suite starts its own PostgreSQL and whole meshes; about eight minutes on two cores"
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

check: lint types imports contracts deploy-check ## Everything else that must hold

lint: setup
	@echo "check: ruff"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup protos
	@echo "check: mypy --strict"
	$(BIN)/mypy $(SOURCES)

imports: setup protos
	@echo "check: import rules"
	$(BIN)/lint-imports

contracts: setup
	@echo "check: buf lint, format and breaking"
	cd protos
	../$(BIN)/buf lint
	../$(BIN)/buf format --diff --exit-code
	if [ -f ../tests/contract/released/kommomesh.binpb ]; then ../$(BIN)/buf breaking --against ../tests/contract/released/kommomesh.binpb; fi

deploy-check: setup ## Render and validate the manifests offline
	@echo "check: manifests and Dockerfiles"
	$(BIN)/python deploy/check.py

bench: setup protos intent-model ## Measure the mesh; prints ratios of one run
	@$(BIN)/python tests/load/bench.py

N ?= 1000
SEED ?= 1

floor-runs: setup protos ## Race people against replies in flight in N random runs (SEED= repeats them)
	@$(BIN)/python tests/load/floor_runs.py --runs $(N) --seed $(SEED)

FUZZ_SECONDS ?= 600

fuzz: setup protos ## Feed hostile bodies to the parsers and a gateway for ten minutes (FUZZ_SECONDS=, SEED=)
	@$(BIN)/python tests/load/fuzz_intake.py --seconds $(FUZZ_SECONDS) --seed $(SEED)

fault-table: setup protos ## Run the cases of delivery faults over a whole mesh and print what became of each
	@PYTHONPATH=tests:deploy/local $(BIN)/python -m support.faults.table

include intent-service/intent.mk

clean: ## Remove the environment, stubs and everything built
	@rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find protos/kommomesh -name '*_pb2*.py*' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
