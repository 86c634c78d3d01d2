#!/bin/sh
# Fetch the broker's jars into a folder, once: deploy/kafka/fetch.sh TARGET_DIR
# Needs mvn and a JDK; where packages come from is Maven's own settings.
set -eu
target=${1:?usage: fetch.sh TARGET_DIR}
pom=$(cd "$(dirname "$0")" && pwd)/pom.xml
mkdir -p "$(dirname "$target")"
target=$(cd "$(dirname "$target")" && pwd)/$(basename "$target")   # for Maven, paths begin where the pom is
if cmp -s "$pom" "$target/pom.xml" && ls "$target"/*.jar >/dev/null 2>&1; then
    exit 0   # these very jars are there
fi
fetched=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$fetched"' EXIT
mvn --batch-mode --quiet --file "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$fetched"
cp "$pom" "$fetched"   # last: it says that the folder is whole
rm -rf "$target"
chmod 755 "$fetched"
mv "$fetched" "$target"
