# The commands to remember. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help run up down test test-separate races guesses check bench chaos assets screenshots lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
DATA ?= data
WORKERS ?= 3
REPLICAS ?= 1
# Tests that start the hospital as separate services: some thirty processes, so they have a command of their own.
SEPARATE := tests/separate tests/chaos/test_chaos.py tests/chaos/test_network.py
DB ?= postgresql
TRACES ?=

help: ## Show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.installed assets ## Start the hospital with its demo (PORT=8123 DATA=./elsewhere)
	@$(BIN)/infirmary demo --port $(PORT) --data $(DATA)

up: export INFIRMARY_SERVICES__TRACES = $(TRACES)
up: $(VENV)/.services assets ## Start it as separate services (PORT, DATA, REPLICAS=2, DB=postgresql|mariadb, TRACES=http://host:4318)
	@deploy/kafka/fetch.sh build/kafka
	@$(BIN)/infirmary up --port $(PORT) --data $(DATA) --replicas $(REPLICAS) --db $(DB)

down: ## Stop what `make up` started (DATA)
	@$(BIN)/infirmary down --data $(DATA)

test: $(VENV)/.tools assets ## Everything that must hold: lint, types, imports, all tests
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest -n $(WORKERS) $(SEPARATE:%=--ignore=%)

test-separate: $(VENV)/.tools assets ## The same stories, matrix, races and pages through the gateway; a short chaos
	@$(BIN)/python -m pytest $(SEPARATE)

races: $(VENV)/.tools assets ## The races and the kills at full size: ten thousand attempts, fifty kills, three databases
	@ATTEMPTS=10000 KILLS=50 $(BIN)/python -m pytest tests/races

guesses: $(VENV)/.tools assets ## A hundred thousand guesses at passwords from one address and from a thousand (ten minutes)
	@GUESSES=100000 $(BIN)/python -m pytest tests/guesses

check: $(VENV)/.tools ## Lint, types and import contracts
	@$(BIN)/ruff check src tests bench
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.tools assets ## Measure, and write build/bench.json
	@$(BIN)/python -m bench

chaos: $(VENV)/.tools assets ## Kill and freeze processes under load (FAULTS=200 SEED=1 FROZEN=30), and judge what is left
	@$(BIN)/python -m tests.chaos build/chaos

screenshots: $(VENV)/.tools assets ## Take the README's pictures again
	@$(BIN)/python -m tests.browser.screenshots docs/screenshots

assets: $(VENV)/.installed
	@$(BIN)/python -m infirmary.web.assets.build

lock: ## Write the lock files from pyproject.toml
	@$(BIN)/uv export --quiet --no-header --no-emit-project --no-dev --output-file requirements.lock
	@$(BIN)/uv export --quiet --no-header --no-emit-project --no-dev --extra services --output-file requirements-services.lock
	@$(BIN)/uv export --quiet --no-header --no-emit-project --only-dev --output-file requirements-dev.lock

clean: ## Remove what was built (not your data)
	rm -rf $(VENV) build src/infirmary/web/static src/infirmary/web/assets/node_modules

$(VENV)/.installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Infirmary needs Python 3.11 or newer; this is " + sys.version)'
	@echo "Setting up Python packages (once, about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.services: $(VENV)/.installed requirements-services.lock
	@echo "Setting up what separate services need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-services.lock
	@touch $@

$(VENV)/.tools: $(VENV)/.services requirements-dev.lock
	@echo "Setting up the tools for tests"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
