#!/bin/sh
# Sets this machine up for Berth: installs the distribution's packages that are missing, the npm packages of the lock
# file, builds the binaries and fetches a guest kernel into Berth's own store. Does only what is missing; with nothing
# missing it needs neither network nor root and takes a moment. Changes nothing else: no service of an installed package is
# started or enabled, and /boot is not touched.
# Usage: setup.sh [--with-tests] [--dry-run]   (--dry-run only lists it all)
set -eu
cd "$(dirname "$0")/.."

lists=scripts/packages.txt
dry_run=no
for argument in "$@"; do
  case $argument in
    --with-tests) lists="$lists scripts/packages-test.txt" ;;
    --dry-run) dry_run=yes ;;
    *) echo "usage: setup.sh [--with-tests] [--dry-run]" >&2; exit 2 ;;
  esac
done

say() { echo "set-up: $*"; }
fail() { echo "set-up: $*" >&2; exit 1; }

[ "$(uname -s)" = Linux ] || fail "Berth runs on Linux only"
[ "$(uname -m)" = x86_64 ] || fail "Berth is built for x86_64 so far; this machine is $(uname -m)"

. scripts/setup-packages.sh
missing=$(missing_packages $lists)

if [ "$dry_run" = yes ]; then
  [ -z "$missing" ] || say_packages "would install these packages of the distribution:" "$(echo $missing)" $lists
  sh scripts/setup-npm.sh --dry-run
  sh scripts/build.sh --dry-run
  sh scripts/fetch-kernel.sh --dry-run
  say "nothing else would be changed, and nothing has been"
  exit 0
fi

[ -z "$missing" ] || install_packages "$missing" $lists
sh scripts/setup-npm.sh
sh scripts/build.sh
sh scripts/fetch-kernel.sh </dev/null ||
  say "there is no guest kernel: containers work, virtual machines will not until set-up is run again (npm run setup)"
: > build/.ready
