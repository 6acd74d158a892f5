/* Tar archives, written and read by descriptors: ustar with pax extensions for what does not fit, GNU long names
 * understood. Sparse GNU entries are refused. */
#ifndef BERTH_TAR_H
#define BERTH_TAR_H

#include <stddef.h>
#include <sys/types.h>

#define TAR_BLOCK 512
/* Names, links and attributes are small: all the headers in front of one entry have no more bytes than that. */
#define MAX_EXTENSION (1 << 20)

/* Where an archive goes to or comes from. */
struct tar_stream {
    /* Writing: 0 or -1. */
    int (*write)(void *context, const void *data, size_t length);
    /* Reading: exactly `length` bytes; 0, or -1 when the archive ends before (errno 0: cleanly, nothing was read). */
    int (*read)(void *context, void *data, size_t length);
    void *context;
    /* What went wrong, when a call gave -1; errno is set as well. */
    char problem[512];
    /* The errno of the first object that could not be copied rightly, told in `problem`, though all others were; 0. */
    int incomplete;
};

/* Packs `name` of the folder `parent`, with all below it, as `as`. With `one_filesystem`, nothing mounted below goes
 * in. Never into the kernel's own file systems (proc, sysfs, cgroup, …). Sockets are left out. What cannot be read is
 * left out as well, and a file that ends early or has a damaged part is filled up with zeros: `incomplete` then says so,
 * and the archive must not pass for a whole one. No device, fifo or socket is opened. */
int tar_pack(struct tar_stream *stream, int parent, const char *name, const char *as, int one_filesystem);
/* Packs what is in the folder, named from there on. */
int tar_pack_contents(struct tar_stream *stream, int folder, int one_filesystem);
/* The two empty blocks. */
int tar_finish(struct tar_stream *stream);

struct tar_extract {
    /* Entries go below `destination`, a path inside the root. */
    int root;
    const char *destination;
    /* Refuse to replace a folder by a file or the reverse. */
    int keep_dirs;
    /* Owner of everything, or -1: as the archive says. */
    long long uid, gid;
};

/* Devices and fifos are made, never opened; those that may not be made are `incomplete`. A mounted file keeps its mount and
 * gets the content. */
int tar_unpack(struct tar_stream *stream, const struct tar_extract *options);

#endif
