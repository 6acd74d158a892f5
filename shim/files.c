/* Operations on the instance's files, each in a child that owns the client's connection from then on. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "container.h"
#include "fsops.h"
#include "own-group.h"
#include "resolve.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

struct worker {
    pid_t pid;
    void (*ended)(void *context);
    void *context;
    struct worker *next;
};

static struct worker *workers;

static void worker_ended(void *context, int status)
{
    (void)status;
    struct worker **link = &workers, *worker = context;
    while (*link != worker) link = &(*link)->next;
    *link = worker->next;
    if (worker->ended) worker->ended(worker->context);
    free(worker);
}

void files_worker(pid_t pid, void (*ended)(void *context), void *context)
{
    struct worker *worker = xmalloc(sizeof *worker);
    *worker = (struct worker){pid, ended, context, workers};
    workers = worker;
    loop_child(pid, worker_ended, worker);
}

void files_stop(void)
{
    for (struct worker *worker = workers; worker; worker = worker->next) kill(worker->pid, SIGKILL);
}

/* The root as the workload sees it, mounts and all; that of a held instance otherwise. */
static int enter_root(void)
{
    char path[64] = "rootfs";
    if (main_pid()) snprintf(path, sizeof path, "/proc/%d/root", main_pid());
    return chdir(path) < 0 || chroot(".") < 0 ? -1 : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int serve_changes(int socket)
{
    int lower[MAX_LAYERS], count = 0;
    int upper = open("upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = container.layer_count; i-- > 0;) {
        lower[count] = open(container.layers[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (lower[count] >= 0) count++;
    }
    return fsops_changes(socket, upper, lower, count);
}

int files_only_socket(int fd)
{
    if (fd != 3 && dup2(fd, 3) < 0) return -1;
    if (syscall(SYS_close_range, 4u, ~0u, 0u) == 0) return 3;
    for (int other = 4; other < 65536; other++) close(other);
    return 3;
}

static void work(struct conn *conn, const char *op, const struct fields *fields, size_t used)
{
    int socket = files_only_socket(conn->watch.fd);
    loop_forget_signals();
    fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) & ~O_NONBLOCK);
    if (!strcmp(op, "changes")) _exit(serve_changes(socket));
    reopen_from_anywhere();
    int root = enter_root();
    if (root < 0) _exit(fsops_fail(socket, errno, "cannot enter the root file system"));
    struct buffer pending = conn->in;
    buffer_consume(&pending, used);
    _exit(fsops_serve(socket, root, op, fields, &pending));
}

static int hand_over(struct conn *conn, const char *op, const struct fields *fields)
{
    enum main_state state = main_state();
    if (state != MAIN_RUNNING && state != MAIN_PAUSED && state != MAIN_HELD)
        return conn_fail(conn, "invalid-state", 0, "the instance's file system is not mounted"), 0;
    pid_t pid = fork_outside(0);
    if (!pid) work(conn, op, fields, FRAME_HEADER + fields->length);
    if (pid < 0) return conn_fail(conn, "exhausted", 0, "fork: %s", strerror(errno)), 0;
    files_worker(pid, NULL, NULL);
    conn_forget(conn);
    return 0;
}

int files_operation(struct conn *conn, const char *op, const struct fields *fields)
{
    if (!strcmp(op, "identity")) return identity_open(conn, fields), 0;
    if (!strcmp(op, "changes") || fsops_knows(op)) return hand_over(conn, op, fields);
    return -1;
}
