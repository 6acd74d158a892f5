/* One entry of an archive that is being read, its extensions taken into account. */
#ifndef BERTH_TAR_ENTRY_H
#define BERTH_TAR_ENTRY_H

#include <sys/types.h>
#include <time.h>

#include "tar.h"

struct tar_xattr {
    struct tar_xattr *next;
    char *name, *value;
    size_t length;
};

struct tar_entry {
    char *path, *link;
    char type;
    mode_t mode;
    /* Each in the range that a file's can have. */
    long long uid, gid, size;
    struct timespec mtime;
    unsigned major, minor;
    struct tar_xattr *xattrs;
};

/* Reads up to the next entry's content: 1, 0 at the end of the archive, -1 with stream->problem. */
int tar_next(struct tar_stream *stream, struct tar_entry *entry);
void tar_entry_free(struct tar_entry *entry);
/* Whether a path inside an archive has a `..` part. */
int tar_path_escapes(const char *path);

#endif
