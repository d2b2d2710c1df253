# make run      start everything on this machine: Redis, database, catalog, web server (http://localhost:8002)
#               open to every client that reaches it; make run SYNAPSE_AUTH=required asks for keys
#               make run PORT=9002 HOST=0.0.0.0 takes another address
# make test     run the tests; make test ARGS="tests/embedded -x" runs some of them
# make test-unit  the tests that need no server and no other program: they run anywhere
# make test-full  all tests, and the long forms of some: products of parameters whole, kill runs for minutes
# make lint     format, lint, types, import rules, plain words, Django's own checks, missing migrations
# make check    lint and test
# make chaos    kill, freeze and cut off everything for 45 minutes, on each Redis that is installed; counts what is lost
# make bench    measure beside the peers (under 15 minutes); make bench-quick takes 2
# make soak     everybody at once for five minutes: does memory stay flat?
# make attacks  hostile callers, one kind after the other: what do the others feel of them? (7 minutes)
# make install  only prepare .venv, with all that runs, tests and lints; the others prepare what they need
# make clean    remove .venv and caches; the data in var/ stays
#
# Needs Python 3.11 or newer and nothing else. PYTHON=/path/to/python chooses one.

PYTHON = python3.14 python3.13 python3.12 python3.11 python3

BIN := .venv/bin
RUN := .venv/.for-running
TESTING := .venv/.for-testing
NODE_PARTS := .venv/.for-testing-with-node
SUITE := .venv/json-schema-test-suite
BENCHING := .venv/.for-benchmarks
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
IS_NEW_ENOUGH := -c "import sys; sys.exit(sys.version_info < (3, 11))" >/dev/null 2>&1
CAN_MAKE_VENV := -c "import ensurepip, venv" >/dev/null 2>&1

# A .venv whose Python is gone (upgraded, removed) is recreated.
$(shell test -x $(BIN)/python || rm -f $(RUN) $(TESTING) $(NODE_PARTS) $(BENCHING))

.PHONY: help install run test test-unit test-full lint check chaos bench bench-quick soak attacks clean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

install: $(TESTING) $(NODE_PARTS) $(SUITE)

# For a laptop: every client that reaches it may do everything, unless SYNAPSE_AUTH is set here, in a file or in .env.
run: $(RUN)
	@SYNAPSE_AUTH_DEFAULT=open exec $(BIN)/python manage.py up

# Tests start some hundred processes: without the compiled files each would compile all of Synapse.
test: $(TESTING) $(NODE_PARTS) $(SUITE)
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest $(ARGS)

# These wait for nothing: as many at once as there are processors, each of which collects all tests for itself.
test-unit: $(TESTING) $(SUITE)
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto -m unit $(ARGS)

test-full: $(TESTING) $(NODE_PARTS) $(SUITE)
	@SYNAPSE_TESTS=full PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest $(ARGS)

lint: $(TESTING)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=client/src $(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.plain_words
	$(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run

check: lint test

chaos: $(TESTING)
	@SYNAPSE_TESTS=full $(BIN)/python -m pytest -n 0 tests/chaos tests/cluster tests/scaling tests/delivery tests/rough tests/bridges/test_surviving.py \
	  tests/acceptance/test_crashes.py $(ARGS)

bench: $(BENCHING)
	@$(BIN)/python -m benchmarks $(ARGS)

bench-quick: $(BENCHING)
	@$(BIN)/python -m benchmarks --quick $(ARGS)

soak: $(BENCHING)
	@$(BIN)/python -m benchmarks.soak $(ARGS)

attacks: $(BENCHING)
	@$(BIN)/python -m benchmarks.attacks $(ARGS)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): requirements.txt
	@$(BIN)/python $(IS_NEW_ENOUGH) || { \
	  for python in $(PYTHON); do \
	    $$python $(IS_NEW_ENOUGH) || continue; \
	    found=$$python; \
	    $$python $(CAN_MAKE_VENV) && break; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "synapse: needs Python 3.11 or newer; looked for: $(PYTHON). Name one: make run PYTHON=/path/to/python" >&2; \
	    exit 1; \
	  fi; \
	  if ! $$found $(CAN_MAKE_VENV); then \
	    echo "synapse: this Python cannot make virtual environments. On Debian and Ubuntu: sudo apt install python3-venv" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making .venv with `$$found -V` ..."; \
	  $$found -m venv --clear .venv; \
	}
	@echo "Installing what Synapse needs into .venv ..."
	@$(PIP) -r requirements.txt
	@touch $@

$(TESTING): requirements-dev.txt $(RUN)
	@echo "Installing what the tests and linters need into .venv ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@

# The guide's own snippet runs under Node in the tests; without Node that test is skipped.
$(NODE_PARTS): $(TESTING) tests/acceptance/node/package.json
	@if command -v npm >/dev/null 2>&1; then \
	  echo "Installing what the tests run under Node ..."; \
	  cd tests/acceptance/node && npm install --no-package-lock --no-audit --no-fund --silent; \
	fi
	@touch $@

# The official test suite of JSON Schema comes with the source of the package jsonschema, and not with its wheel.
$(SUITE): $(TESTING)
	@echo "Fetching the official test suite of JSON Schema ..."
	@rm -rf $@.part && mkdir $@.part
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --no-binary jsonschema --dest $@.part \
	  jsonschema==4.26.0
	@tar -xzf $@.part/jsonschema-*.tar.gz -C $@.part --strip-components=1 && rm -rf $@ && mv $@.part/json $@ && touch $@
	@rm -rf $@.part

$(BENCHING): requirements-bench.txt $(RUN)
	@echo "Installing what the benchmarks need into .venv ..."
	@$(PIP) -r requirements-bench.txt
	@touch $@
