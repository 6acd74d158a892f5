#!/bin/sh
# Random calls of the engine in parallel, checked against what must hold. Usage: property.sh STEPS [SEED [ISOLATION…]]
# Prints how many calls of each kind were done and refused, then what did not hold. Needs root and a built Berth.
set -eu
cd "$(dirname "$0")/.."
exec sh scripts/own-place.sh test/fixtures/property-main.ts "$@"
