# The commands of this repository. `make` alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# python3.11 where it is installed, else any python3 that is new enough; PY=... chooses.
PY ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
PORT ?= 8000
ARGS ?=
BIN := .venv/bin
UV_VERSION := 0.13.8
JS := tests/contracts/js
export UV_PYTHON_DOWNLOADS := never

# What `make lint` checks is the configuration of a production installation; nothing of it is contacted.
PRODUCTION := SECRET_KEY=a-lint-run-signs-nothing-but-needs-a-key-of-decent-length-9f8e7d6c5b4a \
	ALLOWED_HOSTS=flags.example.org CSRF_TRUSTED_ORIGINS=https://flags.example.org HTTPS=1 \
	DATABASE_URL=postgres://flagsite@database.example.org/flagsite REDIS_URL=redis://redis.example.org:6379/0
# Hosts of package registries and home folders have no place in tracked files (brackets keep this line out of its own net).
UNWANTED := (py[p]i\.org|files\.pythonh[o]sted|registry\.npm[j]s|deb[.]debia[n]\.org|/h[o]me/[a-z]|/r[o]ot/|/U[s]ers/[A-Za-z])

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: .venv/.stamp ## Start the demo: web, stream, worker, beat and a sample service (PORT=8000)
	@DEMO=1 exec $(BIN)/python manage.py demo --port $(PORT)

.PHONY: demo-reset
demo-reset: ## Throw the demo's data away
	@if [ -f var/demo.pid ] && kill -0 "$$(cat var/demo.pid)" 2>/dev/null; then \
		echo "The demo is running (process $$(cat var/demo.pid)). Stop it with Ctrl-C first, then run make demo-reset again."; \
		exit 1; \
	fi
	@rm -rf var
	@echo "The demo's data is gone. make demo starts over."

.PHONY: test
test: .venv/.stamp js ## Run every test, with a database on SQLite and on PostgreSQL + Valkey (ARGS="tests/flags -x")
	@$(BIN)/python -m tests.run $(ARGS)

# Without node, or without the network, the run goes on and names at its end what it could not test.
.PHONY: js
js: ## Install the JavaScript SDKs for the contract tests
	@if [ -f $(JS)/package.json ] && ! command -v npm >/dev/null; then \
		echo "npm is not installed: the JavaScript SDK tests will not run."; \
	elif [ -f $(JS)/package.json ] && ! cmp -s $(JS)/package-lock.json $(JS)/node_modules/.locked; then \
		echo "Installing the JavaScript SDKs ..."; \
		(cd $(JS) && npm ci --no-audit --no-fund --loglevel=error && cp package-lock.json node_modules/.locked) \
		|| echo "npm ci failed: the JavaScript SDK tests will not run."; \
	fi

.PHONY: lint
lint: .venv/.stamp ## Check style, types, import contracts, migrations and production settings
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@DEMO=1 $(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@folder=$$(mktemp -d) && DEMO=1 VAR_DIR=$$folder $(BIN)/python manage.py makemigrations --check --dry-run; \
		status=$$?; rm -rf "$$folder"; exit $$status
	@$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING
	@if git rev-parse --git-dir >/dev/null 2>&1 && git grep -nIE '$(UNWANTED)' -- .; then \
		echo "These tracked files name a package registry or somebody's home folder; take that out."; exit 1; \
	fi
	@echo "lint: nothing to complain about"

.PHONY: fmt
fmt: .venv/.stamp ## Format the code and mend what can be mended by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: bench
bench: .venv/.stamp ## Run the benchmarks
	@for file in benchmarks/[a-z]*.py; do \
		echo "== $$file"; $(BIN)/python -m "benchmarks.$$(basename "$$file" .py)" || exit 1; \
	done

# The exported locks carry hashes and no addresses; uv.lock does carry them, so it stays out of the repository.
.PHONY: lock
lock: .venv/.stamp ## Resolve pyproject.toml again and write requirements/*.lock
	$(BIN)/uv lock --upgrade
	$(BIN)/uv export -q --frozen --no-header --no-emit-project --no-emit-index-url --all-groups -o requirements/dev.lock
	$(BIN)/uv export -q --frozen --no-header --no-emit-project --no-emit-index-url --no-default-groups -o requirements/run.lock
	@rm -f uv.lock

.PHONY: clean
clean: ## Remove the virtual environment and caches; the demo's data stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache $(JS)/node_modules

.venv/.stamp: requirements/dev.lock
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Flagsite needs Python 3.11 or newer and '$(PY)' is not that. Install python3.11, or name one: make PY=/path/to/python"; \
		exit 1; }
	@$(PY) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PY)' cannot create virtual environments. On Debian and Ubuntu: apt-get install python3.11-venv"; \
		exit 1; }
	@echo "1/2 Creating the virtual environment .venv with $$($(PY) --version) ..."
	@$(PY) -m venv .venv
	@echo "2/2 Installing $$(grep -c == $<) locked packages, about half a minute the first time ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check "uv==$(UV_VERSION)" \
		&& $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes --compile-bytecode -r $< \
		|| { echo "    uv could not install them; trying pip, one to two minutes ..."; \
			$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $<; }
	@touch $@
