/* A fuzz target: one parser given one hostile input. libFuzzer calls it, and driver.c where there is no libFuzzer. */
#ifndef BERTH_FUZZ_TARGET_H
#define BERTH_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the run as a crash does, so that the input is kept: an invariant of the parser does not hold. */
#define must(condition) ((condition) ? (void)0 : __builtin_trap())

#endif
