#!/bin/sh
# Installs the peers that cannot live in .venv-bench: those for an older redis-py, and BullMQ, which is Node's.
# What cannot be installed is not measured; the report says so.
set -u
cd "$(dirname "$0")/../.."

apart=.venv-bench-apart
if ! [ "$apart/made" -nt requirements-bench-apart.lock ]; then
    uv=.venv-bench/bin/uv
    { "$uv" venv --quiet --clear --python .venv-bench/bin/python "$apart" &&
        "$uv" pip install --quiet --python "$apart/bin/python" --require-hashes -r requirements-bench-apart.lock &&
        touch "$apart/made"; } || echo "arq and saq are not installed." >&2
fi

bullmq=bench/queues/bullmq
if ! [ "$bullmq/node_modules/made" -nt "$bullmq/package-lock.json" ]; then
    { npm ci --prefix "$bullmq" --silent --ignore-scripts --no-audit --no-fund &&
        touch "$bullmq/node_modules/made"; } || echo "BullMQ is not installed: it needs Node and npm." >&2
fi
exit 0
