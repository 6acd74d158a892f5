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
/* The object at `path` itself, as O_PATH, where no part of the way is a link; a link at the end is opened itself. */
int resolve_plain(int root, const char *path);
/* Opens what an O_PATH descriptor holds, if that is a regular file: a device, fifo or socket is never opened (ENXIO). */
int reopen_file(int fd, int flags);
/* Lets this process, and none that it forks, reopen once it has left the host's root. */
void reopen_from_anywhere(void);
/* The regular file at `path` for reading, following links inside the root. */
int resolve_file(int root, const char *path);
/* Whether something is mounted at that name of the folder, in whichever mount namespace it is. */
int resolve_is_mount(int parent, const char *name);
/* The last part of a path, without trailing slashes, in a static buffer, cut beyond NAME_MAX + 1; "" for the root, "." and ".." for themselves. */
const char *path_base(const char *path);

#endif
