# setup demo test up down e2e chaos bench: what each does is in README.md. Stamps make a second run of `setup` do nothing.
PYTHON ?= python3
BIN := .venv/bin
NPM_LOCKS := $(wildcard deploy/browser/package-lock.json tests/clients/package-lock.json)
NPM_STAMPS := $(NPM_LOCKS:package-lock.json=node_modules/.installed)

.PHONY: setup demo test up down e2e chaos bench

setup: .venv/.package .venv/.tools $(NPM_STAMPS)

# The tools come first: on a bare Debian they bring the venv module and npm.
.venv/.tools: deploy/tools.py deploy/kafka/pom.xml deploy/kafka/jars.sha256
	@$(PYTHON) -m deploy.local setup
	@mkdir -p .venv && touch $@

.venv/.test-tools: .venv/.tools
	@$(PYTHON) -m deploy.local setup-tests
	@touch $@

.venv/.dependencies: requirements.lock | .venv/.tools
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing the locked Python packages"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv/.package: pyproject.toml .venv/.dependencies
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

%/node_modules/.installed: %/package-lock.json | .venv/.tools
	@if command -v npm > /dev/null; then echo "installing the npm packages of $*" && npm ci --silent --prefix $* && touch $@; \
	else echo "$*: npm is missing, so its packages are left out"; fi

demo: setup
	@$(BIN)/handraise demo $(ARGS)

test: setup .venv/.test-tools
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -m "not chaos_long"

up: setup
	@$(PYTHON) -m deploy.local up

down:
	@$(PYTHON) -m deploy.local down

e2e: setup .venv/.test-tools
	@$(BIN)/python -m pytest tests/e2e tests/clients

chaos: setup .venv/.test-tools
	@$(BIN)/python -m pytest tests/chaos -m chaos_long --timeout 0

bench: setup
	@$(BIN)/python -m bench
