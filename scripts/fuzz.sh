#!/bin/sh
# Fuzzes the parsers of the C programs: sh scripts/fuzz.sh [TARGET] [RUNS]   (npm run fuzz -- tar 5000000)
# Every target of fuzz/ by default, with a million inputs each. With libFuzzer where clang has it, whose inputs grow from what
# they reach, otherwise with fuzz/driver.c. FUZZ_SEED and FUZZ_DRIVER=own|libfuzzer choose. An input that ends a run is kept in
# build/fuzz; give its path to the target's program to run it alone.
set -eu
cd "$(dirname "$0")/../fuzz"

targets=$(make -s targets)
runs=1000000
for word in "$@"; do
  case $word in
    *[!0-9]*) targets=$word ;;
    *) runs=$word ;;
  esac
done

clang=$(command -v clang || command -v clang-19 || command -v clang-18 || command -v clang-14 || true)
driver=${FUZZ_DRIVER:-}
if [ -z "$driver" ]; then
  driver=own
  if [ -n "$clang" ] && echo 'int LLVMFuzzerTestOneInput(void){return 0;}' |
    "$clang" -x c -fsanitize=fuzzer - -o /dev/null 2>/dev/null; then driver=libfuzzer; fi
fi
seed=${FUZZ_SEED:-$(date +%s)}

for target in $targets; do
  if [ ! -d "corpus/$target" ]; then
    echo "fuzz: there is no target $target; there are: $(make -s targets)" >&2
    exit 64
  fi
  started=$(date +%s)
  if [ "$driver" = libfuzzer ]; then
    make -s CLANG="$clang" "../build/fuzz/$target.libfuzzer"
    grown=../build/fuzz/grown-$target
    mkdir -p "$grown"
    "../build/fuzz/$target.libfuzzer" -runs="$runs" -seed="$seed" -timeout=20 -max_len=4096 -print_final_stats=0 -verbosity=0 \
      -artifact_prefix="../build/fuzz/crash-$target-" "$grown" "corpus/$target"
  else
    make -s "../build/fuzz/$target"
    (cd ../build/fuzz && "./$target" --runs="$runs" --seed="$seed" "../../fuzz/corpus/$target")
  fi
  echo "fuzz: $target: $runs inputs by $driver, seed $seed, $(($(date +%s) - started)) s"
done
