#define _GNU_SOURCE
#include "upper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static void copy_xattrs(int from, int to)
{
    static char names[65536], value[65536];
    ssize_t length = flistxattr(from, names, sizeof names);
    for (char *name = names; name < names + length; name += strlen(name) + 1) {
        if (strncmp(name, "user.", 5)) continue;
        ssize_t size = fgetxattr(from, name, value, sizeof value);
        /* A file system without such attributes does without. */
        if (size >= 0) fsetxattr(to, name, value, (size_t)size, 0);
    }
}

static int copy_attributes(const char *from, const char *to)
{
    struct stat info;
    int source = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC), target = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = source < 0 || target < 0 || fstat(source, &info) < 0 ? -1 : 0;
    if (result == 0) {
        const struct timespec times[2] = {info.st_atim, info.st_mtim};
        copy_xattrs(source, target);
        if (fchown(target, info.st_uid, info.st_gid) < 0 || fchmod(target, info.st_mode & 07777) < 0 ||
            futimens(target, times) < 0)
            result = -1;
    }
    int error = errno;
    close(source);
    close(target);
    errno = error;
    return result;
}

int upper_make(const char *upper, const char *lower)
{
    char aside[4096];
    if (access(upper, F_OK) == 0) return 0;
    if (!lower) return mkdir(upper, 0755);
    /* Under its name it is complete, whenever we were cut short. */
    snprintf(aside, sizeof aside, "%s.new", upper);
    if (mkdir(aside, 0755) < 0 && errno != EEXIST) return -1;
    if (copy_attributes(lower, aside) < 0) return -1;
    return rename(aside, upper);
}
