#include "tar-source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../shim/tar-format.h"

struct source source_of(const uint8_t *data, size_t size)
{
    return (struct source){.data = size ? data + 1 : data, .left = size ? size - 1 : 0, .mends = size && data[0] % 8};
}

static void mend(struct tar_header *header)
{
    unsigned sum = 0;
    memset(header->checksum, ' ', sizeof header->checksum);
    for (size_t i = 0; i < sizeof *header; i++) sum += ((const unsigned char *)header)[i];
    snprintf(header->checksum, sizeof header->checksum, "%06o", sum);
}

int source_read(void *context, void *data, size_t length)
{
    struct source *source = context;
    static const struct tar_header empty;
    if (source->left < length) return errno = source->left ? EPIPE : 0, source->left = 0, -1;
    memcpy(data, source->data, length);
    source->data += length;
    source->left -= length;
    if (source->mends && length == sizeof empty && memcmp(data, &empty, length)) mend(data);
    return 0;
}
