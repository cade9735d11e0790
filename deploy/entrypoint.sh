#!/bin/sh
# The entry point of our images. NAME_FILE=/path gives the environment variable NAME the
# content of that file, for the passwords that the database drivers read from the environment.
set -eu
for name in REDIS_PASSWORD PGPASSWORD; do
    eval "file=\${${name}_FILE:-}"
    [ -n "$file" ] || continue
    export "$name=$(cat "$file")"
    unset "${name}_FILE"
done
exec "$@"
