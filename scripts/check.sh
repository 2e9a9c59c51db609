#!/usr/bin/env bash
# What CI runs: format, lint, types, shell, SQL lint and advisors, then every test. All steps run
# even when one fails; the table at the end says how long each took.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

readonly BIN=.venv/bin
readonly DENO=node_modules/.bin/deno
summary=()
failed=0

step() {
  local name=$1 began=$SECONDS outcome=ok
  shift
  printf '=== %s\n' "$name"
  if ! "$@"; then
    outcome=FAILED
    failed=1
  fi
  summary+=("$(printf '%-22s %-7s %4d s' "$name" "$outcome" "$((SECONDS - began))")")
}

step "setup" scripts/setup.sh
step "format" "$BIN/ruff" format --check --quiet .
step "lint" "$BIN/ruff" check --quiet .
step "gateway format" "$DENO" fmt --check --quiet --line-width 100 local/gateway
step "gateway lint" "$DENO" lint --quiet local/gateway
step "types" "$BIN/mypy"
step "shell" shellcheck scripts/*.sh .ci/run
step "SQL lint and advisors" "$BIN/python" -m local.sql_lint
step "tests" scripts/test.sh

printf '\n'
printf '%s\n' "${summary[@]}"
exit "$failed"
