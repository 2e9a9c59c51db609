# shellcheck shell=bash
# What set-up says: a line a step with its time, the last words of what failed, and one question.

QUIET=
SPINNER=
LABEL=
LOG=

say() { [ -n "$QUIET" ] || printf 'setup: %s\n' "$*"; }

# In lines of at most 80 letters.
say_folded() { printf '%s\n' "$*" | fold -s -w 68 | sed '1s/^/setup: /; 2,$s/^/setup:     /'; }

# Nothing was begun: say why, a line each, and what to do.
refuse() {
  printf 'setup: %s\n' "$@" >&2
  exit 1
}

in_one_line() { tr '\n' ' ' | sed 's/ *$//'; }

# Whether a word is one of a list.
among() { case " $2 " in *" $1 "*) ;; *) return 1 ;; esac; }

has() { command -v "$1" >/dev/null 2>&1; }

on_terminal() { [ -t 0 ] && [ -t 1 ]; }

ask() {
  local answer
  on_terminal && [ -z "${YES:-}" ] || return 0
  printf 'setup: go on? [Y/n] '
  read -r answer || answer=n
  case $answer in
  '' | [yY]*) ;;
  *) refuse "nothing was installed" ;;
  esac
}

# Before a step hides what sudo says. Nobody is asked where it needs no password.
ask_for_password() {
  [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null || sudo -v
}

# One set-up at a time in this folder; the lock goes with the process that holds it.
wait_for_turn() {
  exec 9>.local/setup.lock
  if try_lock; then return; fi
  say "waiting for another set-up in this folder"
  if has flock; then flock 9; else perl -e 'use Fcntl ":flock"; open F, ">&=9"; flock F, LOCK_EX'; fi
}

try_lock() {
  if has flock; then flock -n 9; else perl -e 'use Fcntl ":flock"; open F, ">&=9"; exit !flock F, LOCK_EX | LOCK_NB'; fi
}

# Runs a command with its words in the log. A terminal shows that it lives, and how far apt is.
step() {
  local label=$1 started=$SECONDS status
  shift
  printf '\n== %s\n' "$label" >>"$LOG"
  show_life "$label"
  set +e
  (
    set -e
    "$@"
  ) >>"$LOG" 2>&1 </dev/null 9>&-
  status=$?
  set -e
  end_life
  if [ "$status" -ne 0 ]; then
    explain_failure "$label" "$((SECONDS - started))"
    exit 1
  fi
  [ -n "$QUIET" ] || printf '%s s\n' "$((SECONDS - started))"
}

explain_failure() {
  {
    printf 'failed after %s s\n' "$2"
    tail -n 12 "$LOG" | sed 's/^/  | /'
    printf 'setup: %s: failed; all it said is in %s\n' "$1" "$PWD/$LOG"
    printf 'setup: when the cause is mended, run the same command again: it goes on where it stopped\n'
  } >&2
}

show_life() {
  [ -z "$QUIET" ] || return 0
  printf 'setup: %s ... ' "$1"
  if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
    LABEL=$1
    spin &
    SPINNER=$!
    trap end_life EXIT
  fi
}

end_life() {
  [ -n "$SPINNER" ] || return 0
  kill "$SPINNER" 2>/dev/null || true
  wait "$SPINNER" 2>/dev/null || true
  SPINNER=
  printf '\r\033[Ksetup: %s ... ' "$LABEL"
}

spin() {
  local started=$SECONDS frame='|' share bar
  while kill -0 "$$" 2>/dev/null; do
    share=$(share_done)
    bar=
    [ -z "$share" ] || bar=" [$(printf '%-20.*s' "$((share / 5))" '####################')] $share %"
    printf '\r\033[Ksetup: %s ...%s %s %s s ' "$LABEL" "$bar" "$frame" "$((SECONDS - started))"
    case $frame in '|') frame=/ ;; /) frame=- ;; -) frame=\\ ;; *) frame='|' ;; esac
    sleep 0.3
  done
}

# In percent, of a step whose number of packages is known: each is fetched, unpacked and set up.
share_done() {
  [ "${STEP_PACKAGES:-0}" -gt 0 ] || return 0
  local lines
  lines=$(awk '/^== / { n = 0 } /^(Get:|Unpacking |Setting up )/ { n++ } END { print n + 0 }' "$LOG")
  lines=$((lines * 100 / (STEP_PACKAGES * 3)))
  [ "$lines" -le 100 ] || lines=100
  printf '%s' "$lines"
}
