/* Connections of the daemon: framed, queued, never blocking. A malformed frame closes its connection and no other. */
#ifndef BERTH_CONN_H
#define BERTH_CONN_H

#include "frame.h"
#include "loop.h"

/* More than this waiting to be sent means: stop producing for this connection. */
#define CONN_FULL (1u << 20)

struct conn;

/* Whoever took a connection over with conn_take. Any member may be NULL. */
struct conn_handler {
    void (*frame)(struct conn *conn, const struct frame *frame);
    /* What waited has been sent down to half of CONN_FULL, after conn_full was true. */
    void (*drained)(struct conn *conn);
    /* The client is gone, or conn_end took effect. The connection is freed afterwards. */
    void (*closed)(struct conn *conn);
};

struct conn {
    struct watch watch;
    struct buffer in, out;
    const struct conn_handler *handler;
    void *context;
    int paused, ending, was_full, dead, processing;
    struct conn *next, **link;
};

/* Opens DIR/shim.sock (the current folder) and serves a first connection on `first_fd` unless it is -1.
 * `opened` is called with the OPEN frame of each operation while no handler has taken the connection. */
int conn_listen(const char *path, int first_fd, void (*opened)(struct conn *, const struct fields *));
int conn_count(void);
/* Called when the last connection has gone. */
void conn_on_idle(void (*idle)(void));

void conn_send(struct conn *conn, uint8_t type, const void *payload, size_t length);
/* Sends a control frame and frees the fields. */
void conn_send_fields(struct conn *conn, uint8_t type, struct buffer *fields);
/* OPENED without fields. */
void conn_opened(struct conn *conn);
/* FAIL; `code` is a BerthError code, `status` 126/127 or 0. */
void conn_fail(struct conn *conn, const char *code, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int conn_full(const struct conn *conn);
/* Stops and resumes taking frames from the client. */
void conn_pause(struct conn *conn, int paused);
/* Hands further frames to `handler`; NULL gives the connection back: the next OPEN frame starts a new operation. */
void conn_take(struct conn *conn, const struct conn_handler *handler, void *context);
/* Closes once everything has been sent. */
void conn_end(struct conn *conn);
/* Gives the socket and what was read from it beyond the current frame to a forked child, and forgets it here. In the
 * child, call conn_adopted first. */
void conn_forget(struct conn *conn);
/* Tries to send everything that waits on all connections, waiting at most this long. */
void conn_flush_all(int milliseconds);

#endif
