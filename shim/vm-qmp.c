/* QEMU's monitor: commands one after another, each answered once; events in between. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vm.h"

/* A command under way. */
struct command {
    int id, paused;
    /* Either of those, or neither. */
    struct conn *conn;
    void (*done)(const char *failure);
    struct command *next;
};

static struct watch monitor;
static struct buffer incoming;
static struct command *commands;
static int last_id;

/* The descriptor goes with the line, for the command in it to take; -1: none does. */
static void transmit(const char *text, int fd)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof fd)];
    } control = {0};
    struct iovec data = {(char *)text, strlen(text)};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (fd >= 0) {
        control.header =
            (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
    }
    /* The socket's buffer holds hundreds of such lines and QEMU reads them at once. */
    if (sendmsg(monitor.fd, &message, MSG_NOSIGNAL) < 0) complain("qmp: %s", strerror(errno));
}

static struct command *begin(const char *name, const char *arguments, int fd)
{
    char line[1024];
    struct command *command = xmalloc(sizeof *command), **link = &commands;
    while (*link) link = &(*link)->next;
    *command = (struct command){.id = ++last_id};
    *link = command;
    snprintf(line, sizeof line, "{\"execute\":\"%s\",\"id\":%d,\"arguments\":{%s}}\n", name, command->id, arguments);
    transmit(line, fd);
    return command;
}

void qmp_run(const char *name, int fd, void (*done)(const char *failure), const char *format, ...)
{
    char arguments[768];
    va_list list;
    va_start(list, format);
    vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    begin(name, arguments, fd)->done = done;
}

static void forget(struct conn *conn)
{
    for (struct command *command = commands; command; command = command->next)
        if (command->conn == conn) command->conn = NULL;
}

static const struct conn_handler waiting = {.closed = forget};

static void answer_pause(const struct command *command, const char *failure)
{
    if (!failure) main_set_paused(command->paused);
    if (!failure && !command->paused && main_state() == MAIN_RUNNING) vm_resumed();
    if (!failure && command->paused) vm_stopped();
    if (!command->conn) return;
    conn_take(command->conn, NULL, NULL);
    if (failure) conn_fail(command->conn, "internal", 0, "QEMU refused: %s", failure);
    else conn_opened(command->conn);
}

/* The text of a string member, cut off where it is too long; NULL when there is none. */
static const char *text_member(const char *line, const char *key, char *text, size_t size)
{
    const char *at = strstr(line, key);
    if (!at) return NULL;
    at += strlen(key);
    snprintf(text, size, "%.*s", (int)strcspn(at, "\""), at);
    return text;
}

static void answered(const char *line)
{
    char reason[300];
    const char *id = strstr(line, "\"id\": "), *failure = NULL;
    struct command **link = &commands, *command;
    while ((command = *link) && (!id || command->id != atoi(id + 6))) link = &command->next;
    if (!command) return;
    *link = command->next;
    if (strstr(line, "\"error\": {")) {
        failure = text_member(line, "\"desc\": \"", reason, sizeof reason);
        if (!failure) failure = line;
    }
    if (command->done) command->done(failure);
    else answer_pause(command, failure);
    free(command);
}

/* The answer to query-migrate: why it failed. */
static void restore_failed(const char *line)
{
    char reason[300];
    const char *why = text_member(line, "\"error-desc\": \"", reason, sizeof reason);
    vm_restored(why ? why : "QEMU cannot restore the machine");
}

static void happened(const char *line)
{
    char reason[300];
    if (strstr(line, "\"MIGRATION\"")) {
        if (strstr(line, "\"completed\"")) vm_restored(NULL);
        /* The event does not say why. */
        else if (strstr(line, "\"failed\"")) transmit("{\"execute\":\"query-migrate\",\"id\":\"restore\"}\n", -1);
    } else if (strstr(line, "\"BLOCK_JOB_COMPLETED\"") || strstr(line, "\"BLOCK_JOB_CANCELLED\""))
        checkpoint_disk_copied(strstr(line, "CANCELLED") ? "it was cancelled"
                                                         : text_member(line, "\"error\": \"", reason, sizeof reason));
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
        if (strstr(line, "\"id\": \"restore\"")) restore_failed(line);
        else if (strstr(line, "\"event\"")) happened(line);
        else if (strstr(line, "\"return\"") || strstr(line, "\"error\"")) answered(line);
        buffer_consume(&incoming, size);
    }
}

static void ignore(const char *failure)
{
    if (failure) complain("qmp: %s", failure);
}

void qmp_open(int fd)
{
    monitor = (struct watch){.fd = fd, .ready = ready};
    loop_watch(&monitor, EPOLLIN);
    qmp_run("qmp_capabilities", -1, ignore, "");
}

void qmp_pause(struct conn *conn, int paused)
{
    struct command *command = begin(paused ? "stop" : "cont", "", -1);
    command->paused = paused;
    command->conn = conn;
    if (conn) conn_take(conn, &waiting, command);
}

/* The command was made for Xen, where others save the memory; it is in every QEMU and leaves out just what we keep in
 * files of our own. QEMU takes only a descriptor that is open for no more than it asks for. */
void qmp_save(int state, void (*done)(const char *failure))
{
    qmp_run("add-fd", state, ignore, "\"fdset-id\":%d", FD_STATE);
    qmp_run("xen-save-devices-state", -1, done, "\"filename\":\"/dev/fdset/%d\",\"live\":false", FD_STATE);
    qmp_run("remove-fd", -1, ignore, "\"fdset-id\":%d", FD_STATE);
}

static void restoring(const char *failure)
{
    if (failure) vm_restored(failure);
}

void qmp_restore(void)
{
    qmp_run("migrate-set-capabilities", -1, restoring,
            "\"capabilities\":[{\"capability\":\"events\",\"state\":true}]");
    qmp_run("migrate-incoming", -1, restoring, "\"uri\":\"fd:%d\"", FD_STATE);
}

void qmp_close(void)
{
    loop_close(&monitor);
    buffer_free(&incoming);
    while (commands) {
        struct command *command = commands;
        commands = command->next;
        if (command->conn) conn_take(command->conn, NULL, NULL), conn_end(command->conn);
        free(command);
    }
}
