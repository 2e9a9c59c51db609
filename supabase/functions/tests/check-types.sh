#!/usr/bin/env bash
# Compares the types that the functions and the dashboard share with the database at the given
# address, or with --write brings them up to date. The official CLI generates them from schema public.
# Usage: check-types.sh [--write] DATABASE_URL
set -euo pipefail
cd "$(dirname "$0")/../../.."

readonly TYPES=(supabase/functions/_shared/database_types.ts examples/dashboard/lib/database_types.ts)

generate() {
  printf '// Generated from schema public by supabase/functions/tests/check-types.sh --write.\n'
  printf '// deno-lint-ignore-file\n\n'
  SUPABASE_TELEMETRY_DISABLED=1 .venv/bin/node node_modules/.bin/supabase gen types typescript \
    --schema public --remote="$1"
}

format() { node_modules/.bin/deno fmt --ext ts -; }

main() {
  local write=no generated file
  if [ "${1:-}" = --write ]; then
    write=yes
    shift
  fi
  local url=${1:?usage: check-types.sh [--write] DATABASE_URL}
  case $url in
  *sslmode=*) ;;
  *\?*) url+="&sslmode=disable" ;;
  *) url+="?sslmode=disable" ;;
  esac
  # Twice, because one pass of the formatter does not settle these types.
  generated=$(generate "$url" 2>/dev/null | format | format)
  for file in "${TYPES[@]}"; do
    if [ "$write" = yes ]; then
      printf '%s\n' "$generated" >"$file"
    elif ! printf '%s\n' "$generated" | diff -u "$file" -; then
      printf '%s is out of date: run supabase/functions/tests/check-types.sh --write DATABASE_URL\n' "$file" >&2
      return 1
    fi
  done
}

main "$@"
