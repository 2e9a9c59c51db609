# shellcheck shell=bash
# Packages of Debian and Ubuntu: which they are for what is missing, and how they are installed.

# Written where Debian's packages ask whether their servers may start: the stack starts its own.
readonly POLICY=$ROOT/usr/sbin/policy-rc.d
readonly POLICY_MARK="written by the set-up of fanvue-sync"

as_root() {
  # Files of the system are for everybody, however private the caller's own are.
  umask 022
  set -- env LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Asked in English, because the answer is read.
apt_cache() { LC_ALL=C apt-cache "$@" 2>/dev/null; }

has_candidate() {
  local candidate
  candidate=$(apt_cache policy "$1" | sed -n 's/^ *Candidate: *//p')
  [ -n "$candidate" ] && [ "$candidate" != '(none)' ]
}

first_candidate() {
  local name
  for name in "$@"; do
    if has_candidate "$name"; then
      printf '%s' "$name"
      return
    fi
  done
  return 1
}

# The major whose packages are taken: what is installed if its extensions are to be had, else what
# the distribution means by "postgresql", else the newest there is (of the PostgreSQL project's own).
package_major() {
  local major majors
  majors=$(
    postgres_major && echo
    apt_cache depends postgresql | sed -nE 's/.*Depends: postgresql-([0-9]+)$/\1/p'
    apt_cache pkgnames postgresql- | sed -nE 's/^postgresql-([0-9]+)$/\1/p' | sort -rn
  )
  for major in $majors; do
    if [ "$major" -ge "$OLDEST_POSTGRES" ] && has_candidate "postgresql-$major-cron"; then
      printf '%s' "$major"
      return
    fi
  done
  return 1
}

python_packages() {
  local version name
  version=$(apt_cache policy python3 | sed -nE 's/^ *Candidate: *3\.([0-9]+).*/\1/p')
  if [ "${version:-0}" -ge 11 ]; then
    printf 'python3\npython3-venv\n'
  else
    name=$(first_candidate python3.14 python3.13 python3.12 python3.11) && printf '%s\n%s-venv\n' "$name" "$name"
  fi
}

# The packages of one missing thing; fails when apt knows none.
packages_of() {
  local name
  case $1 in
  postgresql) name=postgresql-$MAJOR ;;
  pg_cron) name=postgresql-$MAJOR-cron ;;
  pgtap) name=postgresql-$MAJOR-pgtap ;;
  plpgsql_check) name=postgresql-$MAJOR-plpgsql-check ;;
  pg_prove) name=libtap-parser-sourcehandler-pgtap-perl ;;
  redis) name=redis-server ;;
  shellcheck) name=shellcheck ;;
  promtool) name=prometheus ;;
  # On Ubuntu the second one fetches Chromium as a snap.
  chromium) name=$(first_candidate chromium chromium-browser) && has_candidate fonts-liberation && name="$name fonts-liberation" ;;
  python) name=$(python_packages) ;;
  esac || return 1
  # shellcheck disable=SC2086 # several names
  set -- $name
  [ $# -gt 0 ] && has_candidate "$1" && printf '%s\n' "$@"
}

# Sets PACKAGES for THINGS, and UNKNOWN to those that apt has no package for.
choose_packages() {
  local thing found
  PACKAGES=
  UNKNOWN=
  MAJOR=$(package_major) || MAJOR=
  # An installed server whose extensions are not to be had does not help: another one beside it.
  if among pg_cron "$THINGS" && ! among postgresql "$THINGS" && [ -n "$MAJOR" ] &&
    [ "$MAJOR" != "$(postgres_major)" ]; then
    THINGS="postgresql $THINGS"
  fi
  for thing in $THINGS; do
    if found=$(packages_of "$thing"); then
      PACKAGES="$PACKAGES $(printf '%s' "$found" | in_one_line)"
    else
      UNKNOWN="${UNKNOWN:+$UNKNOWN }$thing"
    fi
  done
  # shellcheck disable=SC2086 # several names
  PACKAGES=$(printf '%s\n' $PACKAGES | awk '!seen[$0]++' | in_one_line)
}

# Sets PACKAGE_COUNT and PACKAGE_MB to what apt would fetch, and NEW_PACKAGES to those that are not
# there in any version; fails when its lists do not say.
weigh_packages() {
  local changes uris
  # shellcheck disable=SC2086 # several names
  changes=$(LC_ALL=C apt-get install -s -q --no-install-recommends $PACKAGES 2>/dev/null) || return 1
  # shellcheck disable=SC2086 # several names
  uris=$(LC_ALL=C apt-get install --print-uris -qq --no-install-recommends $PACKAGES 2>/dev/null) || return 1
  NEW_PACKAGES=$(printf '%s\n' "$changes" | awk '/^Inst / && $3 !~ /^\[/ { print $2 }' | in_one_line)
  PACKAGE_COUNT=$(printf '%s\n' "$changes" | awk '/^Inst / { n++ } END { print n + 0 }')
  # Less than that where some were fetched before.
  PACKAGE_MB=$(printf '%s\n' "$uris" | awk "/^'/ { sum += \$3 } END { printf \"%d\", sum / 1e6 + 0.999 }")
}

read_lists() {
  local tries=0
  until as_root apt-get update -q; do
    tries=$((tries + 1))
    # Somebody else is reading them.
    tail -n 8 "$LOG" | grep -q 'lists/lock' && [ "$tries" -lt 120 ] || return 1
    sleep 5
  done
}

# apt writes the policy while it holds its lock, and takes it away whatever happened; one that was
# there before stays as it is.
apt_install() {
  # shellcheck disable=SC2086 # several names
  as_root apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=900 \
    -o "DPkg::Pre-Invoke::=[ -e '$POLICY' ] || { printf '#!/bin/sh\n# $POLICY_MARK\nexit 101\n' >'$POLICY'; chmod 755 '$POLICY'; }" \
    -o "DPkg::Post-Invoke::=! grep -qs \"$POLICY_MARK\" '$POLICY' || rm -f '$POLICY'" \
    $PACKAGES
}

# Once more after a break of dpkg's own, and after lists that had grown old.
install_packages() {
  apt_install || {
    as_root dpkg --configure -a
    read_lists
    apt_install
  }
}

install_system_packages() {
  if [ -n "$UNKNOWN" ] || [ -z "$PACKAGE_COUNT" ]; then
    step "apt's lists of packages" read_lists
    choose_packages
    [ -z "$UNKNOWN" ] || refuse_unknown
    weigh_packages || PACKAGE_COUNT=0
    say_system
  fi
  STEP_PACKAGES=$PACKAGE_COUNT
  step "system packages" install_packages
  STEP_PACKAGES=0
  note_new_packages
  check_system
}

# For whoever wants to take them away again: what was there before is not ours to name.
note_new_packages() {
  local name
  for name in $PACKAGES; do
    if among "$name" "$NEW_PACKAGES"; then printf '%s\n' "$name" >>.local/system-packages; fi
  done
}

check_system() {
  hash -r
  THINGS=$(missing_things "$MODE" | in_one_line)
  [ -z "$THINGS" ] || refuse "still missing after the installation: $THINGS; what apt said is in $PWD/$LOG"
}
