#define _GNU_SOURCE
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_IN_ROOT 0x10

/* struct open_how of linux/openat2.h, which musl's headers do not have. */
struct how {
    uint64_t flags, mode, resolve;
};

int resolve(int root, const char *path, int flags)
{
    struct how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    for (int tries = 0;; tries++) {
        int fd = (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof how);
        /* EAGAIN: something was renamed meanwhile and the kernel could not be sure. */
        if (fd >= 0 || errno != EAGAIN || tries > 100) return fd;
    }
}

const char *path_base(const char *path)
{
    static char base[NAME_MAX + 1];
    size_t end = strlen(path), begin;
    while (end && path[end - 1] == '/') end--;
    for (begin = end; begin && path[begin - 1] != '/';) begin--;
    if (end - begin > NAME_MAX) end = begin + NAME_MAX;
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
            char name[NAME_MAX + 1], copy[PATH_MAX];
            strcpy(copy, parent);
            strcpy(name, path_base(copy));
            int above = resolve_parent(root, copy);
            strcpy(parent, copy);
            if (above < 0 || (mkdirat(above, name, mode) < 0 && errno != EEXIST)) return -1;
            close(above);
            fd = resolve(root, parent, O_PATH | O_DIRECTORY);
        }
        if (fd < 0 || !more) break;
        close(fd);
        *cut = '/';
    }
    return fd;
}
