#!/usr/bin/env bash
# Runs the test suites named, or all of them: unit, db, functions, system, browser.
#   LOAD=8  keeps eight busy loops beside the tests, as a crowded machine would
#   N=5     runs the tests five times, in five orders, and counts what failed
# Every test process has a stack of its own, which is gone afterwards whatever happened.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly LOGS=.local/test
# Debian keeps pg_prove and its kin where a plain user's path may not lead.
export PATH="$PWD/.venv/bin:$PATH:/usr/sbin:/sbin"
# Deno fetches packages through whatever proxy the machine trusts.
export DENO_TLS_CA_STORE=${DENO_TLS_CA_STORE:-mozilla,system}
export NO_COLOR=${NO_COLOR:-1}
# Compiled modules are kept, also where the machine asks Python not to: a start costs a third of it.
export PYTHONDONTWRITEBYTECODE=

fail() {
  printf 'test: %s\n' "$*" >&2
  exit 2
}

# The marks of the suites named, as pytest selects them.
selected() {
  local suite marks=
  for suite in "$@"; do
    case $suite in
    unit) suite='not (database or functions or system or browser)' ;;
    db) suite=database ;;
    functions | system | browser) ;;
    *) fail "unknown suite: $suite; known: unit db functions system browser" ;;
    esac
    marks+="${marks:+ or }($suite)"
  done
  printf '%s' "$marks"
}

is_number() { case $1 in '' | *[!0-9]*) return 1 ;; esac }

# Loops that end with this script, however it ends.
start_load() {
  local loop
  for ((loop = 0; loop < LOAD; loop++)); do
    bash -c 'while kill -0 "$1" 2>/dev/null; do :; done' load "$$" &
    loops+=($!)
  done
  [ "$LOAD" -eq 0 ] || printf 'test: %s busy loops beside the tests\n' "$LOAD"
}

stop_load() { [ "${#loops[@]}" -eq 0 ] || kill "${loops[@]}" 2>/dev/null || true; }

run() { python -m pytest -n auto -m "$marks"; }

repeat() {
  local round code=0
  mkdir -p "$LOGS"
  rm -f "$LOGS"/repeat-*.log
  for ((round = 1; round <= N; round++)); do
    printf 'test: round %s of %s\n' "$round" "$N"
    run 2>&1 | tee "$LOGS/repeat-$round.log" || code=1
  done
  printf '\ntest: what failed in %s rounds (logs: %s/repeat-*.log)\n' "$N" "$LOGS"
  { grep -hoE '^(FAILED|ERROR) [^ ]+' "$LOGS"/repeat-*.log || echo nothing; } | sort | uniq -c | sort -rn
  return "$code"
}

LOAD=${LOAD:-0}
N=${N:-1}
is_number "$LOAD" || fail "LOAD=$LOAD is no number of busy loops"
is_number "$N" || fail "N=$N is no number of rounds"
marks=$(selected "$@")
loops=()
trap stop_load EXIT
start_load
if [ "$N" -gt 1 ]; then repeat; else run; fi
