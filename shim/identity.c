/* The operation `identity`: who a process would be. The workload's files may keep their reader waiting, so a child reads them,
 * and says one frame. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"
#include "fsops.h"
#include "own-group.h"
#include "resolve.h"

/* An answer is far smaller than what a socket holds, so it is there as a whole when the child has ended. */
#define MOST_ANSWER 65536

struct question {
    /* NULL once the client has gone. */
    struct conn *conn;
    pid_t child;
    int answer;
};

static void closed(struct conn *conn)
{
    struct question *question = conn->context;
    question->conn = NULL;
    kill(question->child, SIGKILL);
}

static const struct conn_handler handler = {.closed = closed};

static void answered(void *context)
{
    struct question *question = context;
    struct conn *conn = question->conn;
    struct buffer answer = {0};
    struct frame frame;
    ssize_t got;
    while ((got = recv(question->answer, buffer_reserve(&answer, MOST_ANSWER), MOST_ANSWER, MSG_DONTWAIT)) > 0)
        buffer_added(&answer, (size_t)got);
    close(question->answer);
    free(question);
    if (conn) {
        conn_take(conn, NULL, NULL);
        if (answer.length && frame_peek(&answer, &frame) > 0) conn_send(conn, frame.type, frame.payload, frame.length);
        else conn_fail(conn, "unavailable", 0, "the search for the user was killed");
    }
    buffer_free(&answer);
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

/* `covers` may be NULL: nothing will be mounted on the root that is not there. */
static int serve(int socket, const char *path, const struct fields *process, const struct fields *covers)
{
    static const struct fields none;
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return fsops_fail(socket, ESRCH, "the root file system cannot be reached");
    return fsops_identity(socket, find_account_file(root, "passwd", covers ? covers : &none),
                          find_account_file(root, "group", covers ? covers : &none), process);
}

static void ask(struct question *question, int socket, const struct fields *fields)
{
    char path[64] = "rootfs";
    int runs = main_state() == MAIN_RUNNING || main_state() == MAIN_PAUSED, mounted = runs || main_state() == MAIN_HELD;
    if (runs) snprintf(path, sizeof path, "/proc/%d/root", main_pid());
    /* Sources that cannot be mounted are told by the start that needs them. */
    if (!mounted) mounts_sources(fields);
    question->child = fork_outside(0);
    if (question->child) return;
    loop_forget_signals();
    _exit(serve(files_only_socket(socket), path, fields, mounted ? NULL : fields));
}

void identity_open(struct conn *conn, const struct fields *fields)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return conn_fail(conn, "exhausted", 0, "socketpair: %s", strerror(errno));
    struct question *question = xmalloc(sizeof *question);
    *question = (struct question){.conn = conn, .answer = pair[0]};
    ask(question, pair[1], fields);
    close(pair[1]);
    if (question->child < 0) {
        conn_fail(conn, "exhausted", 0, "fork: %s", strerror(errno));
        close(question->answer);
        return free(question);
    }
    conn_take(conn, &handler, question);
    files_worker(question->child, answered, question);
}
