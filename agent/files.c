/* Operations on files: each runs in a child inside the workload's root, which speaks frames on a socket; the agent
 * passes them on under the channel's number and keeps the windows. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../shim/fsops.h"
#include "../shim/resolve.h"
#include "agent.h"

#define READ_SIZE 32768
/* More than this from the child waits in the child: a frame at least, whatever room the host has. */
#define MAX_WAITING (FRAME_MAX + FRAME_HEADER)

struct relay {
    uint32_t channel;
    pid_t pid;
    struct watch socket;
    struct buffer input, output;
    /* What the host may be sent, and what it is to be given back when the input has been taken. */
    size_t credit, owed;
    int one_shot, told_end, ended;
    struct relay *next;
};

static struct relay *relays;

static struct relay *find(uint32_t channel)
{
    struct relay *relay = relays;
    while (relay && relay->channel != channel) relay = relay->next;
    return relay;
}

static void release(struct relay *relay)
{
    struct relay **link = &relays;
    while (*link != relay) link = &(*link)->next;
    *link = relay->next;
    loop_close(&relay->socket);
    buffer_free(&relay->input);
    buffer_free(&relay->output);
    free(relay);
}

static void update(struct relay *relay)
{
    int wants_more = !relay->ended && relay->output.length < MAX_WAITING;
    uint32_t events = (wants_more ? EPOLLIN : 0) | (relay->input.length && !relay->ended ? EPOLLOUT : 0);
    loop_change(&relay->socket, events);
}

static int is_last(const struct relay *relay, uint8_t type)
{
    return type == FRAME_EXIT || type == FRAME_FAIL || (relay->one_shot && type == FRAME_OPENED);
}

/* Sends on what the child said, as far as the host has room for it. */
static void pass_on(struct relay *relay)
{
    struct frame frame;
    while (frame_peek(&relay->output, &frame) > 0) {
        int is_data = frame.type == FRAME_STDOUT;
        if (is_data && relay->credit < frame.length) break;
        if (is_data) relay->credit -= frame.length;
        if (is_last(relay, frame.type)) relay->told_end = 1;
        link_send(frame.type, relay->channel, frame.payload, frame.length);
        buffer_consume(&relay->output, frame_size(&frame));
    }
}

/* Passes on what there is, and lets go when that was all. */
static void proceed(struct relay *relay)
{
    struct failure failure;
    struct frame frame;
    pass_on(relay);
    if (!relay->told_end && relay->ended && frame_peek(&relay->output, &frame) <= 0) {
        /* The child was killed: mostly with all else, as the machine ends with its workload. */
        fail_with(&failure, "unavailable", 0, "the operation was killed; the machine is ending, or has no memory left");
        link_fail(relay->channel, &failure);
        relay->told_end = 1;
    }
    if (relay->told_end) release(relay);
    else update(relay);
}

static void take(struct relay *relay)
{
    ssize_t got = recv(relay->socket.fd, buffer_reserve(&relay->output, READ_SIZE), READ_SIZE, MSG_DONTWAIT);
    if (got > 0) buffer_added(&relay->output, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR)) relay->ended = 1;
    proceed(relay);
}

static void feed(struct relay *relay)
{
    while (relay->input.length) {
        ssize_t sent = send(relay->socket.fd, buffer_head(&relay->input), relay->input.length,
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0) break;
        buffer_consume(&relay->input, (size_t)sent);
    }
    if (relay->input.length) return;
    link_window(relay->channel, relay->owed);
    relay->owed = 0;
}

static void ready(struct watch *watch, uint32_t events)
{
    struct relay *relay = watch->context;
    if (events & EPOLLOUT) feed(relay);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) return take(relay);
    update(relay);
}

static int serve_changes(int socket)
{
    int upper = open(UPPER_PATH, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int lower = open(LOWER_PATH, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fsops_changes(socket, upper, &lower, 1);
}

/* Is not about files, but may have to wait for the workload's just as well. */
static int serve_other(int socket, const char *operation)
{
    if (!strcmp(operation, "processes")) return report_processes(socket), 0;
    sync();
    return fsops_send(socket, FRAME_OPENED, "", 0);
}

static int is_other(const char *operation) { return !strcmp(operation, "processes") || !strcmp(operation, "sync"); }

static int is_one_shot(const char *operation)
{
    return !strcmp(operation, "stat") || !strcmp(operation, "sync") || !strcmp(operation, "identity");
}

static void serve(int socket, const char *operation, const struct fields *fields) __attribute__((noreturn));
static void serve(int socket, const char *operation, const struct fields *fields)
{
    struct failure failure;
    struct buffer pending = {0};
    loop_forget_signals();
    if (!strcmp(operation, "changes")) _exit(serve_changes(socket));
    if (is_other(operation)) _exit(serve_other(socket, operation));
    reopen_from_anywhere();
    pid_t view = process_main() ? process_main() : process_holder();
    if (!view || sandbox_enter_existing(sandbox_open(view), &failure) < 0)
        _exit(fsops_fail(socket, ESRCH, "the file system is not mounted"));
    if (chdir("/") < 0 || chroot("/") < 0) _exit(fsops_fail(socket, errno, "cannot enter the root file system"));
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _exit(fsops_serve(socket, root, operation, fields, &pending));
}

void files_serve(uint32_t channel, const char *operation, const struct fields *fields)
{
    struct failure failure;
    int pair[2];
    if (strcmp(operation, "changes") && !is_other(operation) && !fsops_knows(operation)) {
        fail_with(&failure, "unsupported", 0, "unknown operation %s", operation);
        return link_fail(channel, &failure);
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        fail_with(&failure, "exhausted", 0, "the guest cannot open sockets: %s", strerror(errno));
        return link_fail(channel, &failure);
    }
    struct relay *relay = xmalloc(sizeof *relay);
    *relay = (struct relay){.channel = channel, 
                            .credit = WINDOW_BYTES,
                            .one_shot = is_one_shot(operation),
                            .next = relays};
    relays = relay;
    relay->pid = fork();
    if (!relay->pid) serve(pair[1], operation, fields);
    close(pair[1]);
    relay->socket = (struct watch){.fd = pair[0], .ready = ready, .context = relay};
    update(relay);
}

int files_frame(const struct frame *frame)
{
    struct relay *relay = find(frame->channel);
    if (!relay) return 0;
    if (frame->type == FRAME_WINDOW) {
        relay->credit += frame_window(frame);
        proceed(relay);
    } else if (frame->type == FRAME_STDIN) {
        frame_append(&relay->input, FRAME_STDIN, 0, frame->payload, frame->length);
        relay->owed += frame->length;
        update(relay);
    }
    return 1;
}

void files_cancel(uint32_t channel)
{
    struct relay *relay = find(channel);
    if (!relay) return;
    kill(relay->pid, SIGKILL);
    release(relay);
}

void files_end_all(void)
{
    while (relays) files_cancel(relays->channel);
}
