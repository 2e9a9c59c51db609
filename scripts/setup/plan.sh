# shellcheck shell=bash
# What would be done, in a few lines before anything is; and the refusal of what cannot work.

# Megabytes to fetch and on disk, on Linux for x86-64; elsewhere they are a little different.
readonly MB_PYTHON_DEMO="110 325" MB_PYTHON_TEST="195 590" MB_NODE="160 380"
readonly MB_DASHBOARD_DEMO="150 490" MB_DASHBOARD_TEST="170 590" MB_BUILD="0 60"
readonly MB_SYSTEM_DEMO=80 MB_SYSTEM_TEST=300

plan() {
  MODE=$1
  PACKAGES=
  NEW_PACKAGES=
  UNKNOWN=
  PACKAGE_COUNT=
  PACKAGE_MB=
  NEED_MB=0
  [ -n "$THINGS" ] && has apt-get || return 0
  choose_packages
  [ -n "$UNKNOWN" ] || weigh_packages || true
}

say_plan() {
  local part sizes what where='' fetch=0 disk=0
  for part in $PARTS; do
    case $part in
    python-demo) sizes=$MB_PYTHON_DEMO what=".venv" ;;
    python-test) sizes=$MB_PYTHON_TEST what=".venv" ;;
    node) sizes=$MB_NODE what="node_modules" ;;
    dashboard-demo) sizes=$MB_DASHBOARD_DEMO what="$DASHBOARD" ;;
    dashboard-test) sizes=$MB_DASHBOARD_TEST what="$DASHBOARD" ;;
    build) sizes=$MB_BUILD what="" ;;
    esac
    where="$where${where:+${what:+, }}$what"
    fetch=$((fetch + ${sizes% *}))
    disk=$((disk + ${sizes#* }))
  done
  NEED_MB=$disk
  case $MODE in
  demo) say "the demo needs a few things that are not here yet" ;;
  *) say "the tests need a few things that are not here yet" ;;
  esac
  [ -z "$THINGS" ] || say_system
  if [ -n "$PARTS" ]; then
    say "  this folder: about $fetch MB to fetch, $disk MB on disk, in"
    say "    $where"
  fi
  [ "$MODE" = test ] || say "  (what the tests need comes with \`make test\`, or now with \`make setup\`)"
}

say_system() {
  local about=$MB_SYSTEM_DEMO
  has apt-get || return 0
  [ "$MODE" = demo ] || about=$MB_SYSTEM_TEST
  if [ -z "$PACKAGE_COUNT" ] || [ -n "$UNKNOWN" ]; then
    say_folded "  the system: $THINGS"
    say "    apt's lists of packages are read first; then about $about MB"
  else
    say_folded "  the system: $PACKAGES;"
    say "    with what they need $PACKAGE_COUNT packages, $PACKAGE_MB MB to fetch$(with_sudo)"
  fi
}

with_sudo() { [ "$(id -u)" -eq 0 ] || printf ', with sudo'; }

refuse_the_impossible() {
  refuse_machine
  if [ -n "$THINGS" ]; then
    has apt-get || refuse_without_apt
    ! among postgrest "$THINGS" || refuse_without_postgrest
    refuse_old_release
    refuse_without_root
  fi
  refuse_full_disk
}

refuse_machine() {
  local system
  system=$(uname -s)
  case $system in
  Linux | Darwin) ;;
  *) refuse "$system will not do: Linux or macOS is needed (on Windows, the Linux of WSL 2)" ;;
  esac
  case $(uname -m) in
  x86_64 | amd64 | aarch64 | arm64) ;;
  *) refuse "$(uname -m) will not do: Node and Deno come for x86-64 and 64-bit ARM only" ;;
  esac
  if [ "$system" = Linux ] && [ -z "$(find "$ROOT"/lib*/ld-linux* "$ROOT"/lib/*/ld-linux* 2>/dev/null)" ]; then
    refuse "this Linux has no glibc, and Deno does not run without: Debian or Ubuntu will do (a container too)"
  fi
}

refuse_without_apt() {
  local thing
  say "missing on this system, and only apt-get is known here to install it:" >&2
  for thing in $THINGS; do
    printf 'setup:   %s\n' "$(by_hand "$thing")" >&2
  done
  refuse "install these, then run the same command again; nothing was installed"
}

by_hand() {
  case $1 in
  postgresql) echo "PostgreSQL 15 or newer       brew install postgresql@17" ;;
  pg_cron) echo "its extension pg_cron        brew install pg_cron, or github.com/citusdata/pg_cron" ;;
  pgtap) echo "its extension pgTAP          brew install pgtap, or pgtap.org" ;;
  plpgsql_check) echo "its extension plpgsql_check  github.com/okbob/plpgsql_check" ;;
  pg_prove) echo "pg_prove                     cpan TAP::Parser::SourceHandler::pgTAP" ;;
  redis) echo "redis-server                 brew install redis" ;;
  postgrest) echo "PostgREST 12 or newer        brew install postgrest" ;;
  shellcheck) echo "shellcheck                   brew install shellcheck" ;;
  promtool) echo "promtool                     brew install prometheus" ;;
  chromium) echo "Chromium or Chrome           brew install --cask google-chrome" ;;
  python) echo "Python 3.11 or newer         brew install python@3.13" ;;
  esac
}

refuse_without_postgrest() {
  refuse "PostgREST 12 or newer is missing, and apt has none for $(uname -m); nothing was installed" \
    "put the program of a release (github.com/PostgREST/postgrest/releases) on PATH, then run the same" \
    "command again"
}

# Known by name, so that nothing is fetched first to find it out.
refuse_old_release() {
  local release
  release=$(
    # shellcheck source=/dev/null
    . "$ROOT/etc/os-release" 2>/dev/null && printf '%s' "${ID:-} ${VERSION_ID:-}"
  ) || return 0
  [ -z "$MAJOR" ] || return 0
  case $release in
  "debian "[1-9] | "debian 1"[01] | "ubuntu 1"* | "ubuntu 2"[0-3].*)
    if among postgresql "$THINGS" || among pg_cron "$THINGS"; then refuse_old_postgres "$release"; fi
    ;;
  esac
}

refuse_old_postgres() {
  refuse "$1 has no PostgreSQL of 15 or newer with pg_cron; nothing was installed" \
    "Debian 12, Ubuntu 24.04 and newer have it. Here, add the PostgreSQL project's own packages" \
    "(wiki.postgresql.org/wiki/Apt), then run the same command again"
}

# After apt's lists were read.
refuse_unknown() {
  if among postgresql "$UNKNOWN" || among pg_cron "$UNKNOWN"; then refuse_old_postgres "this system"; fi
  if among python "$UNKNOWN"; then
    refuse "this system has no Python of 3.11 or newer to install; nothing was installed"
  fi
  refuse "apt has no package for: $UNKNOWN (on Ubuntu: sudo add-apt-repository universe); nothing was installed"
}

refuse_without_root() {
  [ "$(id -u)" -eq 0 ] && return
  if has sudo; then
    sudo -n true 2>/dev/null && return
    # It will ask for the password, once.
    on_terminal && return
    set -- "sudo asks for a password, and there is no terminal to ask on"
  else
    set -- "this needs root, and there is no sudo"
  fi
  refuse "$1; nothing was installed" "have this done as root, then run the same command again:" \
    "  apt-get update && apt-get install -y --no-install-recommends ${PACKAGES:-$THINGS}"
}

refuse_full_disk() {
  local free
  free=$(df -Pk . | awk 'NR == 2 { printf "%d", $4 / 1000 }')
  [ "$free" -ge "$((NEED_MB + ${PACKAGE_MB:-0} * 5))" ] || refuse \
    "too little room in $PWD: $free MB are free, about $((NEED_MB + ${PACKAGE_MB:-0} * 5)) MB are needed; nothing was installed"
}
