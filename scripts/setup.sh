#!/usr/bin/env bash
# Sets up what the other targets need, and does nothing when all of it is there already.
#   setup.sh demo       what the demo, `up` and `day` run
#   setup.sh dashboard  the example dashboard on top of that; silent, for the background
#   setup.sh [test]     both, and what the tests and checks need
# It looks first and says what it will do; on a terminal it asks once (YES=1 does not), and what
# cannot work is refused before anything is installed. Plain enough for the bash 3.2 of macOS.
set -euo pipefail
cd "$(dirname "$0")/.."

# The file system it looks at: another one in the tests of set-up only.
readonly ROOT=${FSE_SETUP_ROOT:-}
readonly DASHBOARD=examples/dashboard
# Debian keeps what dpkg and the tests need where a plain user's path may not lead.
export PATH="$PATH:$ROOT/usr/sbin:$ROOT/sbin"

. scripts/setup/say.sh
. scripts/setup/look.sh
. scripts/setup/project.sh
. scripts/setup/system.sh
. scripts/setup/plan.sh

# Everything that is not there yet: THINGS of the system, PARTS of the project.
look() {
  THINGS=
  [ "$1" = dashboard ] || THINGS=$(missing_things "$1" | in_one_line)
  PARTS=$(missing_parts "$1" | in_one_line)
}

set_up() {
  local mode=$1 part
  if [ "$mode" = dashboard ]; then
    [ -x .venv/bin/npm ] || refuse "run \`make setup\` first: the dashboard needs its Node"
  else
    plan "$mode"
    say_plan "$mode"
    refuse_the_impossible
    ask
    if [ -n "$THINGS" ]; then
      ask_for_password
      install_system_packages
    fi
  fi
  for part in $PARTS; do
    case $part in
    python-demo) step "Python packages, Node among them" install_python demo ;;
    python-test) step "Python packages, Node among them" install_python test ;;
    node) step "Node packages" install_node_packages ;;
    dashboard-demo) step "the dashboard's packages" install_dashboard_packages demo ;;
    dashboard-test) step "the dashboard's packages" install_dashboard_packages test ;;
    build) step "the dashboard's build" build_dashboard ;;
    esac
  done
}

main() {
  local mode=${1:-test}
  case $mode in
  demo | test) LOG=.local/setup.log ;;
  dashboard) LOG=.local/setup-dashboard.log QUIET=yes ;;
  *) refuse "unknown part \"$mode\": demo, dashboard or test" ;;
  esac
  look "$mode"
  if [ -n "$THINGS$PARTS" ]; then
    mkdir -p .local
    wait_for_turn
    # Whoever was before us may have done it.
    look "$mode"
  fi
  if [ -z "$THINGS$PARTS" ]; then
    [ $# -gt 0 ] || say "everything is there"
    return
  fi
  : >"$LOG"
  set_up "$mode"
  say "done in $SECONDS s"
}

main "$@"
