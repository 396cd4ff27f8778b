# What one does with this repository. Needs make and a Python of 3.11 or later, nothing else: `make help`.

# The Python that makes the virtual environment: the first of these that is new enough, or PYTHON=… from outside.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
RUN := $(VENV)/bin/python
LOCK := requirements/dev.txt
COMPILE := $(RUN) -m piptools compile --allow-unsafe --generate-hashes --quiet --strip-extras \
	--no-emit-find-links --no-emit-index-url --no-emit-options --no-emit-trusted-host

.DEFAULT_GOAL := help
.PHONY: help setup demo up down status token compose-up compose-demo compose-down test test-containers lint format types schemas schemas-check schemas-release schemas-register documents bench audit coverage lock

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv from the hashed lock; does nothing while the lock is the installed one
	@cmp -s $(LOCK) $(VENV)/installed.txt || $(MAKE) --no-print-directory $(VENV)/installed.txt

.PHONY: $(VENV)/installed.txt
$(VENV)/installed.txt:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "error: no Python of 3.11 or later found; name one with PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo "error: $(PYTHON) cannot make a virtual environment (on Debian: install python3-venv)"; exit 1; }
	@echo "installing what $(LOCK) names into $(VENV) ..." >&2
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@cp $(LOCK) $@

demo: setup ## Show the saga on real servers, prove it, and leave nothing behind (ARGS=--keep keeps it running)
	@$(RUN) -m deploy.local demo $(ARGS)

up: setup ## Start PostgreSQL, Kafka, the services and a mail sink (ARGS="--port-order 8001 …")
	@$(RUN) -m deploy.local up $(ARGS)

down: setup ## End what `make up` started, also after a crash; data goes unless ARGS=--keep-data
	@$(RUN) -m deploy.local down $(ARGS)

status: setup ## Show the processes of the running stack
	@$(RUN) -m deploy.local status

token: setup ## Print a token for the running stack (ROLE=admin ARGS="--sub … --email …")
	@$(RUN) -m deploy.local token --role $(or $(ROLE),admin) $(ARGS)

compose-up: setup ## Start the whole system in containers; return when all of them are healthy (needs Docker)
	@$(RUN) -m deploy.containers up

compose-demo: setup ## Play the demo's story in the containers, and prove it
	@$(RUN) -m deploy.containers demo $(ARGS)

compose-down: setup ## Remove the containers, their network and their data (ARGS=--keep-data keeps the data)
	@$(RUN) -m deploy.containers down $(ARGS)

test: setup ## Run the tests on real servers (T=path to choose, ARGS for pytest)
	@$(RUN) -m pytest $(T) $(ARGS)

test-containers: setup ## Run the integration tests on PostgreSQL and Kafka in containers (needs Docker)
	@TEST_SERVERS=containers $(RUN) -m pytest $(or $(T),tests/integration) $(ARGS)

lint: setup ## Check style and format
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .

format: setup ## Format the code
	@$(RUN) -m ruff format .

types: setup ## Check types
	@$(RUN) -m mypy

schemas: setup ## Generate contracts.py and ids.json from the event schemas
	@$(RUN) -m schemas generate

schemas-check: setup ## Fail when generated files are stale or a released schema changed
	@$(RUN) -m schemas check

schemas-release: setup ## Freeze the event schemas as they are: from then on only compatible changes
	@$(RUN) -m schemas release

schemas-register: setup ## Register the event schemas in the registry of SCHEMA_REGISTRY_URL (ARGS="--url …")
	@$(RUN) -m schemas register $(ARGS)

documents: setup ## Write what docs/ says of the code: OpenAPI, AsyncAPI, events, problem codes
	@$(RUN) -m deploy.documents $(ARGS)

bench: setup ## Measure the saga, the API and low load beside a textbook (ARGS="--part drain")
	@$(RUN) -m tests.benchmark $(ARGS)

audit: setup ## Prove the books of orders and stock of the running stack
	@failed=0; for service in order inventory; do \
		$(RUN) -m deploy.local run $$service audit || failed=1; done; exit $$failed

coverage: setup ## Run the tests with coverage, processes that they start included (T=path to choose)
	@$(RUN) -m coverage erase
	@$(RUN) -m coverage run -m pytest $(T) $(ARGS)
	@$(RUN) -m coverage combine --quiet
	@$(RUN) -m coverage report --skip-covered --show-missing

lock: setup ## Pin the dependencies anew after a change of requirements/*.in (ARGS=--upgrade takes newer ones)
	@$(COMPILE) $(ARGS) --output-file=requirements/runtime.txt requirements/runtime.in
	@$(COMPILE) $(ARGS) --output-file=requirements/dev.txt requirements/dev.in
