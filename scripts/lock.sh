#!/usr/bin/env bash
# Pins every Python dependency with its hashes: requirements.lock is what the demo and the image
# install, requirements-dev.lock that and what the tests need, at the same versions. They name no
# index, so they serve any mirror.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    --group local --group build "$@" pyproject.toml
}
compile --group test --group lint -o requirements-dev.lock
compile --constraints requirements-dev.lock -o requirements.lock
