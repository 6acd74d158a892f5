#define _GNU_SOURCE
#include "own-mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

int own_mounts_root(void)
{
    /* A host that runs from its initial file system cannot pivot: what is under that stays, out of reach. */
    if (syscall(SYS_pivot_root, ".", ".") == 0) return umount2(".", MNT_DETACH) < 0 ? -1 : chdir("/");
    if (errno != EINVAL || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0) return -1;
    return chdir("/");
}

/* The number of the mount that a descriptor is on. */
static int mount_of(int fd)
{
    char path[64], line[64];
    int number = -1;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "mnt_id: %d", &number) == 1) break;
    if (file) fclose(file);
    return number;
}

/* Whether the folder is the root: 1, 0, or -1 with errno. */
static int is_root(int folder)
{
    struct stat one, other;
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return -1;
    int here = mount_of(folder), top = mount_of(root);
    int result = here < 0 || top < 0 || fstat(folder, &one) < 0 || fstat(root, &other) < 0 ? -1 :
                 here == top && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
    close(root);
    return result;
}

/* A folder need not be a mount point: a copy of what is there is one. */
static int make_root(int folder)
{
    const unsigned copy = OPEN_TREE_CLONE | AT_RECURSIVE | AT_EMPTY_PATH | O_CLOEXEC;
    const unsigned there = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    int tree = (int)syscall(SYS_open_tree, folder, "", copy);
    if (tree < 0) return -1;
    int result = syscall(SYS_move_mount, tree, "", folder, "", there) < 0 || fchdir(tree) < 0 ? -1 : own_mounts_root();
    close(tree);
    return result;
}

int own_mounts(void)
{
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here) || unshare(CLONE_NEWNS) < 0) return -1;
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), space = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    /* Entered, it shows its own root, whatever ours was. */
    int result = root < 0 || space < 0 || setns(space, CLONE_NEWNS) < 0 ? -1 : mount("", "/", NULL, MS_REC | MS_SLAVE, NULL);
    int was_root = result < 0 ? -1 : is_root(root);
    if (was_root < 0 || (!was_root && make_root(root) < 0) || chdir(here) < 0) result = -1;
    int error = errno;
    if (root >= 0) close(root);
    if (space >= 0) close(space);
    return errno = error, result;
}
