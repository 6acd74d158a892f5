/* An archive out of an input, its first byte apart: unless that says otherwise, checksums are put right as headers are read,
 * as hardly any input would get beyond them without that. */
#ifndef BERTH_FUZZ_TAR_SOURCE_H
#define BERTH_FUZZ_TAR_SOURCE_H

#include "../shim/tar.h"
#include "target.h"

struct source {
    const uint8_t *data;
    size_t left;
    int mends;
};

struct source source_of(const uint8_t *data, size_t size);
/* As tar_stream's `read`. */
int source_read(void *context, void *data, size_t length);

#endif
