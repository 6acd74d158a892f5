#define _GNU_SOURCE
#include "own-group.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backend.h"
#include "loop.h"

/* Beyond that of the process (memory-limit.c), which leaves a record of its end. */
#define MOST_BYTES "335544320"
#define MOST_PROCESSES "64"
#define TMPFS 0x01021994
#define RAMFS 0x858458f6
/* As <linux/sched.h> and newer headers have them. */
#define INTO_CGROUP 0x200000000ULL
#define CLONE3 435

static enum { NONE, ENTERING, INSIDE } place;

int own_group_is_entered(void) { return place != NONE; }

static int put(const char *folder, const char *file, const char *text)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t written = fd < 0 ? -1 : write(fd, text, strlen(text));
    if (fd >= 0) close(fd);
    return written < 0 ? -1 : 0;
}

static int limit(void)
{
    if (put(options.group, "memory.limit_in_bytes", MOST_BYTES) == 0) {
        put(options.group, "memory.memsw.limit_in_bytes", MOST_BYTES);
        return 0;
    }
    put(options.group, "memory.swap.max", "0");
    put(options.group, "pids.max", MOST_PROCESSES);
    return put(options.group, "memory.max", MOST_BYTES);
}

/* In a child. A supervisor that was here before may be removing the group just now. */
static int make_and_fill(pid_t shim)
{
    char number[16], parent[4096];
    snprintf(number, sizeof number, "%d", shim);
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(options.group, '/') - options.group), options.group);
    mkdir(parent, 0755);
    for (int tries = 0; tries < 3; tries++) {
        if (mkdir(options.group, 0755) < 0 && errno != EEXIST) return -1;
        /* Version 2: the group above hands controllers down, which a runtime or the daemon may not have asked for yet. */
        if (limit() < 0) put(parent, "cgroup.subtree_control", "+memory +pids");
        else if (put(options.group, "cgroup.procs", number) == 0 && getppid() == shim) return 0;
    }
    rmdir(options.group);
    return -1;
}

static void moved(void *context, int status)
{
    (void)context;
    place = status ? NONE : INSIDE;
}

/* The move is made by a child and not waited for: the kernel takes a grace period for it (measured: 12 ms), but not again for
 * moves soon after. */
void own_group_enter(void)
{
    struct statfs folder;
    pid_t shim = getpid();
    if (!options.group || !options.outside || access(options.outside, X_OK) < 0 || statfs(".", &folder) < 0) return;
    /* Where files are memory, logs would be memory of ours. */
    if ((unsigned long)folder.f_type == TMPFS || (unsigned long)folder.f_type == RAMFS) return;
    pid_t mover = fork();
    if (!mover) _exit(make_and_fill(shim) < 0);
    if (mover < 0) return;
    place = ENTERING;
    loop_child(mover, moved, NULL);
}

static pid_t clone_into(const char *group, int flags)
{
    int folder = open(group, O_PATH | O_DIRECTORY | O_CLOEXEC);
    unsigned long long call[11] = {(unsigned)flags | INTO_CGROUP, [4] = SIGCHLD, [10] = (unsigned)folder};
    pid_t child = folder < 0 ? -1 : (pid_t)syscall(CLONE3, call, sizeof call);
    if (folder >= 0) close(folder);
    return child;
}

/* Without the wait of a move between groups: on version 2 by the call for it, on version 1 a thread that moves itself has none. */
pid_t fork_outside(int flags)
{
    char tasks[4096];
    snprintf(tasks, sizeof tasks, "%s/tasks", options.outside ? options.outside : "");
    int is_first = place == INSIDE && access(tasks, W_OK) == 0;
    pid_t child = place == INSIDE && !is_first ? clone_into(options.outside, flags) : -1;
    if (child >= 0) return child;
    child = (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (!child && place == INSIDE && put(options.outside, is_first ? "tasks" : "cgroup.procs", "0") < 0)
        complain("cannot enter %s: %s", options.outside, strerror(errno));
    return child;
}

void own_group_remove(void)
{
    if (place == NONE || (place == INSIDE && put(options.outside, "tasks", "0") == 0 && rmdir(options.group) == 0)) return;
    int shim = (int)syscall(SYS_pidfd_open, getpid(), 0);
    struct pollfd end = {.fd = shim, .events = POLLIN};
    /* The end of the move may not have been heard of. */
    place = INSIDE;
    if (shim < 0 || fork_outside(0)) return;
    while (poll(&end, 1, -1) < 0 && errno == EINTR) continue;
    /* Linux 6.19 takes an ended process out of its group a moment later. */
    for (int tries = 0; tries < 100 && rmdir(options.group) < 0 && errno == EBUSY; tries++) usleep(1000);
}
