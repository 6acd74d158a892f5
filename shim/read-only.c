#define _GNU_SOURCE
#include "read-only.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Definitions of linux/mount.h, which older headers lack. The number is the same on all architectures. */
#define SYS_MOUNT_SETATTR 442
#define READ_ONLY 1
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

struct attributes {
    uint64_t set, clear, propagation, user_namespace;
};

static int restrict_all(const char *target)
{
    struct attributes attributes = {.set = READ_ONLY};
    return (int)syscall(SYS_MOUNT_SETATTR, AT_FDCWD, target, AT_RECURSIVE, &attributes, sizeof attributes);
}

static int restrict_top(const char *target)
{
    return mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
}

int bind_restrict(const char *target, const char *access)
{
    if (!strcmp(access, "rw")) return 0;
    if (!strcmp(access, "ro-top")) return restrict_top(target);
    int result = restrict_all(target);
    if (result < 0 && errno == ENOSYS && strcmp(access, "ro-all")) return restrict_top(target);
    return result;
}

const char *bind_problem(int error)
{
    return error == ENOSYS ? "this kernel cannot make the mounts below it read-only (Linux 5.12 can): leave out the demand"
                           : strerror(error);
}
