#!/usr/bin/env bash
# Runs the test suites named (unit, db, functions, system), or all of them. Suites that need the
# stack get a fresh one of their own, which is gone afterwards whatever happened.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PYTHON=.venv/bin/python
readonly DENO=node_modules/.bin/deno
readonly STACK_DIRECTORY=.local/test
# Below the range from which the system takes ports for outgoing connections.
readonly STACK_PORT=25321
# Deno fetches packages through whatever proxy the machine trusts.
export DENO_TLS_CA_STORE=${DENO_TLS_CA_STORE:-mozilla,system}
export FSE_TEST_STACK=$STACK_DIRECTORY/stack.env

step() {
  local name=$1 began=$SECONDS
  shift
  printf -- '--- %s\n' "$name"
  "$@"
  printf -- '--- %s: ok in %d s\n' "$name" "$((SECONDS - began))"
}

start_stack() {
  stop_stack
  trap stop_stack EXIT
  "$PYTHON" -m local up --dir "$STACK_DIRECTORY" --port "$STACK_PORT" --volatile
}

stop_stack() { "$PYTHON" -m local down --dir "$STACK_DIRECTORY" --reset >/dev/null; }

unit() { "$PYTHON" -m pytest -q -m "not database and not system"; }

database() {
  "$PYTHON" -m pytest -q -m database
  supabase/functions/tests/check-types.sh "$(database_url)"
  pg_prove --quiet --ext .sql --recurse -d "$(database_url)" supabase/tests
}

database_url() { sed -n 's/^SUPABASE_DB_URL=//p' "$FSE_TEST_STACK"; }

functions() {
  local config
  "$DENO" fmt --check --quiet supabase/functions
  "$DENO" lint --quiet supabase/functions
  for config in supabase/functions/*/deno.json; do
    "$DENO" check --quiet --config "$config" "$(dirname "$config")"/*.ts
  done
  "$DENO" test --quiet --no-prompt --allow-read --allow-env supabase/functions
}

system() { "$PYTHON" -m pytest -q -m system; }

needs_stack() {
  local suite
  for suite in "$@"; do
    case $suite in db | system) return 0 ;; esac
  done
  return 1
}

main() {
  local suite suites=("$@")
  [ "${#suites[@]}" -gt 0 ] || suites=(unit db functions system)
  if needs_stack "${suites[@]}"; then step "stack" start_stack; fi
  for suite in "${suites[@]}"; do
    case $suite in
    unit) step "unit tests" unit ;;
    db) step "database tests" database ;;
    functions) step "function tests" functions ;;
    system) step "system tests" system ;;
    *)
      printf 'unknown suite: %s\n' "$suite" >&2
      exit 2
      ;;
    esac
  done
}

main "$@"
