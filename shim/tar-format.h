/* The bytes of tar headers. */
#ifndef BERTH_TAR_FORMAT_H
#define BERTH_TAR_FORMAT_H

#include <sys/stat.h>

#include "buffer.h"
#include "tar.h"

struct tar_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], unused[12];
};

/* Fills a header; what does not fit is added to `pax` as records. */
void tar_header_fill(struct tar_header *header, struct buffer *pax, const char *name, const char *link, char type,
                     const struct stat *info, unsigned long long size);
/* Adds one record: `LENGTH KEY=VALUE\n`. */
void pax_add(struct buffer *pax, const char *key, const void *value, size_t length);
/* Whether the checksum is right. */
int tar_header_valid(const struct tar_header *header);
/* An octal field, or a base-256 one as GNU writes big numbers; LLONG_MIN for one that is too big. */
long long tar_number(const char *field, size_t size);

#endif
