# setup demo test up down e2e chaos bench: what each does is in README.md. Stamps make a second run of `setup` do nothing.
PYTHON ?= python3
BIN := .venv/bin
# Compiling everything at installation costs more than compiling what is imported at first use.
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check --no-compile
NPM_LOCKS := $(wildcard deploy/browser/package-lock.json tests/clients/package-lock.json)
NPM_STAMPS := $(NPM_LOCKS:package-lock.json=node_modules/.installed)
TOGETHER := $(MAKE) --silent --no-print-directory -j3

.PHONY: setup demo test up down e2e chaos bench ready-to-run ready-to-test kernel

setup:
	@$(TOGETHER) ready-to-run .venv/.dependencies $(NPM_STAMPS)

# The packages that run, not those that test: the demo is there sooner.
demo:
	@$(TOGETHER) ready-to-run
	@$(BIN)/handraise demo $(ARGS)

# Most tests wait for servers: two files at a time, each half with a Kafka and a Redis of its own.
test: ready-to-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not chaos_long"

up: .venv/.tools
	@$(PYTHON) -m deploy.local up

down:
	@$(PYTHON) -m deploy.local down

e2e: ready-to-test
	@$(BIN)/python -m pytest tests/e2e tests/clients

chaos: ready-to-test
	@$(BIN)/python -m pytest tests/chaos tests/e2e tests/gateway tests/simulation -m chaos_long --timeout 0

bench: ready-to-test
	@$(BIN)/python -m bench $(ARGS)

ready-to-run: .venv/.package kernel .venv/.kafka deploy/browser/node_modules/.installed

ready-to-test: setup
	@$(TOGETHER) .venv/.test-tools
	@$(BIN)/python -m deploy.kernel --required

# Looks by itself whether there is anything to do, and does without where there is no compiler.
kernel: .venv/.runtime
	@$(BIN)/python -m deploy.kernel

# On a bare Debian this installs what the rest is made with: venv, Maven, npm, ...
.venv/.tools: deploy/tools.py
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("$(PYTHON) is older than Python 3.11\n  where:  PATH\n  remedy: make PYTHON=/path/to/python3.11 ...")'
	@$(PYTHON) -m deploy.local tools
	@mkdir -p .venv && touch $@

.venv/.test-tools: .venv/.tools
	@$(PYTHON) -m deploy.local test-tools
	@touch $@

.venv/.kafka: deploy/kafka/pom.xml deploy/kafka/jars.sha256 | .venv/.tools
	@$(PYTHON) -m deploy.local fetch
	@touch $@

.venv/.runtime: deploy/requirements.lock | .venv/.tools
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@echo "installing the locked Python packages"
	@$(PIP) --require-hashes -r deploy/requirements.lock
	@touch $@

# Built with the locked setuptools of the environment; an isolated build would fetch whichever is newest.
.venv/.package: pyproject.toml .venv/.runtime
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dependencies: requirements.lock .venv/.package
	@echo "installing the locked Python packages of the tests"
	@$(PIP) --require-hashes -r requirements.lock
	@touch $@

%/node_modules/.installed: %/package-lock.json | .venv/.tools
	@if command -v npm > /dev/null; then echo "installing the npm packages of $*" && npm ci --silent --prefix $* && touch $@; \
	else echo "$*: npm is missing, so its packages are left out"; fi
