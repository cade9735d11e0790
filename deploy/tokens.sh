#!/bin/sh
# The one-shot of compose.yaml: makes every secret once, keeps it in the volume and
# prints the tokens that people need (docker compose logs tokens).
set -eu
umask 022
cd "${1:-/run/pizzeria}"

secret() {
    [ -s "$1" ] || head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$1.new"
    [ -s "$1" ] || mv "$1.new" "$1"
}

for name in redis_password postgres_password menu_password order_password kitchen_password analytics_password; do
    secret "$name"
done
[ -s redis.conf ] || echo "requirepass $(cat redis_password)" >redis.conf

for role in cook driver manager service; do
    secret "${role}_token"
    echo "$role token: $(cat "${role}_token")"
done
