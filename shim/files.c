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
#include "resolve.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

struct worker {
    pid_t pid;
    struct worker *next;
};

static struct worker *workers;

static void worker_ended(void *context, int status)
{
    (void)status;
    for (struct worker **link = &workers; *link; link = &(*link)->next)
        if (*link == context) {
            *link = (*link)->next;
            free(context);
            return;
        }
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

/* Keeps the client's connection, as descriptor 3, and nothing else of ours: were the listening socket still open here
 * after the shim was killed, the next daemon would wait for an answer from it. */
static int only_socket(int fd)
{
    if (fd != 3 && dup2(fd, 3) < 0) return -1;
    if (syscall(SYS_close_range, 4u, ~0u, 0u) == 0) return 3;
    for (int other = 4; other < 65536; other++) close(other);
    return 3;
}

static void work(struct conn *conn, const char *op, const struct fields *fields, size_t used)
{
    int socket = only_socket(conn->watch.fd);
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
    struct worker *worker = xmalloc(sizeof *worker);
    worker->pid = fork();
    if (!worker->pid) work(conn, op, fields, FRAME_HEADER + fields->length);
    if (worker->pid < 0) {
        free(worker);
        return conn_fail(conn, "exhausted", 0, "fork: %s", strerror(errno)), 0;
    }
    worker->next = workers;
    workers = worker;
    loop_child(worker->pid, worker_ended, worker);
    conn_forget(conn);
    return 0;
}

static int is_same(int a, int b)
{
    struct stat first, second;
    return a >= 0 && b >= 0 && fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* The file `name` in /etc as it will be with these mounts (`source`, `target` and mode in turn, outer ones first) on the
 * root; those inside are only there when the main process runs. */
static int find_account_file(int root, const char *name, const struct fields *fields)
{
    char path[64];
    size_t cursor = 0;
    snprintf(path, sizeof path, "/etc/%s", name);
    int found = resolve(root, path, O_PATH), folder = resolve(root, "/etc", O_PATH);
    for (const char *source; (source = fields_next(fields, "mount", &cursor));) {
        const char *target = fields_next(fields, "mount", &cursor);
        if (!target || !fields_next(fields, "mount", &cursor)) break;
        int place = resolve(root, target, O_PATH), over = -1;
        if (is_same(place, found) || (place < 0 && !strcmp(target, path))) over = open(source, O_PATH | O_CLOEXEC);
        else if (is_same(place, folder)) {
            int inside = open(source, O_PATH | O_DIRECTORY | O_CLOEXEC);
            over = resolve(inside, name, O_PATH);
            if (inside >= 0) close(inside);
        }
        if (place >= 0) close(place);
        if (over < 0) continue;
        if (found >= 0) close(found);
        found = over;
    }
    if (folder >= 0) close(folder);
    return found;
}

static void add_account_file(struct buffer *answer, int root, const char *name, const struct fields *fields)
{
    int found = find_account_file(root, name, fields);
    fsops_account(answer, name, found);
    if (found >= 0) close(found);
}

/* The user and group files as the main process sees them, or is going to. */
static int accounts(struct conn *conn, const struct fields *fields)
{
    static const struct fields none;
    struct buffer answer = {0};
    char path[64] = "rootfs";
    int runs = main_state() == MAIN_RUNNING || main_state() == MAIN_PAUSED;
    if (runs) snprintf(path, sizeof path, "/proc/%d/root", main_pid());
    /* Sources that cannot be mounted are told by the start that needs them. */
    if (!runs && main_state() != MAIN_HELD) mounts_sources(fields);
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const struct fields *covers = runs || main_state() == MAIN_HELD ? &none : fields;
    add_account_file(&answer, root, "passwd", covers);
    add_account_file(&answer, root, "group", covers);
    if (root >= 0) close(root);
    conn_send_fields(conn, FRAME_OPENED, &answer);
    return 0;
}

int files_operation(struct conn *conn, const char *op, const struct fields *fields)
{
    if (!strcmp(op, "accounts")) return accounts(conn, fields);
    if (!strcmp(op, "changes") || fsops_knows(op)) return hand_over(conn, op, fields);
    return -1;
}
