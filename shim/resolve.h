/* Paths resolved inside a root: no link, `..` or magic link leads out. For the shim and the guest agent. */
#ifndef BERTH_RESOLVE_H
#define BERTH_RESOLVE_H

#include <sys/types.h>

/* Opens `path` (absolute or not) below the folder `root`, following links inside it; `flags` as open's, O_NOFOLLOW for
 * the last part. A descriptor, or -1 with errno. */
int resolve(int root, const char *path, int flags);
/* Opens the folder that holds the last part of `path`, following links. */
int resolve_parent(int root, const char *path);
/* The same, making folders that are missing. */
int resolve_parents(int root, const char *path, mode_t mode);
/* The last part of a path, without trailing slashes, in a static buffer; "" for the root, "." and ".." for themselves. */
const char *path_base(const char *path);

#endif
