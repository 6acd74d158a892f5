#define _GNU_SOURCE
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#define MOUNT_ROOT 0x2000
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_NO_SYMLINKS 0x04
#define RESOLVE_BENEATH 0x08
#define RESOLVE_IN_ROOT 0x10

/* struct open_how of linux/openat2.h, which musl's headers do not have. */
struct how {
    uint64_t flags, mode, resolve;
};

/* The beginning of struct statx of linux/stat.h, and room for the rest. */
struct status {
    uint32_t mask, block_size;
    uint64_t attributes, rest[30];
};

/* This process's own descriptors as the host's procfs shows them, once it has left the host's root; -1 before. */
static int own_descriptors = -1;

static int open_inside(int root, const char *path, int flags, uint64_t rules)
{
    struct how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC, .resolve = rules};
    for (int tries = 0;; tries++) {
        int fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
        /* EAGAIN: something was renamed meanwhile and the kernel could not be sure. */
        if (fd >= 0 || errno != EAGAIN || tries > 100) return fd;
    }
}

int resolve(int root, const char *path, int flags)
{
    return open_inside(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

int resolve_plain(int root, const char *path)
{
    return open_inside(root, path, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

void reopen_from_anywhere(void) { own_descriptors = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC); }

int reopen_file(int fd, int flags)
{
    char name[32];
    struct stat info;
    if (fstat(fd, &info) < 0) return -1;
    if (!S_ISREG(info.st_mode)) return errno = S_ISDIR(info.st_mode) ? EISDIR : ENXIO, -1;
    snprintf(name, sizeof name, "%s%d", own_descriptors < 0 ? "/proc/self/fd/" : "", fd);
    return openat(own_descriptors, name, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int resolve_file(int root, const char *path)
{
    int found = resolve(root, path, O_PATH);
    if (found < 0) return -1;
    int fd = reopen_file(found, O_RDONLY), error = errno;
    close(found);
    return errno = error, fd;
}

int resolve_is_mount(int parent, const char *name)
{
    struct status status = {0};
    long result = syscall(SYS_statx, parent, name, AT_SYMLINK_NOFOLLOW, 0, &status);
    return result == 0 && (status.attributes & MOUNT_ROOT);
}

const char *path_base(const char *path)
{
    static char base[NAME_MAX + 2];
    size_t end = strlen(path), begin;
    while (end && path[end - 1] == '/') end--;
    for (begin = end; begin && path[begin - 1] != '/';) begin--;
    /* A name that is too long keeps a byte above the limit, so that the kernel refuses it. */
    if (end - begin > NAME_MAX + 1) end = begin + NAME_MAX + 1;
    memcpy(base, path + begin, end - begin);
    base[end - begin] = 0;
    return base;
}

/* The path without its last part, in a static buffer. */
static char *parent_of(const char *path)
{
    static char parent[PATH_MAX];
    size_t end = strlen(path);
    while (end && path[end - 1] == '/') end--;
    while (end && path[end - 1] != '/') end--;
    if (end >= sizeof parent) return NULL;
    memcpy(parent, path, end);
    parent[end] = 0;
    return parent;
}

int resolve_parent(int root, const char *path)
{
    const char *parent = parent_of(path);
    if (!parent) return errno = ENAMETOOLONG, -1;
    return resolve(root, parent, O_PATH | O_DIRECTORY);
}

int resolve_parents(int root, const char *path, mode_t mode)
{
    char *parent = parent_of(path);
    if (!parent) return errno = ENAMETOOLONG, -1;
    int fd = resolve(root, parent, O_PATH | O_DIRECTORY);
    if (fd >= 0 || errno != ENOENT) return fd;
    for (char *cut = parent + 1, more = 1; more; cut++) {
        if (*cut && *cut != '/') continue;
        more = *cut;
        *cut = 0;
        fd = resolve(root, parent, O_PATH | O_DIRECTORY);
        if (fd < 0 && errno == ENOENT) {
            char copy[PATH_MAX];
            strcpy(copy, parent);
            int above = resolve_parent(root, copy);
            strcpy(parent, copy);
            if (above < 0) return -1;
            int made = mkdirat(above, path_base(copy), mode), error = errno;
            close(above);
            if (made < 0 && error != EEXIST) return errno = error, -1;
            fd = resolve(root, parent, O_PATH | O_DIRECTORY);
        }
        if (fd < 0 || !more) break;
        close(fd);
        *cut = '/';
    }
    return fd;
}
