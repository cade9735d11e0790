#!/bin/sh
# Run once by the postgres image on an empty data volume: a database per service,
# owned by a role of its own, so that no service can read another's tables.
set -eu
for service in menu order kitchen analytics; do
    psql -v ON_ERROR_STOP=1 -v name="$service" -v password="$(cat "/run/pizzeria/${service}_password")" \
        --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
