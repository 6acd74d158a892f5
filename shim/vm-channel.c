/* Channels of the agent link that carry operations of clients, each with windows of its own in both directions. Both are
 * kept by this side: a guest that sends more than it was granted, or gives back more than it was sent, breaks the protocol,
 * and so does one that says what no operation is answered by. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm.h"

#define MOST_CHANNELS 1024
/* Factor of the time limit for operations that wait for a disk or for memory to be given back. */
#define SLOWER 2

struct channel {
    uint32_t number;
    char op[16];
    enum answers answers;
    /* `endless`: a process, which may be silent once it runs. `takes_input`: the client sends before the guest answers. */
    int endless, takes_input, opened;
    /* NULL once the client has gone: what still comes is dropped. */
    struct conn *conn;
    /* From the client, waiting for the agent to have room. */
    struct buffer input;
    int input_ended, input_closed;
    /* Bytes that may be sent to the guest, and by it. */
    size_t window, granted;
    /* Output passed on to a client that is slow: the agent gets it back when that has been sent. */
    size_t owed;
    /* When the guest was heard of, or was not to speak, last. */
    long long heard;
    struct channel *next;
};

static struct channel *channels;
static uint32_t last_number = CHANNEL_MAIN;
static int count, timer;

/* `names` have a space before and behind each. */
static int is_one_of(const char *op, const char *names)
{
    const char *found = strstr(names, op);
    return *op && found && found[-1] == ' ' && found[strlen(op)] == ' ';
}

enum answers link_answers(const char *op)
{
    if (is_one_of(op, " stat stats sync identity limit ")) return ANSWERS_ONCE;
    return is_one_of(op, " exec read write changes processes ") ? ANSWERS_STREAM : ANSWERS_NOTHING;
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
    count--;
    if (channel->conn) {
        conn_take(channel->conn, NULL, NULL);
        conn_pause(channel->conn, 0);
    }
    buffer_free(&channel->input);
    free(channel);
}

static void credit(struct channel *channel, size_t bytes)
{
    channel->granted += bytes;
    link_credit(channel->number, bytes);
}

static void pay_back(struct channel *channel)
{
    credit(channel, channel->owed);
    channel->owed = 0;
    channel->heard = loop_now_ms();
}

/* Whether nothing but the guest keeps the operation from going on. */
static int is_guests_turn(const struct channel *channel)
{
    if (channel->endless && channel->opened) return 0;
    if (channel->owed) return 0;
    return !channel->takes_input || channel->input_closed || channel->window < WINDOW_BYTES;
}

static long long limit_of(const struct channel *channel)
{
    return vm_patience_ms() * (is_one_of(channel->op, " sync limit ") ? SLOWER : 1);
}

static void watch_channels(void);

/* The channel's client has been answered. The guest may be busy with the operation, or not even know of it yet. */
static void drop(struct channel *channel)
{
    uint32_t number = channel->number;
    release(channel);
    link_send(FRAME_OPEN, number, "", 0);
}

static void give_up_waiting(struct channel *channel)
{
    if (channel->conn)
        conn_fail(channel->conn, "timeout", 0,
                  "the guest did not answer within %lld ms (%s); kill the workload if it does not recover",
                  limit_of(channel), channel->op);
    drop(channel);
}

void link_refuse_paused(struct conn *conn)
{
    conn_fail(conn, "conflict", 0, "the instance is paused; unpause it and try again");
}

/* A process that runs stands still with its guest, and goes on with it. */
void channels_paused(void)
{
    for (struct channel *channel = channels, *next; channel; channel = next) {
        next = channel->next;
        if (!channel->conn || (channel->endless && channel->opened)) continue;
        link_refuse_paused(channel->conn);
        drop(channel);
    }
}

static void look(void *context)
{
    long long now = loop_now_ms();
    (void)context;
    timer = 0;
    for (struct channel *channel = channels, *next; channel; channel = next) {
        next = channel->next;
        if (!is_guests_turn(channel)) channel->heard = now;
        else if (now - channel->heard >= limit_of(channel)) give_up_waiting(channel);
    }
    watch_channels();
}

/* Sets the timer that all channels share to the earliest of their limits. */
static void watch_channels(void)
{
    long long first = -1, now = loop_now_ms();
    if (timer) return;
    for (struct channel *channel = channels; channel; channel = channel->next) {
        long long left = channel->heard + limit_of(channel) - now;
        if (channel->endless && channel->opened) continue;
        if (first < 0 || left < first) first = left < 1 ? 1 : left;
    }
    if (first >= 0) timer = loop_after((int)first, look, NULL);
}

static void feed(struct channel *channel)
{
    while (channel->input.length && channel->window) {
        size_t size = channel->input.length < channel->window ? channel->input.length : channel->window;
        if (channel->window == WINDOW_BYTES) channel->heard = loop_now_ms();
        link_send(FRAME_STDIN, channel->number, buffer_head(&channel->input), size);
        channel->window -= size;
        buffer_consume(&channel->input, size);
    }
    if (!channel->input.length && channel->input_ended && !channel->input_closed) {
        channel->input_closed = 1;
        channel->heard = loop_now_ms();
        link_send(FRAME_STDIN, channel->number, "", 0);
    }
    if (channel->conn) conn_pause(channel->conn, channel->input.length > 0);
}

static void client_frame(struct conn *conn, const struct frame *frame)
{
    struct channel *channel = conn->context;
    if (frame->type == FRAME_RESIZE || frame->type == FRAME_SIGNAL) {
        if (!link_is_behind()) link_send(frame->type, channel->number, frame->payload, frame->length);
        return;
    }
    if (frame->type != FRAME_STDIN || channel->input_ended) return;
    if (!frame->length) channel->input_ended = 1;
    else buffer_append(&channel->input, frame->payload, frame->length);
    feed(channel);
}

static void client_drained(struct conn *conn) { pay_back(conn->context); }

static void client_closed(struct conn *conn)
{
    struct channel *channel = conn->context;
    channel->conn = NULL;
    buffer_free(&channel->input);
    pay_back(channel);
    link_send(FRAME_OPEN, channel->number, "", 0);
}

static const struct conn_handler relay = {client_frame, client_drained, client_closed};

void link_relay(struct conn *conn, const struct fields *fields, enum answers answers)
{
    const char *op = fields_get(fields, "op");
    if (count >= MOST_CHANNELS || link_is_behind()) {
        if (conn) conn_fail(conn, "exhausted", 0, "the guest has not answered what it was asked before; try again later");
        return;
    }
    struct channel *channel = xmalloc(sizeof *channel);
    *channel = (struct channel){.number = ++last_number, .answers = answers, .conn = conn, .window = WINDOW_BYTES,
                                .granted = WINDOW_BYTES, .heard = loop_now_ms(), .next = channels};
    snprintf(channel->op, sizeof channel->op, "%s", op ? op : "");
    channel->endless = !strcmp(channel->op, "exec");
    channel->takes_input = !strcmp(channel->op, "write");
    channels = channel;
    count++;
    if (conn) conn_take(conn, &relay, channel);
    link_send(FRAME_OPEN, channel->number, fields->data, fields->length);
    watch_channels();
}

void channels_killed(void)
{
    while (channels) {
        struct channel *channel = channels;
        struct buffer answer = {0};
        field_add_number(&answer, "code", 128 + SIGKILL);
        if (channel->conn && channel->endless && channel->opened)
            conn_send(channel->conn, FRAME_EXIT, buffer_head(&answer), answer.length);
        else if (channel->conn) conn_fail(channel->conn, "invalid-state", 0, "the instance has just ended");
        buffer_free(&answer);
        release(channel);
    }
}

static int pass_output(struct channel *channel, const struct frame *frame)
{
    if (channel->answers != ANSWERS_STREAM || frame->length > channel->granted) return -1;
    channel->granted -= frame->length;
    if (channel->conn) conn_send(channel->conn, frame->type, frame->payload, frame->length);
    if (channel->conn && conn_full(channel->conn)) channel->owed += frame->length;
    else credit(channel, frame->length);
    return 0;
}

static int take_window(struct channel *channel, const struct frame *frame)
{
    size_t bytes = frame_window(frame);
    if (frame->length != 4 || bytes > WINDOW_BYTES - channel->window) return -1;
    channel->window += bytes;
    feed(channel);
    return 0;
}

/* Figures and names go through as they are; of a process there is nothing but its number. */
static int pass_opened(struct channel *channel, const struct frame *frame, const struct fields *fields)
{
    struct buffer answer = {0};
    if (channel->opened) return -1;
    channel->opened = 1;
    if (!channel->conn) return 0;
    if (!channel->endless) return conn_send(channel->conn, frame->type, frame->payload, frame->length), 0;
    long long pid = fields_number(fields, "pid", 0);
    field_add_number(&answer, "pid", pid > 0 && pid <= MOST_PID ? pid : 0);
    return conn_send_fields(channel->conn, FRAME_OPENED, &answer), 0;
}

static int pass_exit(struct channel *channel, const struct fields *fields)
{
    struct buffer answer = {0};
    long long code = fields_number(fields, "code", -1);
    if (channel->answers != ANSWERS_STREAM || code < 0 || code > 255) return -1;
    if (!channel->conn) return 0;
    field_add_number(&answer, "code", code);
    return conn_send_fields(channel->conn, FRAME_EXIT, &answer), 0;
}

int channel_frame(const struct frame *frame)
{
    struct fields fields;
    struct refusal refusal;
    struct channel *channel = find(frame->channel);
    /* The channel is closed here; the guest may not know that yet. */
    if (!channel) return 0;
    channel->heard = loop_now_ms();
    if (frame->type == FRAME_STDOUT || frame->type == FRAME_STDERR) return pass_output(channel, frame);
    if (frame->type == FRAME_WINDOW) return take_window(channel, frame);
    if (fields_parse(&fields, frame) < 0) return -1;
    int state = -1, is_last = frame->type != FRAME_OPENED || channel->answers == ANSWERS_ONCE;
    if (frame->type == FRAME_OPENED) state = pass_opened(channel, frame, &fields);
    else if (frame->type == FRAME_EXIT) state = pass_exit(channel, &fields);
    else if (frame->type == FRAME_FAIL) {
        state = 0;
        refusal_read(&fields, &refusal);
        if (channel->conn) conn_fail(channel->conn, refusal.code, refusal.status, "%s", refusal.message);
    }
    if (state == 0 && is_last) release(channel);
    return state;
}
