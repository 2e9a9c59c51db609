# The one entry point for people and CI. Logic lives in scripts/ and in `python -m local`.
PY := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help setup setup-demo setup-test demo test check up down bench day fmt lint types test-unit test-db test-functions test-system test-browser

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

test: setup-test ## Run every test: unit, database, functions, system, browser
	@scripts/test.sh

check: ## Run what CI runs: format, lint, types, SQL lint and advisors, all tests
	@scripts/check.sh

up: setup-demo ## Start the local stack and apply all migrations; settings go to .local/stack.env
	@$(PY) -m local up

down: ## Stop the local stack; RESET=1 also deletes its data
	@$(PY) -m local down $(if $(RESET),--reset)

bench: setup-test ## Run the benchmarks and print one table of ratios
	@$(PY) -m benchmarks

day: setup-demo ## Play a day of fifty creators and check its figures; KILLS=50 or BACKFILL=100000 make it harder
	@$(PY) -m benchmarks.day $(if $(KILLS),--kills $(KILLS)) $(if $(BACKFILL),--backfill $(BACKFILL))

fmt: setup-test ## Format the code
	@.venv/bin/ruff format .
	@node_modules/.bin/deno fmt --quiet supabase/functions
	@node_modules/.bin/deno fmt --quiet --line-width 100 local/gateway local/realtime tests/realtime/client.mjs tests/browser/audit.js
	@.venv/bin/npm --prefix examples/dashboard run --silent format

lint: setup-test ## Lint Python, JavaScript and shell
	@.venv/bin/ruff check . && shellcheck scripts/*.sh scripts/setup/*.sh tests/setup/fakes/* .ci/run
	@node_modules/.bin/deno lint --quiet supabase/functions local/gateway local/realtime tests/realtime/client.mjs tests/browser/audit.js

types: setup-test ## Check types
	@.venv/bin/mypy

test-unit: setup-test ## Run the tests that need no stack
	@scripts/test.sh unit

test-db: setup-test ## Run the database tests
	@scripts/test.sh db

test-functions: setup-test ## Run the Edge Functions' tests
	@scripts/test.sh functions

test-system: setup-test ## Run the tests of the whole system
	@scripts/test.sh system

test-browser: setup-test ## Run the tests of the dashboard in a browser
	@scripts/test.sh browser
