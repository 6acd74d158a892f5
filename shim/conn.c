#define _GNU_SOURCE
#include "conn.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <fcntl.h>

#define READ_SIZE 65536

static struct conn *conns, *graveyard;
static int count;
static struct watch listener;
static void (*on_open)(struct conn *, const struct fields *);
static void (*on_idle)(void);

static void process(struct conn *conn);

/* Asks without reading the answers: it gets no more of them. */
static int is_behind(const struct conn *conn) { return !conn->handler && conn_full(conn); }

static void update(struct conn *conn)
{
    uint32_t events = (conn->paused || conn->ending || is_behind(conn) ? 0 : EPOLLIN) | (conn->out.length ? EPOLLOUT : 0);
    /* A client that goes away while it is paused must still be noticed. */
    loop_change(&conn->watch, events ? events | EPOLLRDHUP : EPOLLRDHUP);
}

/* Memory of a dropped connection stays until the next event: callers up the stack may still look at it. */
static void drop(struct conn *conn)
{
    if (conn->dead) return;
    conn->dead = 1;
    loop_close(&conn->watch);
    const struct conn_handler *handler = conn->handler;
    conn->handler = NULL;
    if (handler && handler->closed) handler->closed(conn);
    *conn->link = conn->next;
    if (conn->next) conn->next->link = conn->link;
    conn->next = graveyard;
    graveyard = conn;
    count--;
    if (!count && on_idle) on_idle();
}

static void bury(void)
{
    while (graveyard) {
        struct conn *conn = graveyard;
        graveyard = conn->next;
        buffer_free(&conn->in);
        buffer_free(&conn->out);
        free(conn);
    }
}

/* Sends what it can; returns -1 when the connection was dropped. */
static int flush(struct conn *conn)
{
    while (!conn->dead && conn->out.length) {
        ssize_t sent = send(conn->watch.fd, buffer_head(&conn->out), conn->out.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (sent < 0) return drop(conn), -1;
        buffer_consume(&conn->out, (size_t)sent);
    }
    if (!conn->out.length && conn->ending) return drop(conn), -1;
    update(conn);
    if (conn->was_full && conn->out.length <= CONN_FULL / 2) {
        conn->was_full = 0;
        if (conn->handler && conn->handler->drained) conn->handler->drained(conn);
        if (!conn->dead) process(conn);
    }
    return conn->dead ? -1 : 0;
}

static void fill(struct conn *conn)
{
    ssize_t got = recv(conn->watch.fd, buffer_reserve(&conn->in, READ_SIZE), READ_SIZE, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return drop(conn);
    buffer_added(&conn->in, (size_t)got);
    process(conn);
}

static void conn_ready(struct watch *watch, uint32_t events)
{
    struct conn *conn = watch->context;
    bury();
    if (events & EPOLLOUT && flush(conn) < 0) return;
    if (conn->paused && events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) return drop(conn);
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) fill(conn);
}

static int dispatch(struct conn *conn, const struct frame *frame)
{
    if (conn->handler) {
        if (conn->handler->frame) conn->handler->frame(conn, frame);
        return 0;
    }
    struct fields fields;
    if (frame->type != FRAME_OPEN || fields_parse(&fields, frame) < 0) return -1;
    on_open(conn, &fields);
    return 0;
}

static void process(struct conn *conn)
{
    if (conn->processing) return;
    conn->processing = 1;
    struct frame frame;
    int state = 0;
    while (!conn->dead && !conn->paused && !conn->ending && !is_behind(conn) && (state = frame_peek(&conn->in, &frame)) > 0) {
        size_t size = frame_size(&frame);
        if (dispatch(conn, &frame) < 0) state = -1;
        if (state < 0) break;
        buffer_consume(&conn->in, size);
    }
    conn->processing = 0;
    if (conn->dead) return;
    if (state < 0) drop(conn);
    else update(conn);
}

static void add(int fd)
{
    struct conn *conn = xmalloc(sizeof *conn);
    conn->watch = (struct watch){.fd = fd, .ready = conn_ready, .context = conn};
    conn->next = conns;
    conn->link = &conns;
    if (conns) conns->link = &conn->next;
    conns = conn;
    count++;
    loop_watch(&conn->watch, EPOLLIN | EPOLLRDHUP);
}

static void listener_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) add(fd);
}

int conn_listen(const char *path, int first_fd, void (*opened)(struct conn *, const struct fields *))
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    on_open = opened;
    if (strlen(path) >= sizeof address.sun_path) return errno = ENAMETOOLONG, -1;
    strcpy(address.sun_path, path);
    unlink(path);
    listener = (struct watch){.ready = listener_ready};
    listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener.fd < 0 || bind(listener.fd, (struct sockaddr *)&address, sizeof address) < 0) return -1;
    if (listen(listener.fd, 128) < 0) return -1;
    loop_watch(&listener, EPOLLIN);
    if (first_fd >= 0) {
        fcntl(first_fd, F_SETFD, FD_CLOEXEC);
        add(first_fd);
    }
    return 0;
}

int conn_count(void) { return count; }
void conn_on_idle(void (*idle)(void)) { on_idle = idle; }

void conn_send(struct conn *conn, uint8_t type, const void *payload, size_t length)
{
    if (conn->dead) return;
    int idle = !conn->out.length;
    frame_append(&conn->out, type, 0, payload, length);
    if (conn->out.length > CONN_FULL) conn->was_full = 1;
    /* The kernel's buffer nearly always has room; a failure is left for the loop to find, so that no caller ever
     * loses the connection it is working with. */
    if (!idle) return;
    ssize_t sent = send(conn->watch.fd, buffer_head(&conn->out), conn->out.length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) buffer_consume(&conn->out, (size_t)sent);
    update(conn);
}

void conn_send_fields(struct conn *conn, uint8_t type, struct buffer *fields)
{
    conn_send(conn, type, fields->length ? buffer_head(fields) : "", fields->length);
    buffer_free(fields);
}

void conn_opened(struct conn *conn) { conn_send(conn, FRAME_OPENED, "", 0); }

void conn_fail(struct conn *conn, const char *code, int status, const char *format, ...)
{
    char message[4096], visible[4096];
    struct buffer fields = {0};
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    /* The message may quote a guest, QEMU or a runtime. */
    text_visible(visible, sizeof visible, message);
    field_add(&fields, "code", code);
    field_add(&fields, "message", visible);
    if (status) field_add_number(&fields, "status", status);
    conn_send_fields(conn, FRAME_FAIL, &fields);
}

int conn_full(const struct conn *conn) { return conn->out.length > CONN_FULL; }

void conn_pause(struct conn *conn, int paused)
{
    if (conn->dead || conn->paused == paused) return;
    conn->paused = paused;
    if (paused) update(conn);
    else process(conn);
}

void conn_take(struct conn *conn, const struct conn_handler *handler, void *context)
{
    conn->handler = handler;
    conn->context = context;
}

void conn_end(struct conn *conn)
{
    if (conn->dead || conn->ending) return;
    conn->ending = 1;
    if (conn->out.length) update(conn);
    else drop(conn);
}

void conn_forget(struct conn *conn)
{
    conn->handler = NULL;
    drop(conn);
}

void conn_flush_all(int milliseconds)
{
    for (struct conn *conn = conns, *next; conn; conn = next) {
        next = conn->next;
        struct pollfd poll_fd = {.fd = conn->watch.fd, .events = POLLOUT};
        while (conn->out.length && poll(&poll_fd, 1, milliseconds) > 0 && !(poll_fd.revents & (POLLERR | POLLHUP)))
            if (flush(conn) < 0) break;
    }
}
