#!/usr/bin/env bash
# What CI runs: format, lint, types, shell, SQL lint and advisors, and every test, side by side. All
# of them run even when one fails; the table at the end says how long each took.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh test
exec .venv/bin/python -m tests.support.suites --check
