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

#include "json.h"
#include "vm.h"

/* A line of QEMU beyond this is none. */
#define MOST_LINE (1u << 20)

/* A command under way. */
struct command {
    int id, paused, timer;
    /* Either of those, or neither. */
    struct conn *conn;
    void (*done)(const char *failure);
    struct command *next;
};

static struct watch monitor = {.fd = -1};
static struct buffer incoming;
static struct command *commands;
/* `asked_why`: a restore has failed, and QEMU has been asked for the reason. */
static int last_id, asked_why;
/* The guest was told to stand still, and not to go on since. */
static int pausing;

/* The descriptor goes with the line, for the command in it to take; -1: none does. 0, or -1 when QEMU takes no more. */
static int transmit(const char *text, int fd)
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
    return sendmsg(monitor.fd, &message, MSG_NOSIGNAL) == (ssize_t)data.iov_len ? 0 : -1;
}

static void settle(struct command *command, const char *failure);

static void late(void *context)
{
    char message[96];
    struct command *command = context, **link = &commands;
    while (*link != command) link = &(*link)->next;
    *link = command->next;
    snprintf(message, sizeof message, "QEMU did not answer within %d ms", vm_patience_ms());
    settle(command, message);
}

static struct command *begin(const char *name, const char *arguments, int fd)
{
    char line[1024];
    struct command *command = xmalloc(sizeof *command), **link = &commands;
    while (*link) link = &(*link)->next;
    *command = (struct command){.id = ++last_id};
    *link = command;
    snprintf(line, sizeof line, "{\"execute\":\"%s\",\"id\":%d,\"arguments\":{%s}}\n", name, command->id, arguments);
    /* A failure is reported by a timer: the caller must not be called back before this returns. */
    int state = transmit(line, fd);
    command->timer = loop_after(state < 0 ? 0 : vm_patience_ms(), late, command);
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
    /* A pause that was told as failed must not come late. */
    if (failure && command->paused) qmp_pause(NULL, 0);
    /* A signal has had the guest go on before it stood still. */
    int overtaken = command->paused && !failure && !pausing;
    if (overtaken) failure = "the instance is being ended";
    if (!failure) main_set_paused(command->paused);
    if (!failure && !command->paused && main_state() == MAIN_RUNNING) vm_resumed();
    if (!failure && command->paused) channels_paused(), vm_stopped();
    if (!command->conn) return;
    conn_take(command->conn, NULL, NULL);
    if (overtaken) conn_fail(command->conn, "conflict", 0, "%s", failure);
    else if (failure) conn_fail(command->conn, "internal", 0, "QEMU refused: %s", failure);
    else conn_opened(command->conn);
}

static void settle(struct command *command, const char *failure)
{
    if (command->done) command->done(failure);
    else answer_pause(command, failure);
    free(command);
}

/* The text of a member, or `otherwise`. */
static const char *text_of(const struct json *object, const char *name, char text[300], const char *otherwise)
{
    struct json value;
    return json_member(object, name, &value) == 0 && json_text(&value, text, 300) == 0 ? text : otherwise;
}

static void answered(const struct json *line)
{
    char reason[300];
    struct json id, error;
    struct command **link = &commands, *command;
    long long number = json_member(line, "id", &id) == 0 ? json_number(&id, 0) : 0;
    while ((command = *link) && command->id != number) link = &command->next;
    if (!command) return;
    *link = command->next;
    loop_cancel(command->timer);
    if (json_member(line, "error", &error) < 0) settle(command, NULL);
    else settle(command, text_of(&error, "desc", reason, "it gave no reason"));
}

/* The answer to query-migrate: why it failed. */
static void restore_failed(const struct json *line)
{
    char reason[300];
    struct json result;
    static const char unknown[] = "QEMU cannot restore the machine";
    vm_restored(json_member(line, "return", &result) < 0 ? unknown : text_of(&result, "error-desc", reason, unknown));
}

static void migrated(const struct json *data)
{
    struct json status;
    if (json_member(data, "status", &status) < 0) return;
    if (json_is(&status, "completed")) vm_restored(NULL);
    /* The event does not say why. */
    else if (json_is(&status, "failed") && !asked_why++ &&
             transmit("{\"execute\":\"query-migrate\",\"id\":\"restore\"}\n", -1) < 0)
        vm_restored("QEMU cannot restore the machine");
}

static void happened(const struct json *event, const struct json *data)
{
    char reason[300];
    if (json_is(event, "MIGRATION")) migrated(data);
    else if (json_is(event, "BLOCK_JOB_CANCELLED")) checkpoint_disk_copied("it was cancelled");
    else if (json_is(event, "BLOCK_JOB_COMPLETED")) checkpoint_disk_copied(text_of(data, "error", reason, NULL));
}

/* Handles a line of the monitor. Returns 0, or -1 when QEMU may not send such a line. */
static int take_line(const char *text, size_t length)
{
    struct json line, part, data;
    if (json_parse(&line, text, length) < 0 || *line.at != '{') return -1;
    if (json_member(&line, "event", &part) == 0) {
        if (json_member(&line, "data", &data) < 0) data = line;
        happened(&part, &data);
    } else if (json_member(&line, "id", &part) == 0 && json_is(&part, "restore")) restore_failed(&line);
    else answered(&line);
    return 0;
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
    int state = 0;
    while (state == 0 && incoming.length && (end = memchr(buffer_head(&incoming), '\n', incoming.length))) {
        size_t size = (size_t)(end - buffer_head(&incoming)) + 1;
        state = take_line(buffer_head(&incoming), size);
        /* The line may have ended the machine. */
        if (watch->fd < 0) return;
        buffer_consume(&incoming, size);
    }
    if (state == 0 && incoming.length <= MOST_LINE) return;
    loop_close(watch);
    vm_give_up("QEMU broke the protocol of its monitor and the machine was ended");
}

static void ignore(const char *failure)
{
    if (failure) complain("qmp: %s", failure);
}

void qmp_open(int fd)
{
    monitor = (struct watch){.fd = fd, .ready = ready};
    asked_why = 0;
    loop_watch(&monitor, EPOLLIN);
    qmp_run("qmp_capabilities", -1, ignore, "");
}

void qmp_pause(struct conn *conn, int paused)
{
    struct command *command = begin(paused ? "stop" : "cont", "", -1);
    pausing = paused;
    command->paused = paused;
    command->conn = conn;
    if (conn) conn_take(conn, &waiting, command);
}

int qmp_pausing(void) { return pausing; }

void qmp_wake(void)
{
    if (pausing) qmp_pause(NULL, 0);
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
    pausing = 0;
    while (commands) {
        struct command *command = commands;
        commands = command->next;
        loop_cancel(command->timer);
        if (command->conn) conn_take(command->conn, NULL, NULL), conn_end(command->conn);
        free(command);
    }
}
