/* The agent link: one byte stream shared by channels, each with windows of its own in both directions. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vm.h"

#define READ_SIZE 65536

struct channel {
    uint32_t number;
    int one_shot;
    /* NULL once the client has gone: what still comes is dropped. */
    struct conn *conn;
    /* From the client, waiting for the agent to have room. */
    struct buffer input;
    int input_ended, input_closed;
    size_t window;
    /* Output passed on to a client that is slow: the agent gets it back when that has been sent. */
    size_t owed;
    struct channel *next;
};

static struct watch port;
static struct buffer incoming, outgoing, held;
static int holding;
static struct channel *channels;
static uint32_t last_number = CHANNEL_MAIN;
static int awaited = -1, arrived;
/* The size of the frame being handled, as long as it has not been consumed. */
static size_t handling;

/* `names` have a space before and behind each. */
static int is_one_of(const char *op, const char *names)
{
    const char *found = strstr(names, op);
    return *op && found && found[-1] == ' ' && found[strlen(op)] == ' ';
}

enum answers link_answers(const char *op)
{
    if (is_one_of(op, " stat stats sync accounts limit ")) return ANSWERS_ONCE;
    return is_one_of(op, " exec read write changes processes ") ? ANSWERS_STREAM : ANSWERS_NOTHING;
}

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

static struct channel *find(uint32_t number)
{
    struct channel *channel = channels;
    while (channel && channel->number != number) channel = channel->next;
    return channel;
}

static void release(struct channel *channel)
{
    struct channel **link = &channels;
    while (*link != channel) link = &(*link)->next;
    *link = channel->next;
    if (channel->conn) {
        conn_take(channel->conn, NULL, NULL);
        conn_pause(channel->conn, 0);
    }
    buffer_free(&channel->input);
    free(channel);
}

static void feed(struct channel *channel)
{
    while (channel->input.length && channel->window) {
        size_t size = channel->input.length < channel->window ? channel->input.length : channel->window;
        link_send(FRAME_STDIN, channel->number, buffer_head(&channel->input), size);
        channel->window -= size;
        buffer_consume(&channel->input, size);
    }
    if (!channel->input.length && channel->input_ended && !channel->input_closed) {
        channel->input_closed = 1;
        link_send(FRAME_STDIN, channel->number, "", 0);
    }
    if (channel->conn) conn_pause(channel->conn, channel->input.length > 0);
}

static void client_frame(struct conn *conn, const struct frame *frame)
{
    struct channel *channel = conn->context;
    if (frame->type != FRAME_STDIN) return link_send(frame->type, channel->number, frame->payload, frame->length);
    if (!frame->length) channel->input_ended = 1;
    else buffer_append(&channel->input, frame->payload, frame->length);
    feed(channel);
}

static void client_drained(struct conn *conn)
{
    struct channel *channel = conn->context;
    link_credit(channel->number, channel->owed);
    channel->owed = 0;
}

static void client_closed(struct conn *conn)
{
    struct channel *channel = conn->context;
    channel->conn = NULL;
    buffer_free(&channel->input);
    link_credit(channel->number, channel->owed);
    channel->owed = 0;
    link_send(FRAME_OPEN, channel->number, "", 0);
}

static const struct conn_handler relay = {client_frame, client_drained, client_closed};

void link_relay(struct conn *conn, const struct fields *fields, int one_shot)
{
    struct channel *channel = xmalloc(sizeof *channel);
    *channel = (struct channel){.number = ++last_number, .one_shot = one_shot, .conn = conn, .window = WINDOW_BYTES,
                                .next = channels};
    channels = channel;
    if (conn) conn_take(conn, &relay, channel);
    link_send(FRAME_OPEN, channel->number, fields->data, fields->length);
}

static void pass_output(struct channel *channel, const struct frame *frame)
{
    if (!channel->conn) return link_credit(channel->number, frame->length);
    conn_send(channel->conn, frame->type, frame->payload, frame->length);
    if (conn_full(channel->conn)) channel->owed += frame->length;
    else link_credit(channel->number, frame->length);
}

static void take_window(struct channel *channel, const struct frame *frame)
{
    channel->window += frame_window(frame);
    feed(channel);
}

static void agent_frame(const struct frame *frame)
{
    if (frame->channel == CHANNEL_LINK && frame->type == awaited) arrived = 1;
    if (frame->channel <= CHANNEL_MAIN) {
        if (awaited < 0) vm_link_frame(frame);
        return;
    }
    struct channel *channel = find(frame->channel);
    if (!channel) return;
    if (frame->type == FRAME_STDOUT || frame->type == FRAME_STDERR) return pass_output(channel, frame);
    if (frame->type == FRAME_WINDOW) return take_window(channel, frame);
    if (channel->conn) conn_send(channel->conn, frame->type, frame->payload, frame->length);
    if (frame->type == FRAME_EXIT || frame->type == FRAME_FAIL || (frame->type == FRAME_OPENED && channel->one_shot))
        release(channel);
}

/* 0 when the link has gone. */
static int receive(void)
{
    ssize_t length = recv(port.fd, buffer_reserve(&incoming, READ_SIZE), READ_SIZE, MSG_DONTWAIT);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
    if (length <= 0) return loop_close(&port), 0;
    buffer_added(&incoming, (size_t)length);
    struct frame frame;
    int state;
    while ((state = frame_peek(&incoming, &frame)) > 0) {
        handling = frame_size(&frame);
        agent_frame(&frame);
        buffer_consume(&incoming, handling);
        handling = 0;
    }
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

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int link_await(uint8_t type, int milliseconds)
{
    long long deadline = now_ms() + milliseconds;
    /* Called while a frame is handled, this goes on to the ones behind it. */
    buffer_consume(&incoming, handling);
    handling = 0;
    for (awaited = type, arrived = 0; !arrived;) {
        long long left = deadline - now_ms();
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
