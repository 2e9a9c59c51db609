# The one entry point for people and CI. Logic lives in scripts/ and in `python -m local`.
PY := .venv/bin/python
SCRIPTS := local/gateway local/realtime tests/realtime/client.mjs tests/realtime/clock.mjs tests/browser/audit.js
FUNCTIONS := supabase/functions
NPM := .venv/bin/npm --prefix examples/dashboard run --silent
SAY := echo check:
# What CI checks beside the tests, side by side, each one's words together.
CHECKS := check-format check-lint-python check-lint-scripts check-lint-dashboard check-lint-sql \
  check-types-python check-types-functions check-types-dashboard
IN_ORDER := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
# Compiled modules are kept, also where the machine asks Python not to: a start costs a third of it.
export PYTHONDONTWRITEBYTECODE :=
export DENO_TLS_CA_STORE ?= mozilla,system
.DEFAULT_GOAL := help
.PHONY: help setup setup-demo setup-test demo test test-hosted test-repeat test-fuzz check up down bench bench-peers day fmt lint types $(CHECKS) \
  test-unit test-db test-functions test-system test-browser

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what all of this needs, the tests included (idempotent; YES=1 asks nothing)
	@scripts/setup.sh

setup-demo:
	@scripts/setup.sh demo

setup-test:
	@scripts/setup.sh test

demo: setup-demo ## Run the whole system with sales arriving; DURATION=60 checks its promises and ends
	@$(PY) -m local.demo $(if $(DURATION),--duration $(DURATION))

test: setup-test ## Run every test; LOAD=8 runs them beside eight busy loops
	@scripts/test.sh

test-hosted: setup-test ## Test on an external stack: STACK=.env.hosted SUITE=browser EMPTY=1
	@$(PY) -m tests.hosted run $(or $(STACK),.env.hosted) $(if $(EMPTY),--empty) $(if $(SUITE),-- tests/$(SUITE))

test-repeat: setup-test ## Hunt tests that fail now and then: N=5 SUITE=system
	@N=$(or $(N),5) scripts/test.sh $(SUITE)

test-fuzz: setup-test ## Mangle many pages and events: N=200000
	@FUZZ=$(or $(N),200000) $(PY) -m pytest -q -n 2 tests/property/test_many_mangled_pages.py tests/database/test_many_mangled_events.py

check: setup-test ## Run what CI runs: format, lint, types, SQL lint and advisors, all tests
	@code=0; $(MAKE) --no-print-directory --keep-going --jobs=3 $(IN_ORDER) $(CHECKS) || code=1; \
	$(MAKE) --no-print-directory test || code=1; exit $$code

up: setup-demo ## Start the local stack and apply all migrations; settings go to .local/stack.env
	@$(PY) -m local up

down: ## Stop the local stack; RESET=1 also deletes its data
	@[ ! -x $(PY) ] || $(PY) -m local down $(if $(RESET),--reset)

bench: setup-test ## Run the benchmarks and print one table of ratios
	@$(PY) -m benchmarks

bench-peers: setup-test ## Measure other queues and loaders beside the engine, on a durable server; installs them apart
	@$(PY) -m benchmarks.peers

day: setup-demo ## Play a day of fifty creators, check its figures and what it costs; CREATORS, HOURS, FROM, KILLS, BACKFILL change it
	@$(PY) -m benchmarks.day $(if $(KILLS),--kills $(KILLS)) $(if $(BACKFILL),--backfill $(BACKFILL)) \
	  $(if $(CREATORS),--creators $(CREATORS)) $(if $(HOURS),--hours $(HOURS)) $(if $(FROM),--from $(FROM))

fmt: setup-test ## Format the code
	@.venv/bin/ruff format .
	@node_modules/.bin/deno fmt --quiet $(FUNCTIONS)
	@node_modules/.bin/deno fmt --quiet --line-width 100 $(SCRIPTS)
	@$(NPM) format

lint: $(filter check-lint-%,$(CHECKS)) ## Lint Python, JavaScript, TypeScript and shell

types: $(filter check-types-%,$(CHECKS)) ## Check types

check-format: setup-test
	@$(SAY) format; .venv/bin/ruff format --check --quiet .
	@node_modules/.bin/deno fmt --check --quiet $(FUNCTIONS)
	@node_modules/.bin/deno fmt --check --quiet --line-width 100 $(SCRIPTS)

check-lint-python: setup-test
	@$(SAY) lint of Python; .venv/bin/ruff check --quiet .

check-lint-scripts: setup-test
	@$(SAY) lint of TypeScript, JavaScript and shell; node_modules/.bin/deno lint --quiet $(FUNCTIONS) $(SCRIPTS)
	@shellcheck scripts/*.sh scripts/*/*.sh tests/setup/fakes/* .ci/run

check-lint-dashboard: setup-test
	@$(SAY) lint of the dashboard; $(NPM) lint

check-lint-sql: setup-test
	@$(SAY) SQL lint and advisors; $(PY) -m local.sql_lint --dir .local/sql-lint --port 25921

check-types-python: setup-test
	@$(SAY) types of Python; .venv/bin/mypy

check-types-functions: setup-test
	@$(SAY) types of the functions; for config in $(FUNCTIONS)/*/deno.json; do \
	  node_modules/.bin/deno check --quiet --config "$$config" "$${config%/*}"/*.ts || exit 1; done

check-types-dashboard: setup-test
	@$(SAY) types of the dashboard; $(NPM) types

test-unit: setup-test ## Run the tests that need no stack
	@scripts/test.sh unit

test-db: setup-test ## Run the database tests
	@scripts/test.sh db

test-functions: setup-test ## Run the Edge Functions' and the dashboard's tests
	@scripts/test.sh functions

test-system: setup-test ## Run the tests of the whole system
	@scripts/test.sh system

test-browser: setup-test ## Run the tests of the dashboard in a browser
	@scripts/test.sh browser
