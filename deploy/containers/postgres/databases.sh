#!/usr/bin/env bash
# Run once, by PostgreSQL's image, when the data directory is new: a role and a database for each service, and no way
# from one into another's.
set -euo pipefail

psql=(psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres)

for service in order inventory notification; do
    variable="${service^^}_PASSWORD"
    "${psql[@]}" --set=name="oms_$service" --set=password="${!variable:?}" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done

# Nor into those that every server has, where PostgreSQL lets anybody in.
"${psql[@]}" --command 'REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC'
