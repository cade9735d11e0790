#!/bin/sh
# Writes the locks from the pyproject files: what runs the pizzeria (requirements.lock), what tests it
# as well (requirements-dev.lock), what rediscore is measured against (requirements-bench.lock, and
# requirements-bench-apart.lock for peers that need an older redis-py).
# Versions that are locked stay unless `tools/lock.sh --upgrade` is called.
set -eu
cd "$(dirname "$0")/.."

compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-package pizzeria-rediscore --no-emit-package pizzeria-contracts --no-emit-package pizzeria-chassis \
        --no-emit-package pizzeria-menu --no-emit-package pizzeria-order --no-emit-package pizzeria-kitchen \
        --no-emit-package pizzeria-analytics --no-emit-package pizzeria-tools "$@"
}
compile libs/*/pyproject.toml services/*/pyproject.toml tools/*/pyproject.toml \
    --extra streams --extra fastapi --extra metrics --extra embedded --group build -o requirements.lock "$@"
compile requirements.lock --group dev -o requirements-dev.lock "$@"
compile libs/rediscore/pyproject.toml --extra embedded --extra metrics --extra streams --group build --group bench \
    --constraint requirements.lock -o requirements-bench.lock "$@"
compile --group bench-apart -o requirements-bench-apart.lock "$@"
