#!/bin/sh
# A database and a user per service, called as the service, and one owner of all tables; run once, by an empty PostgreSQL.
# Passwords are secrets: database_owner, and database_SERVICE. The owner migrates. A service may read and write rows of its
# own database, can change no table, and cannot connect to any other.
set -eu
secrets=${SECRETS:-/run/secrets}
owner=${OWNER:-infirmary}
run() { psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres --set=owner="$owner" "$@"; }

run --set=password="$(cat "$secrets/database_owner")" <<'SQL'
CREATE ROLE :"owner" LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
SQL
for file in "$secrets"/database_*; do
  service=${file##*/database_}
  [ "$service" != owner ] || continue
  run --set=service="$service" --set=password="$(cat "$file")" <<'SQL'
CREATE ROLE :"service" LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE CONNECTION LIMIT 100;
CREATE DATABASE :"service" OWNER :"owner" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"service" TO :"service";
\connect :"service"
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :"service";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"service";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT USAGE ON SEQUENCES TO :"service";
SQL
done
