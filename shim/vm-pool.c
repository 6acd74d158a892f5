#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lock.h"
#include "own-group.h"
#include "vm.h"

/* What this machine has in its folder. Clients find the shim by its socket: that goes last. */
static const char *const belongings[] = {"writable.ext4", "console.log", "exit.tmp", "shim.err", "shim.pid", "shim.sock"};

static int move_to(const char *folder)
{
    char path[4096];
    for (size_t i = 0; i < sizeof belongings / sizeof *belongings; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, belongings[i]);
        if (rename(belongings[i], path) < 0 && errno != ENOENT) return -1;
    }
    return chdir(folder);
}

int pool_become(struct conn *conn, const struct fields *fields)
{
    const char *folder = fields_get(fields, "dir"), *id = fields_get(fields, "id");
    if (!folder || !id) return conn_fail(conn, "invalid-argument", 0, "dir and id are needed"), -1;
    if (lock_take(folder) < 0)
        return conn_fail(conn, errno == EWOULDBLOCK ? "conflict" : "internal", 0, "cannot take %s: %s", folder,
                         errno == EWOULDBLOCK ? "another supervisor holds it" : strerror(errno)), -1;
    if (move_to(folder) < 0)
        return conn_fail(conn, "internal", 0, "cannot move to %s: %s", folder, strerror(errno)), -1;
    options.dir = xstrdup(folder);
    options.id = xstrdup(id);
    const char *group = fields_get(fields, "group"), *outside = fields_get(fields, "outside");
    if (group && outside) options.group = xstrdup(group), options.outside = xstrdup(outside);
    options.tty = fields_flag(fields, "tty");
    options.has_stdin = fields_flag(fields, "stdin");
    options.log = !fields_flag(fields, "no-log");
    options.log_max_bytes = fields_number(fields, "log-max-bytes", 0);
    options.log_max_files = (int)fields_number(fields, "log-max-files", 1);
    own_group_enter();
    return 0;
}

/* What the guest has touched so far stays with whoever it was charged to. */
void pool_join(const struct fields *machine)
{
    char path[4096], number[32];
    size_t cursor = 0;
    machine_set_oom_score(machine, machine_pid());
    int length = snprintf(number, sizeof number, "%d", machine_pid());
    for (const char *folder; (folder = fields_next(machine, "cgroup", &cursor));) {
        snprintf(path, sizeof path, "%s/cgroup.procs", folder);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0) continue;
        if (write(fd, number, (size_t)length) < 0) complain("%s: %s", path, strerror(errno));
        close(fd);
    }
}
