#!/bin/sh
# Installs the npm packages of package-lock.json when they are not those already here. Part of setup.sh; the check uses
# it alone. --dry-run: only says whether it would.
set -eu
cd "$(dirname "$0")/.."
# What was installed is remembered beside it.
if cmp -s package-lock.json node_modules/.berth-lock; then exit 0; fi
what="the npm packages of package-lock.json into node_modules (among them a Node and a Bun of their own; about 90 MB)"
if [ "${1-}" = --dry-run ]; then
  echo "set-up: would install $what"
  exit 0
fi

command -v npm >/dev/null || { echo "set-up: npm is missing: install Node.js 18 or later with npm" >&2; exit 1; }
echo "set-up: installing $what"
# Not `npm ci`: it refuses a lock file that leaves out the linter's builds for other platforms. Versions and checksums
# are the lock file's all the same, and --no-save leaves that as it is.
npm install --no-save --prefer-offline --no-audit --no-fund --loglevel=error </dev/null || {
  echo "set-up: the npm packages could not be installed; see above" >&2
  exit 1
}
cp package-lock.json node_modules/.berth-lock
