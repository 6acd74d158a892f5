/* The agent link: one byte stream shared by channels. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vm.h"

#define READ_SIZE 65536

/* Bytes that may wait for a guest which does not read. Beyond this, frames that can be left out are left out. */
#define MOST_BACKLOG (1u << 20)

static struct watch port = {.fd = -1};
static struct buffer incoming, outgoing, held;
static int holding;
static int awaited = -1, arrived;
/* The size of the frame being handled, as long as it has not been consumed. */
static size_t handling;

static void transmit(void)
{
    while (outgoing.length && port.fd >= 0) {
        ssize_t sent = send(port.fd, buffer_head(&outgoing), outgoing.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0) break;
        buffer_consume(&outgoing, (size_t)sent);
    }
    loop_change(&port, EPOLLIN | (outgoing.length ? EPOLLOUT : 0));
}

void link_send(uint8_t type, uint32_t channel, const void *payload, size_t length)
{
    if (port.fd < 0) return;
    frame_append(holding ? &held : &outgoing, type, channel, payload, length);
    if (!holding) transmit();
}

void link_hold(void) { holding = 1; }

void link_release(uint8_t type, uint32_t channel, const void *payload, size_t length)
{
    holding = 0;
    if (port.fd < 0) return;
    frame_append(&outgoing, type, channel, payload, length);
    buffer_append(&outgoing, buffer_head(&held), held.length);
    buffer_consume(&held, held.length);
    transmit();
}

void link_credit(uint32_t channel, size_t bytes)
{
    unsigned char count[4] = {bytes >> 24, bytes >> 16, bytes >> 8, bytes};
    if (bytes) link_send(FRAME_WINDOW, channel, count, sizeof count);
}

int link_is_behind(void) { return outgoing.length + held.length > MOST_BACKLOG; }

/* 0, or -1 when the guest broke the protocol. */
static int agent_frame(const struct frame *frame)
{
    if (frame->channel == CHANNEL_LINK && frame->type == awaited) arrived = 1;
    if (frame->channel > CHANNEL_MAIN) return channel_frame(frame);
    return awaited < 0 ? vm_link_frame(frame) : 0;
}

/* 0 when the link has gone. */
static int receive(void)
{
    ssize_t length = recv(port.fd, buffer_reserve(&incoming, READ_SIZE), READ_SIZE, MSG_DONTWAIT);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
    if (length <= 0) return loop_close(&port), 0;
    buffer_added(&incoming, (size_t)length);
    struct frame frame;
    int state = 0;
    while (port.fd >= 0 && (state = frame_peek(&incoming, &frame)) > 0) {
        handling = frame_size(&frame);
        if (agent_frame(&frame) < 0) state = -1;
        buffer_consume(&incoming, handling);
        handling = 0;
        if (state < 0) break;
    }
    if (port.fd < 0) return 0;
    /* A guest that breaks the protocol is as good as gone; nothing it says can be trusted any more. */
    if (state < 0) loop_close(&port), vm_give_up("the guest broke the protocol and its machine was ended");
    return state >= 0;
}

static void port_ready(struct watch *watch, uint32_t events)
{
    (void)watch;
    if (events & EPOLLOUT) transmit();
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive();
}

void link_open(int fd)
{
    port = (struct watch){.fd = fd, .ready = port_ready};
    loop_watch(&port, EPOLLIN);
}

int link_await(uint8_t type, int milliseconds)
{
    long long deadline = loop_now_ms() + milliseconds;
    /* Called while a frame is handled, this goes on to the ones behind it. */
    buffer_consume(&incoming, handling);
    handling = 0;
    for (awaited = type, arrived = 0; !arrived;) {
        long long left = deadline - loop_now_ms();
        struct pollfd wait = {.fd = port.fd, .events = POLLIN | (outgoing.length ? POLLOUT : 0)};
        if (port.fd < 0 || left <= 0 || poll(&wait, 1, (int)left) == 0) return -1;
        if (wait.revents & POLLOUT) transmit();
        if (wait.revents & (POLLIN | POLLHUP | POLLERR) && !receive()) return arrived ? 0 : -1;
    }
    return 0;
}

void link_close(void)
{
    loop_close(&port);
    buffer_free(&incoming);
    buffer_free(&outgoing);
    buffer_free(&held);
    handling = holding = 0;
}
