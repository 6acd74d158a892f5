#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm-store.h"
#include "vm.h"

static int open_part(const struct fields *machine, const char *name, const char *size_name, int flags, char *why,
                     size_t size)
{
    struct stat info;
    const char *path = fields_get(machine, name);
    long long wanted = fields_number(machine, size_name, -1);
    int fd = path ? open(path, flags | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &info) < 0) {
        snprintf(why, size, "the template's %s cannot be opened: %s", name, strerror(errno));
        if (fd >= 0) close(fd);
        return -1;
    }
    if (info.st_size == wanted) return fd;
    snprintf(why, size, "the template's %s has %lld bytes instead of %lld", name, (long long)info.st_size, wanted);
    close(fd);
    return -1;
}

/* Memory that could still change under its forks, or that is some other file by now, is none to be used. */
static int check_memory(int fd, char *why, size_t size)
{
    const int wanted = F_SEAL_WRITE | F_SEAL_SHRINK;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals >= 0 && (seals & wanted) == wanted) return 0;
    snprintf(why, size, "the template's memory is not sealed");
    return -1;
}

static int check_state(const struct fields *machine, int fd, char *why, size_t size)
{
    const char *wanted = fields_get(machine, "state_sum");
    if (wanted && store_sum(fd, fields_number(machine, "state_bytes", 0)) == strtoull(wanted, NULL, 16)) return 0;
    snprintf(why, size, "the template's state is damaged: its checksum is wrong");
    return -1;
}

int fork_open(const struct fields *machine, int fds[FD_COUNT], char *why, size_t size)
{
    /* QEMU opens it once more through this descriptor, for reading and writing, and maps it privately. */
    int memory = open_part(machine, "memory", "memory_bytes", O_RDWR, why, size);
    int state = memory < 0 ? -1 : open_part(machine, "state", "state_bytes", O_RDONLY, why, size);
    if (state >= 0 && check_memory(memory, why, size) == 0 && check_state(machine, state, why, size) == 0) {
        fds[FD_MEMORY - FD_LINK] = memory;
        fds[FD_STATE - FD_LINK] = state;
        return 0;
    }
    if (memory >= 0) close(memory);
    if (state >= 0) close(state);
    return -1;
}
