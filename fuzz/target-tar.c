/* An archive's headers and pax records: shim/tar-entry.c. */
#include <string.h>

#include "../shim/tar-entry.h"
#include "tar-source.h"

static void check(const struct tar_entry *entry)
{
    size_t attributes = 0;
    must(entry->path && entry->link && strchr("0123456", entry->type));
    must(entry->size >= 0 && (entry->type == '0' || entry->size == 0));
    must(entry->uid >= 0 && entry->uid < UINT32_MAX && entry->gid >= 0 && entry->gid < UINT32_MAX);
    must((entry->mode & ~07777u) == 0 && entry->mtime.tv_nsec >= 0 && entry->mtime.tv_nsec < 1000000000);
    for (const struct tar_xattr *xattr = entry->xattrs; xattr; xattr = xattr->next) attributes += xattr->length;
    must(attributes <= 1 << 20);
    tar_path_escapes(entry->path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source source = source_of(data, size);
    struct tar_stream stream = {.read = source_read, .context = &source};
    struct tar_entry entry;
    int state;
    while ((state = tar_next(&stream, &entry)) > 0) {
        check(&entry);
        unsigned long long content = ((unsigned long long)entry.size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
        size_t skipped = content < source.left ? (size_t)content : source.left;
        source.data += skipped;
        source.left -= skipped;
        tar_entry_free(&entry);
    }
    must(state == 0 || *stream.problem);
    return 0;
}
