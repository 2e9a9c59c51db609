#!/usr/bin/env bash
# Pins every dependency with its hashes. Python: requirements.lock is what the demo and the image
# install, requirements-dev.lock that and what the tests need, at the same versions. Node: one lock
# for the tools, one for the dashboard. They name no index, so they serve any mirror.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    --group local --group build "$@" pyproject.toml
}
compile --group test --group lint -o requirements-dev.lock
compile --constraints requirements-dev.lock -o requirements.lock
# What the benchmarks compare the engine with: apart from all else, and no part of any set-up.
.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
  -o benchmarks/peers/requirements.lock benchmarks/peers/requirements.in

# Apart from any node_modules: of what npm did not install there, such as the binaries of other
# platforms, it would forget the hash.
lock_node() {
  local apart
  apart=$(mktemp -d)
  cp "$1/package.json" "$1/package-lock.json" "$1/.npmrc" "$apart"
  # An entry without a hash is made anew, where the registry has it.
  .venv/bin/python -c '
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
lock = json.loads(path.read_text())
packages = lock["packages"]
lacking = {n for n, p in packages.items() if n and not ("integrity" in p or p.get("inBundle"))}
names = {name.removeprefix("node_modules/") for name in lacking}
owners = {n for n, p in packages.items() if names & p.get("optionalDependencies", {}).keys()}
lock["packages"] = {n: p for n, p in packages.items() if n not in lacking | owners}
path.write_text(json.dumps(lock))
' "$apart/package-lock.json"
  .venv/bin/npm install --prefix "$apart" --package-lock-only --ignore-scripts
  # What the registry lacks would be missing: npm would refuse the lock.
  .venv/bin/npm ci --prefix "$apart" --dry-run --ignore-scripts
  cp "$apart/package-lock.json" "$1/package-lock.json"
  rm -r "$apart"
}
lock_node .
lock_node examples/dashboard
lock_node benchmarks/peers
