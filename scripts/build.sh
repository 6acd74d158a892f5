#!/bin/sh
# Builds what Berth runs: the C programs (shim, agent, unpack, workbench), the CLI as one executable (build/bin/berth) and the
# daemon as one file (build/berthd.mjs). Builds only what is older than its sources; two builds at once wait for each
# other; a running daemon keeps the files it has open, since every output is renamed into place.
# --dry-run: only says what the first build would do.
set -eu
cd "$(dirname "$0")/.."
if [ "${1-}" = --dry-run ]; then
  [ -e build/.built ] || echo "build: would compile Berth into build/"
  exit 0
fi

bun=node_modules/@oven/bun-linux-x64/bin/bun
if [ ! -x "$bun" ]; then
  echo "build: node_modules is missing or incomplete; run: sh scripts/setup.sh" >&2
  exit 1
fi

mkdir -p build/bin
exec 9>build/.lock
flock 9
start=build/.start
: > "$start"

for folder in shim agent unpack workbench; do
  [ -f "$folder/Makefile" ] || continue
  make -s -C "$folder" all 9>&-
done

# outdated OUTPUT SOURCE...: whether a source (or the set of sources in a folder) is newer than the output.
outdated() {
  output=$1
  shift
  [ -e "$output" ] || return 0
  [ -n "$(find "$@" \( -type d -o -name '*.ts' -o -name '*.json' \) ! -name '*.test.ts' -newer "$output" -print -quit 2>/dev/null)" ]
}

# bundle OUTPUT ENTRY OPTION...: the output carries the time the build began, so that an edit made meanwhile counts.
bundle() {
  output=$1 entry=$2
  shift 2
  if ! "$bun" build "$entry" --outfile "$output.new" "$@" 9>&- >build/.bundle.log 2>&1; then
    cat build/.bundle.log >&2
    rm -f "$output.new"
    exit 1
  fi
  touch -r "$start" "$output.new"
  mv -f "$output.new" "$output"
  echo "build: $output"
}

# src/bin and the rooms that it wires into the CLI.
if [ -f src/bin/berth.ts ] && outdated build/bin/berth src/bin src/cli src/sdk src/wire src/formats src/core src/host package.json package-lock.json; then
  # Split, so that a command loads its own code only. The user's .env and bunfig.toml are none of its business.
  bundle build/bin/berth src/bin/berth.ts --compile --format=esm --splitting --minify --keep-names --bytecode \
    --no-compile-autoload-dotenv --no-compile-autoload-bunfig
fi
if [ -f src/bin/berthd.ts ] && outdated build/berthd.mjs src package.json package-lock.json; then
  bundle build/berthd.mjs src/bin/berthd.ts --target=node --format=esm
fi
mv -f "$start" build/.built
