# Everything starts here, with nothing but Python 3.11 to 3.14 and make.

PYTHON ?= python3
BIN := .venv/bin
# more than cores: some tests wait for processes to end
WORKERS ?= 3

.PHONY: help install install-dev clients run test test-full test-rest lint audit bench bench-full docs lock clean

help:
	@echo "make run        start the exchange with its demo city on 127.0.0.1 (HTTP 8000, MLLP 2575)"
	@echo "make test       the test suite, at most 15 minutes on 2 cores"
	@echo "make test-full  everything at full size, at most 45 minutes"
	@echo "make clients    FHIR clients from PyPI and npm, which some tests run against the server"
	@echo "make lint       ruff, mypy --strict, import contracts"
	@echo "make audit      known vulnerabilities of the locked packages, where the service is reachable"
	@echo "make bench      benchmarks at small sizes; make bench-full at full size; BENCH=name for one"
	@echo "make docs       the generated pages under docs/"

.venv/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 14) else "Python 3.11 to 3.14 is needed; this is %d.%d. Try: make PYTHON=python3.12 run" % v)'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.installed: .venv/.python requirements.lock pyproject.toml
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

install: .venv/.installed

install-dev: .venv/.installed-dev

# FHIR clients of other people that the tests run against the server, each in an environment of its own
CLIENTS := tests/fhir_server/clients

clients: var/clients/python/.installed var/clients/node/.installed

var/clients/python/.installed: .venv/.python $(CLIENTS)/python/requirements.lock
	$(PYTHON) -m venv var/clients/python
	var/clients/python/bin/python -m pip install --disable-pip-version-check --quiet --progress-bar on --require-hashes --no-deps -r $(CLIENTS)/python/requirements.lock
	@touch $@

var/clients/node/.installed: $(CLIENTS)/node/package-lock.json
	@mkdir -p var/clients/node
	@cp $(CLIENTS)/node/package.json $(CLIENTS)/node/package-lock.json $(CLIENTS)/node/.npmrc var/clients/node
	@if command -v npm >/dev/null; then cd var/clients/node && npm ci --no-progress && touch .installed; else echo "npm is not installed: the tests of its clients are skipped"; fi

run: .venv/.installed
	$(BIN)/hie up

test: .venv/.installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-full: .venv/.installed-dev
	HIE_TEST_FULL=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# what test-full has and test has not
test-rest: .venv/.installed-dev
	HIE_TEST_FULL=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m full

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

audit: .venv/.installed-dev
	.ci/audit

bench: .venv/.installed-dev
	$(BIN)/python -m tests.benchmarks --size small $(BENCH)

bench-full: .venv/.installed-dev
	$(BIN)/python -m tests.benchmarks --size full $(BENCH)

docs: .venv/.installed-dev
	$(BIN)/python -m docs.generate

# the lock names versions and hashes for every supported Python; no registry's address
lock:
	$(BIN)/uv pip compile pyproject.toml --extra install --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra install --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o requirements-dev.lock
	$(BIN)/uv pip compile $(CLIENTS)/python/requirements.in --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o $(CLIENTS)/python/requirements.lock

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache
