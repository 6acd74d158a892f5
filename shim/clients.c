#include "clients.h"

#include <stdlib.h>
#include <string.h>

struct client {
    struct conn *conn;
    int kind, streams;
    struct client *next;
};

static const struct backend *back;
static struct client *clients;
/* Input that the main process has not taken yet; while there is any, whoever sent it is paused. */
static struct buffer input;
static int input_end;

void clients_open(const struct backend *backend) { back = backend; }

static void input_flush(void)
{
    while (input.length) {
        size_t taken = back->input(buffer_head(&input), input.length);
        if (!taken) return;
        buffer_consume(&input, taken);
    }
    if (input_end == 1) back->input("", 0), input_end = 2;
}

static void take_input(struct conn *conn, const char *data, size_t length)
{
    if (input_end) return;
    if (length) buffer_append(&input, data, length);
    else input_end = 1;
    if (main_state() == MAIN_RUNNING || main_state() == MAIN_PAUSED) input_flush();
    if (input.length) conn_pause(conn, 1);
}

void clients_input_ready(void)
{
    input_flush();
    if (input.length) return;
    for (struct client *client = clients, *next; client; client = next) {
        next = client->next;
        conn_pause(client->conn, 0);
    }
}

static void signal_main(int number)
{
    int runs = main_state() == MAIN_RUNNING || main_state() == MAIN_PAUSED;
    if (runs && number >= 1 && number <= 64) back->signal(NULL, number);
}

static void client_frame(struct conn *conn, const struct frame *frame)
{
    struct client *client = conn->context;
    struct fields fields;
    if (frame->type == FRAME_STDIN) {
        if (client->kind & CLIENT_INPUT) take_input(conn, frame->payload, frame->length);
        return;
    }
    if (fields_parse(&fields, frame) < 0) return conn_end(conn);
    if (frame->type == FRAME_RESIZE)
        back->resize((unsigned)fields_number(&fields, "rows", 0), (unsigned)fields_number(&fields, "columns", 0));
    else if (frame->type == FRAME_SIGNAL) signal_main((int)fields_number(&fields, "signal", 15));
    else conn_end(conn);
}

static void client_drained(struct conn *conn)
{
    (void)conn;
    if (!clients_full()) back->output_resume();
}

static void client_closed(struct conn *conn)
{
    for (struct client **link = &clients; *link; link = &(*link)->next)
        if ((*link)->conn == conn) {
            struct client *client = *link;
            *link = client->next;
            free(client);
            break;
        }
    if (!clients_full()) back->output_resume();
}

static const struct conn_handler handler = {client_frame, client_drained, client_closed};

void clients_add(struct conn *conn, int kind, int streams)
{
    struct client *client = xmalloc(sizeof *client);
    *client = (struct client){conn, kind, streams, clients};
    clients = client;
    conn_take(conn, &handler, client);
}

void clients_started(void (*answer)(struct conn *))
{
    for (struct client *client = clients; client; client = client->next) {
        if (client->kind & CLIENT_STARTING) answer(client->conn);
        client->kind &= ~CLIENT_STARTING;
    }
}

void clients_output(int stream, const char *data, size_t length)
{
    for (struct client *client = clients; client; client = client->next)
        if (client->streams & 1 << stream) conn_send(client->conn, (uint8_t)stream, data, length);
}

int clients_full(void)
{
    for (struct client *client = clients; client; client = client->next)
        if (client->streams && conn_full(client->conn)) return 1;
    return 0;
}

void clients_oom(void)
{
    for (struct client *client = clients; client; client = client->next)
        if (client->kind & CLIENT_WAIT && !conn_full(client->conn)) conn_send(client->conn, FRAME_OOM, "", 0);
}

static void let_go(void)
{
    while (clients) {
        struct client *client = clients;
        clients = client->next;
        conn_take(client->conn, NULL, NULL);
        free(client);
    }
}

void clients_exit(const char *fields, size_t length)
{
    for (struct client *client = clients; client; client = client->next)
        conn_send(client->conn, FRAME_EXIT, fields, length);
    let_go();
}

void clients_fail(const char *code, int status, const char *message)
{
    for (struct client *client = clients; client; client = client->next)
        conn_fail(client->conn, code, status, "%s", message);
    let_go();
}
