#!/usr/bin/env bash
# Sets up everything the other targets need; does nothing when all of it is there already.
# System packages are installed on Debian and Ubuntu; elsewhere this says what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly UV_VERSION=0.13.9
readonly NODE_MAJOR=20
readonly PYTHON_STAMP=.venv/.setup-stamp
readonly NODE_STAMP=node_modules/.setup-stamp
readonly DASHBOARD=examples/dashboard
readonly DASHBOARD_STAMP=$DASHBOARD/node_modules/.setup-stamp
readonly BUILD_STAMP=$DASHBOARD/.next/.setup-stamp
# Debian keeps pg_prove and its kin where a plain user's path may not lead.
export PATH="$PATH:/usr/sbin:/sbin"

say() { printf 'setup: %s\n' "$*"; }
fail() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

python_fingerprint() { cat requirements.lock pyproject.toml scripts/setup.sh | cksum; }
node_fingerprint() { cat package.json package-lock.json | cksum; }
dashboard_fingerprint() { cat "$DASHBOARD"/package.json "$DASHBOARD"/package-lock.json | cksum; }
# Of everything the build reads: file by file, names included.
build_fingerprint() {
  find "$DASHBOARD" \( -name node_modules -o -name .next -o -name .tests -o -name tests -o -name next-env.d.ts \
    -o -name '*.tsbuildinfo' -o -name '*.md' \) -prune -o -type f -print0 | sort -z | xargs -0 cksum | cksum
}
is_current() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

# --- what is there -------------------------------------------------------------------------

postgres_major() {
  local found
  found=$(find /usr/lib/postgresql /usr/local/opt /opt/homebrew/opt -maxdepth 1 2>/dev/null |
    sed -nE 's#.*/(postgresql@)?([0-9]+)$#\2#p' | sort -n | awk '$1 >= 15' | head -n 1)
  if [ -z "$found" ] && has postgres; then
    found=$(postgres --version | sed -E 's/[^0-9]*([0-9]+).*/\1/')
    [ "$found" -ge 15 ] || found=
  fi
  printf '%s' "$found"
}

has_extension() {
  local major=$1 name=$2
  compgen -G "/usr/share/postgresql/$major/extension/$name.control" >/dev/null ||
    compgen -G "/opt/homebrew/opt/postgresql@$major/share/*/extension/$name.control" >/dev/null ||
    compgen -G "/usr/local/opt/postgresql@$major/share/*/extension/$name.control" >/dev/null
}

has_node() {
  has node && has npm &&
    [ "$(node -p 'process.versions.node.split(".")[0]')" -ge "$NODE_MAJOR" ]
}

find_python() {
  local name
  for name in python3.11 python3.12 python3.13 python3.14 python3; do
    if has "$name" && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s' "$name"
      return
    fi
  done
}

can_make_venv() {
  local python
  python=$(find_python)
  [ -n "$python" ] && "$python" -c 'import ensurepip, venv' 2>/dev/null
}

# Prints what is missing, one `thing` per line.
missing() {
  local major
  major=$(postgres_major)
  [ -n "$major" ] || echo postgresql
  has_extension "${major:-0}" pg_cron || echo pg_cron
  has_extension "${major:-0}" pgtap || echo pgtap
  has_extension "${major:-0}" plpgsql_check || echo plpgsql_check
  has pg_prove || echo pg_prove
  has redis-server || echo redis
  has_node || echo node
  has shellcheck || echo shellcheck
  has promtool || echo promtool
  has chromium || has chromium-browser || has google-chrome || echo chromium
  [ -x .venv/bin/python ] || can_make_venv || echo python
}

# --- system packages -------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif has sudo; then
    sudo "$@"
  else
    fail "needs root for: $*"
  fi
}

package_major() {
  local major
  major=$(postgres_major)
  if [ -z "$major" ]; then
    major=$(apt-cache depends postgresql 2>/dev/null | sed -nE 's/.*postgresql-([0-9]+)$/\1/p' | head -n 1)
  fi
  printf '%s' "${major:-15}"
}

packages_for() {
  local thing major
  major=$(package_major)
  for thing in "$@"; do
    case $thing in
    postgresql) echo "postgresql-$major" ;;
    pg_cron) echo "postgresql-$major-cron" ;;
    pgtap) echo "postgresql-$major-pgtap" ;;
    plpgsql_check) echo "postgresql-$major-plpgsql-check" ;;
    pg_prove) echo libtap-parser-sourcehandler-pgtap-perl ;;
    redis) echo redis-server ;;
    node) printf '%s\n' nodejs npm ;;
    shellcheck) echo shellcheck ;;
    promtool) echo prometheus ;;
    chromium) printf '%s\n' chromium fonts-liberation ;;
    python) printf '%s\n' python3 python3-venv ;;
    esac
  done
}

# Packages of servers like to start them; the stack starts its own.
without_services() {
  local policy=/usr/sbin/policy-rc.d status=0
  if [ -e "$policy" ]; then
    "$@"
    return
  fi
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod +x "$policy"
  "$@" || status=$?
  as_root rm -f "$policy"
  return "$status"
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"
}

install_system_packages() {
  local things packages
  mapfile -t things < <(missing)
  [ "${#things[@]}" -gt 0 ] || return 0
  has apt-get || explain "${things[@]}"
  if ! apt-cache show libtap-parser-sourcehandler-pgtap-perl >/dev/null 2>&1; then
    as_root apt-get update -q
  fi
  mapfile -t packages < <(packages_for "${things[@]}")
  say "installing ${packages[*]}"
  if ! without_services apt_install "${packages[@]}"; then
    as_root apt-get update -q
    without_services apt_install "${packages[@]}"
  fi
  mapfile -t things < <(missing)
  [ "${#things[@]}" -eq 0 ] || explain "${things[@]}"
}

explain() {
  local thing
  for thing in "$@"; do
    case $thing in
    postgresql) say "missing: PostgreSQL 15 or newer (brew install postgresql@17)" ;;
    pg_cron) say "missing: the pg_cron extension for it (github.com/citusdata/pg_cron)" ;;
    pgtap) say "missing: the pgTAP extension for it (pgtap.org)" ;;
    plpgsql_check) say "missing: the plpgsql_check extension for it (github.com/okbob/plpgsql_check)" ;;
    pg_prove) say "missing: pg_prove (cpan TAP::Parser::SourceHandler::pgTAP)" ;;
    redis) say "missing: redis-server (brew install redis)" ;;
    node) say "missing: Node.js $NODE_MAJOR or newer with npm (nodejs.org)" ;;
    shellcheck) say "missing: shellcheck (brew install shellcheck)" ;;
    promtool) say "missing: promtool (brew install prometheus)" ;;
    chromium) say "missing: Chromium or Chrome (brew install --cask chromium)" ;;
    python) say "missing: Python 3.11 or newer with venv (python.org)" ;;
    esac
  done
  fail "install the above, then run it again"
}

# --- packages of the project -----------------------------------------------------------------

install_python_packages() {
  local wanted
  wanted=$(python_fingerprint)
  if is_current "$PYTHON_STAMP" "$wanted"; then return; fi
  if [ ! -x .venv/bin/python ]; then
    say "creating .venv with $(find_python)"
    "$(find_python)" -m venv .venv
  fi
  if [ ! -x .venv/bin/uv ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
  fi
  say "installing Python packages"
  .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes -r requirements.lock
  .venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
  printf '%s\n' "$wanted" >"$PYTHON_STAMP"
}

install_node_packages() {
  local wanted
  wanted=$(node_fingerprint)
  if is_current "$NODE_STAMP" "$wanted"; then return; fi
  say "installing Node packages"
  npm ci --loglevel=error
  printf '%s\n' "$wanted" >"$NODE_STAMP"
}

install_dashboard_packages() {
  local wanted
  wanted=$(dashboard_fingerprint)
  if is_current "$DASHBOARD_STAMP" "$wanted"; then return; fi
  say "installing the dashboard's packages"
  npm --prefix "$DASHBOARD" ci --loglevel=error
  printf '%s\n' "$wanted" >"$DASHBOARD_STAMP"
}

build_dashboard() {
  local wanted
  wanted=$(build_fingerprint)
  if is_current "$BUILD_STAMP" "$wanted"; then return; fi
  say "building the dashboard"
  rm -rf "$DASHBOARD/.next"
  if ! npm --prefix "$DASHBOARD" run --silent build >"$DASHBOARD/node_modules/.build.log" 2>&1; then
    cat "$DASHBOARD/node_modules/.build.log" >&2
    fail "the dashboard does not build"
  fi
  printf '%s\n' "$wanted" >"$BUILD_STAMP"
}

install_system_packages
install_python_packages
install_node_packages
install_dashboard_packages
build_dashboard
