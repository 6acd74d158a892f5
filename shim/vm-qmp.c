#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vm.h"

/* A command under way. QEMU answers in order; `id` is echoed. */
struct command {
    int id, paused;
    struct conn *conn;
    struct command *next;
};

static struct watch monitor;
static struct buffer incoming;
static struct command *commands;
static int last_id;

static void send_line(const char *text)
{
    /* The socket's buffer holds hundreds of such lines and QEMU reads them at once. */
    if (send(monitor.fd, text, strlen(text), MSG_NOSIGNAL) < 0) complain("qmp: %s", strerror(errno));
}

static void forget(struct conn *conn)
{
    for (struct command *command = commands; command; command = command->next)
        if (command->conn == conn) command->conn = NULL;
}

static const struct conn_handler waiting = {.closed = forget};

static void answered(const char *line)
{
    const char *id = strstr(line, "\"id\": ");
    struct command **link = &commands, *command;
    while ((command = *link) && (!id || command->id != atoi(id + 6))) link = &command->next;
    if (!command) return;
    *link = command->next;
    int failed = strstr(line, "\"error\": {") != NULL;
    if (!failed) main_set_paused(command->paused);
    if (!failed && !command->paused && main_state() == MAIN_RUNNING) vm_resumed();
    if (!failed && command->paused) vm_stopped();
    if (command->conn) {
        conn_take(command->conn, NULL, NULL);
        if (failed) conn_fail(command->conn, "internal", 0, "QEMU refused: %s", line);
        else conn_opened(command->conn);
    }
    free(command);
}

static void about_migration(const char *line)
{
    static const char key[] = "\"error-desc\": \"";
    char reason[200];
    const char *why = strstr(line, key);
    if (why) {
        snprintf(reason, sizeof reason, "%.*s", (int)strcspn(why + strlen(key), "\""), why + strlen(key));
        return vm_migrated(reason);
    }
    if (strstr(line, "\"error\": {")) return vm_migrated(line);
    if (!strstr(line, "\"MIGRATION\"")) return;
    if (strstr(line, "\"completed\"")) vm_migrated(NULL);
    /* The event does not say why. */
    else if (strstr(line, "\"failed\"")) send_line("{\"execute\":\"query-migrate\",\"id\":\"migration\"}\n");
}

static void ready(struct watch *watch, uint32_t events)
{
    (void)events;
    ssize_t length = read(watch->fd, buffer_reserve(&incoming, 4096), 4096);
    if (length <= 0) {
        if (length == 0 || (errno != EAGAIN && errno != EINTR)) loop_close(watch);
        return;
    }
    buffer_added(&incoming, (size_t)length);
    char *end;
    while (incoming.length && (end = memchr(buffer_head(&incoming), '\n', incoming.length))) {
        *end = 0;
        char *line = buffer_head(&incoming);
        size_t size = (size_t)(end - line) + 1;
        if (strstr(line, "\"migration\"") || strstr(line, "\"MIGRATION\"")) about_migration(line);
        else if (strstr(line, "\"return\"") || strstr(line, "\"error\"")) answered(line);
        buffer_consume(&incoming, size);
    }
}

void qmp_open(int fd)
{
    monitor = (struct watch){.fd = fd, .ready = ready};
    loop_watch(&monitor, EPOLLIN);
    send_line("{\"execute\":\"qmp_capabilities\"}\n");
}

void qmp_pause(struct conn *conn, int paused)
{
    char line[128];
    struct command *command = xmalloc(sizeof *command), **link = &commands;
    while (*link) link = &(*link)->next;
    *command = (struct command){.id = ++last_id, .paused = paused, .conn = conn};
    *link = command;
    if (conn) conn_take(conn, &waiting, command);
    snprintf(line, sizeof line, "{\"execute\":\"%s\",\"id\":%d}\n", paused ? "stop" : "cont", command->id);
    send_line(line);
}

/* Hands QEMU a descriptor under the name `state`: for what goes out it takes no number. */
static void give_state(int state)
{
    static char text[] = "{\"execute\":\"getfd\",\"id\":\"migration\",\"arguments\":{\"fdname\":\"state\"}}\n";
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof state)];
    } control = {0};
    struct iovec data = {text, sizeof text - 1};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    control.header =
        (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof state)};
    memcpy(CMSG_DATA(&control.header), &state, sizeof state);
    if (sendmsg(monitor.fd, &message, MSG_NOSIGNAL) < 0) complain("qmp: %s", strerror(errno));
}

/* Guest memory is a file that both sides map: all but that is transferred. QEMU takes the commands one by one. */
static void allow_migration(void)
{
    send_line("{\"execute\":\"migrate-set-capabilities\",\"id\":\"migration\",\"arguments\":{\"capabilities\":["
              "{\"capability\":\"x-ignore-shared\",\"state\":true},{\"capability\":\"events\",\"state\":true}]}}\n");
}

void qmp_save(int state)
{
    allow_migration();
    give_state(state);
    send_line("{\"execute\":\"migrate\",\"id\":\"migration\",\"arguments\":{\"uri\":\"fd:state\"}}\n");
}

void qmp_restore(void)
{
    char line[128];
    allow_migration();
    snprintf(line, sizeof line,
             "{\"execute\":\"migrate-incoming\",\"id\":\"migration\",\"arguments\":{\"uri\":\"fd:%d\"}}\n", FD_STATE);
    send_line(line);
}

void qmp_close(void)
{
    loop_close(&monitor);
    buffer_free(&incoming);
}
