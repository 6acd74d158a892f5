/* File systems in image files, and folders inside a volume: both are mounted where only we see them, in a mount
 * namespace of the caller's own, so that neither a mount nor a loop device outlives its last user. */
#ifndef BERTH_IMAGE_H
#define BERTH_IMAGE_H

#include "frame.h"

/* Mounts the ext4 file system in the file `image` at the folder `target`. All who mount one image share one loop
 * device, which goes with the last mount. 0, or -1 with errno. */
int image_mount(const char *image, const char *target);

/* A host path that is bound before a runtime or virtiofsd sees it: the file or folder `root`, or the folder "data" in
 * `image` unless that is empty; of it `subpath` unless that is empty, in which no link leads out. `access` is as
 * bind_restrict knows it. */
struct source {
    int number;
    const char *image, *root, *subpath, *access;
};

/* Takes the next one of the `source` fields, which are its members in turn. 1, 0 when there is none, -1 if incomplete. */
int source_next(const struct fields *fields, size_t *cursor, struct source *source);

/* Binds it onto `target`, which is made. `scratch` is a path where nothing is, used in passing. 0, or -1 with errno. */
int source_bind(const char *scratch, const struct source *source, const char *target);

#endif
