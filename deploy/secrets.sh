#!/bin/sh
# Makes what compose.yaml needs in deploy/secrets: passwords, the installation's secret, and a certificate to try it with.
# What is there already stays. Put your own certificate.pem, certificate.key and smtp_password there.
set -eu
umask 077
cd "$(dirname "$0")"
mkdir -p secrets
cd secrets
kept() { [ -s "$1" ] || { "$2" > "$1.new" && mv "$1.new" "$1"; }; }
password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
bytes() { head -c 32 /dev/urandom; }
for name in owner identity patients staff appointments notifications audit reports; do kept "database_$name" password; done
kept postgres_password password
kept installation_secret bytes
[ -e smtp_password ] || : > smtp_password
if [ ! -s certificate.pem ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj "/CN=${1:-localhost}" \
    -addext "subjectAltName=DNS:${1:-localhost}" -keyout certificate.key -out certificate.pem 2>/dev/null
fi
chmod 0444 -- *   # read by users inside the containers; the folder is closed to everybody else on this machine
