#!/usr/bin/env bash
# Pins every Python dependency with its hashes. The lock names no index, so it serves any mirror.
set -euo pipefail
cd "$(dirname "$0")/.."

.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
  --group local --group test --group lint --group build pyproject.toml -o requirements.lock
