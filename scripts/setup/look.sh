# shellcheck shell=bash
# What is there: programs of the system and the project's own packages. Only looks, quickly.

readonly OLDEST_POSTGRES=15

# The majors installed that will do, the lowest first; local/programs.py finds the same.
postgres_majors() {
  local found
  found=$(
    for found in "$ROOT"/usr/lib/postgresql/* "$ROOT"/usr/pgsql-* \
      "$ROOT"/opt/homebrew/opt/postgresql@* "$ROOT"/usr/local/opt/postgresql@*; do
      [ -x "$found/bin/initdb" ] && printf '%s\n' "${found##*[-/@]}"
    done
    if has postgres; then postgres --version | sed -E 's/[^0-9]*([0-9]+).*/\1/'; fi
  )
  printf '%s\n' "$found" | awk -v oldest=$OLDEST_POSTGRES '$1 >= oldest' | sort -un
}

# The one that the stack takes: the lowest with pg_cron, else the lowest.
postgres_major() {
  local major majors
  majors=$(postgres_majors)
  for major in $majors; do
    if has_extension "$major" pg_cron; then
      printf '%s' "$major"
      return
    fi
  done
  printf '%s' "${majors%%[!0-9]*}"
}

has_extension() {
  local place
  for place in "$ROOT/usr/share/postgresql/$1/extension" "$ROOT/usr/pgsql-$1/share/extension" \
    "$ROOT"/opt/homebrew/opt/postgresql@"$1"/share/*/extension "$ROOT/opt/homebrew/share/postgresql@$1/extension" \
    "$ROOT"/usr/local/opt/postgresql@"$1"/share/*/extension "$ROOT/usr/local/share/postgresql@$1/extension"; do
    [ ! -e "$place/$2.control" ] || return 0
  done
  return 1
}

# The first Python that will do and can make an environment.
find_python() {
  local name
  for name in python3.11 python3.12 python3.13 python3.14 python3; do
    if has "$name" && "$name" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s' "$name"
      return
    fi
  done
  return 1
}

is_linux_x64() { case "$(uname -s) $(uname -m)" in "Linux x86_64" | "Linux amd64") ;; *) return 1 ;; esac }

# For Linux on x86-64 it comes with the Node packages; local/programs.py finds the same.
has_postgrest() {
  local version
  ! is_linux_x64 || return 0
  has postgrest || return 1
  version=$(postgrest --version | sed -E 's/[^0-9]*([0-9]+).*/\1/')
  [ "${version:-0}" -ge 12 ]
}

# Prints what the system lacks, one word each: for the demo, or for the tests as well.
missing_things() {
  local major
  major=$(postgres_major)
  [ -n "$major" ] || echo postgresql
  has_extension "${major:-0}" pg_cron || echo pg_cron
  has redis-server || echo redis
  has_postgrest || echo postgrest
  [ -x .venv/bin/python ] || find_python >/dev/null || echo python
  [ "$1" = test ] || return 0
  has_extension "${major:-0}" pgtap || echo pgtap
  has_extension "${major:-0}" plpgsql_check || echo plpgsql_check
  has pg_prove || echo pg_prove
  has shellcheck || echo shellcheck
  has promtool || echo promtool
  has chromium || has chromium-browser || has google-chrome || has_chrome_app || echo chromium
}

has_chrome_app() {
  [ -e "$ROOT/Applications/Chromium.app" ] || [ -e "$ROOT/Applications/Google Chrome.app" ]
}

# Prints the parts of the project that are not as its files say, in the order they are made.
missing_parts() {
  case $1 in
  demo)
    is_current "$(python_stamp demo)" "$(python_fingerprint demo)" || echo python-demo
    is_current "$NODE_STAMP" "$(node_fingerprint)" || echo node
    ;;
  dashboard)
    has_dashboard_packages demo || echo dashboard-demo
    is_current "$BUILD_STAMP" "$(build_fingerprint)" || echo build
    ;;
  test)
    is_current "$(python_stamp test)" "$(python_fingerprint test)" || echo python-test
    is_current "$NODE_STAMP" "$(node_fingerprint)" || echo node
    has_dashboard_packages test || echo dashboard-test
    is_current "$BUILD_STAMP" "$(build_fingerprint)" || echo build
    ;;
  esac
}
