/* A mount namespace of our own. */
#ifndef BERTH_OWN_MOUNTS_H
#define BERTH_OWN_MOUNTS_H

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>

/* Not every C library has all of these. */
#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 4
#define MOVE_MOUNT_T_EMPTY_PATH 0x40
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* Gives this process a mount namespace into which the host's later mounts still arrive and out of which nothing gets. Its
 * root is ours, also where that is a folder of the host (chroot): who enters the namespace of a container that is made in
 * it (an exec) would land in the host's root otherwise. 0, or -1 with errno. */
int own_mounts(void);

/* Makes the working directory, which a mount begins at, the root, and lets go of the one before. 0, or -1 with errno. */
int own_mounts_root(void);

#endif
