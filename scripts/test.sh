#!/usr/bin/env bash
# Runs the test suites named (unit, db, functions, system, browser), or all of them, side by side.
# Suites that need the stack get fresh ones of their own, gone afterwards whatever happened.
set -euo pipefail
cd "$(dirname "$0")/.."

exec .venv/bin/python -m tests.support.suites "$@"
