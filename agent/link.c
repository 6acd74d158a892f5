#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent.h"

#define READ_SIZE 65536

void agent_frame(const struct frame *frame);

static struct watch port;
static struct buffer incoming, outgoing;
static int held;

int fail_with(struct failure *failure, const char *code, int status, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(failure->message, sizeof failure->message, format, list);
    va_end(list);
    snprintf(failure->code, sizeof failure->code, "%s", code);
    failure->status = status;
    return -1;
}

static void receive(void)
{
    ssize_t got = read(port.fd, buffer_reserve(&incoming, READ_SIZE), READ_SIZE);
    if (got <= 0) {
        /* Without its supervisor on the other side this machine has no purpose; the host ends it. */
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) boot_restart();
        return;
    }
    buffer_added(&incoming, (size_t)got);
    struct frame frame;
    int state;
    while ((state = frame_peek(&incoming, &frame)) > 0) {
        size_t size = frame_size(&frame);
        agent_frame(&frame);
        buffer_consume(&incoming, size);
    }
    if (state < 0) boot_restart();
}

static void transmit(void)
{
    while (outgoing.length && !held) {
        ssize_t sent = write(port.fd, buffer_head(&outgoing), outgoing.length);
        if (sent <= 0) break;
        buffer_consume(&outgoing, (size_t)sent);
    }
    loop_change(&port, EPOLLIN | (outgoing.length && !held ? EPOLLOUT : 0));
}

static void port_ready(struct watch *watch, uint32_t events)
{
    (void)watch;
    if (events & EPOLLOUT) transmit();
    if (events & (EPOLLIN | EPOLLHUP)) receive();
}

void link_open(int fd)
{
    port = (struct watch){.fd = fd, .ready = port_ready};
    loop_watch(&port, EPOLLIN);
}

void link_send(uint8_t type, uint32_t channel, const void *payload, size_t length)
{
    int idle = !outgoing.length;
    frame_append(&outgoing, type, channel, payload, length);
    if (idle) transmit();
}

void link_send_fields(uint8_t type, uint32_t channel, struct buffer *fields)
{
    link_send(type, channel, fields->length ? buffer_head(fields) : "", fields->length);
    buffer_free(fields);
}

void link_opened(uint32_t channel) { link_send(FRAME_OPENED, channel, "", 0); }

void link_fail(uint32_t channel, const struct failure *failure)
{
    struct buffer fields = {0};
    field_add(&fields, "code", failure->code);
    field_add(&fields, "message", failure->message);
    if (failure->status) field_add_number(&fields, "status", failure->status);
    link_send_fields(FRAME_FAIL, channel, &fields);
}

void link_window(uint32_t channel, size_t bytes)
{
    unsigned char count[4] = {bytes >> 24, bytes >> 16, bytes >> 8, bytes};
    if (bytes) link_send(FRAME_WINDOW, channel, count, sizeof count);
}

void link_flush(void)
{
    while (outgoing.length) {
        struct pollfd wait = {.fd = port.fd, .events = POLLOUT};
        if (poll(&wait, 1, -1) < 0 && errno != EINTR) return;
        transmit();
    }
}

void link_hold(int on)
{
    held = on;
    if (!on) transmit();
}
