#define _GNU_SOURCE
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients.h"
#include "lock.h"
#include "log.h"
#include "memory-limit.h"
#include "own-group.h"
#include "text.h"

#define EXIT_ROOM 2048
#define LAST_SIGNAL 64
#define MOST_MESSAGE 1024
/* Kills for want of memory within this time of one that was told belong to its burst. A guest may tell of any number. */
#define BURST_MS 1000
/* Complaints beyond this are dropped: what makes us complain may do so for ever. */
#define MOST_COMPLAINTS (64 << 10)

static const struct backend *back;
static enum main_state state = MAIN_CREATED;
static pid_t pid, own_pid;
static char started_at[40];
static struct conn *starter;
static int ending, holding, had_oom, exit_file = -1;
static struct buffer notes;

enum main_state main_state(void) { return state; }
pid_t main_pid(void) { return pid; }
int main_blocked(void) { return !ending && clients_full(); }

void complain(const char *format, ...)
{
    static int written;
    char text[2048], visible[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    text_visible(visible, sizeof visible, text);
    if (written < MOST_COMPLAINTS) written += dprintf(2, "%s\n", visible);
}

void main_set_paused(int paused)
{
    if (state == MAIN_RUNNING || state == MAIN_PAUSED) state = paused ? MAIN_PAUSED : MAIN_RUNNING;
}

static const char *state_name(void)
{
    return state == MAIN_PAUSED ? "paused" : state == MAIN_RUNNING ? "running" : state == MAIN_HELD ? "held"
           : state == MAIN_EXITED ? "exited" : state == MAIN_STARTING && !holding ? "starting" : "created";
}

static void send_state(struct conn *conn)
{
    struct buffer fields = {0};
    field_add(&fields, "state", state_name());
    if (pid) field_add_number(&fields, "pid", pid);
    if (*started_at) field_add(&fields, "started", started_at);
    if (had_oom) field_add(&fields, "oom", "1");
    if (notes.length) buffer_append(&fields, buffer_head(&notes), notes.length);
    conn_send_fields(conn, FRAME_OPENED, &fields);
}

void main_note(const char *key, const char *value)
{
    char visible[MOST_MESSAGE];
    text_visible(visible, sizeof visible, value);
    field_add(&notes, key, visible);
}

void main_started(pid_t main_process)
{
    pid = main_process;
    state = MAIN_RUNNING;
    time_now(started_at);
    clients_started(send_state);
    clients_input_ready();
}

void main_held(void)
{
    state = MAIN_HELD;
    if (starter) send_state(starter), conn_take(starter, NULL, NULL);
    starter = NULL;
}

static void finish(void)
{
    conn_on_idle(NULL);
    back->cleanup();
    unlink("shim.sock");
    unlink("exit.tmp");
    unlink("shim.pid");
    lock_release();
    conn_flush_all(10000);
    loop_stop();
}

void main_failed(const char *code, int status, const char *message)
{
    state = MAIN_EXITED;
    if (starter) conn_fail(starter, code, status, "%s", message);
    clients_fail(code, status, message);
    finish();
}

void main_output(int stream, const char *data, size_t length)
{
    clients_output(stream, data, length);
    log_write(stream, data, length);
}

void main_output_end(int stream)
{
    log_end(stream);
    clients_output(stream, "", 0);
}

void main_ending(void)
{
    ending = 1;
    back->output_resume();
}

void main_oom(void)
{
    static long long told_at;
    long long now = loop_now_ms();
    if (state != MAIN_RUNNING && state != MAIN_PAUSED) return;
    if (had_oom && now - told_at < BURST_MS) return;
    had_oom = 1;
    told_at = now;
    clients_oom();
}

static void exit_fields(struct buffer *fields, int code, int oom, const char *reason, const char *message)
{
    char now[40], visible[MOST_MESSAGE];
    time_now(now);
    field_add_number(fields, "code", code);
    if (oom) field_add(fields, "oom", "1");
    if (reason) field_add(fields, "reason", reason);
    if (message) {
        text_visible(visible, sizeof visible, message);
        field_add(fields, "message", visible);
    }
    if (*started_at) field_add(fields, "started", started_at);
    field_add(fields, "finished", now);
}

/* The exit file is made, with room, at the beginning: when the workload has filled the disk it is too late. */
static void reserve_exit(void)
{
    static const char room[EXIT_ROOM];
    exit_file = open("exit.tmp", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (exit_file < 0 || write(exit_file, room, sizeof room) != sizeof room) complain("exit.tmp: %s", strerror(errno));
}

static void write_exit(const struct buffer *fields)
{
    ssize_t written = pwrite(exit_file, buffer_head(fields), fields->length, 0);
    if (written != (ssize_t)fields->length || ftruncate(exit_file, written) < 0 || rename("exit.tmp", "exit") < 0)
        complain("exit: %s", strerror(errno));
}

/* The machine dies with us; a container's processes are ended by the daemon. Children of ours say nothing. */
static void out_of_memory(void)
{
    char text[400], now[40];
    if (getpid() != own_pid || (state != MAIN_RUNNING && state != MAIN_PAUSED)) return;
    time_now(now);
    int length = snprintf(text, sizeof text,
                          "code=255%creason=supervisor-died%cmessage=the supervisor used up the memory it may have%c"
                          "started=%s%cfinished=%s%c", 0, 0, 0, started_at, 0, now, 0);
    struct buffer record = {.data = text, .length = (size_t)length};
    write_exit(&record);
}

void main_exited(int code, int oom, const char *reason, const char *message)
{
    struct buffer fields = {0};
    state = MAIN_EXITED;
    exit_fields(&fields, code, oom || had_oom, reason, message);
    write_exit(&fields);
    clients_exit(buffer_head(&fields), fields.length);
    buffer_free(&fields);
    finish();
}

void main_input_ready(void) { clients_input_ready(); }

static void starter_closed(struct conn *conn)
{
    if (conn == starter) starter = NULL;
}

static const struct conn_handler starter_handler = {.closed = starter_closed};

static void op_start(struct conn *conn, const struct fields *fields)
{
    if (state != MAIN_CREATED && state != MAIN_HELD)
        return conn_fail(conn, "invalid-state", 0, "the instance was started before");
    state = MAIN_STARTING;
    holding = 0;
    unlink("exit");
    /* From here on the connection waits for the end like any other; it has seen no OPENED yet. */
    clients_add(conn, CLIENT_WAIT | CLIENT_STARTING, 0);
    back->start(fields);
}

static void op_hold(struct conn *conn, const struct fields *fields)
{
    if (state != MAIN_CREATED) return conn_fail(conn, "invalid-state", 0, "the instance was started before");
    state = MAIN_STARTING;
    holding = 1;
    starter = conn;
    conn_take(conn, &starter_handler, NULL);
    back->hold(fields);
}

static int op_wait(struct conn *conn, const struct fields *fields)
{
    (void)fields;
    /* Whether a start succeeds is known at its end. */
    int starting = state == MAIN_STARTING && !holding;
    if (!starting) send_state(conn);
    clients_add(conn, CLIENT_WAIT | (starting ? CLIENT_STARTING : 0), 0);
    return 0;
}

static void op_attach(struct conn *conn, const struct fields *fields)
{
    int streams = (fields_flag(fields, "stdout") ? 1 << FRAME_STDOUT : 0) |
                  (fields_flag(fields, "stderr") ? 1 << FRAME_STDERR : 0);
    send_state(conn);
    clients_add(conn, CLIENT_ATTACH | (fields_flag(fields, "stdin") ? CLIENT_INPUT : 0), streams);
}

static void op_quit(struct conn *conn)
{
    if (state == MAIN_STARTING || state == MAIN_RUNNING || state == MAIN_PAUSED)
        return conn_fail(conn, "invalid-state", 0, "the instance is running");
    conn_opened(conn);
    finish();
}

static void op_signal(struct conn *conn, const struct fields *fields)
{
    long long number = fields_number(fields, "signal", 15);
    if (number < 1 || number > LAST_SIGNAL)
        return conn_fail(conn, "invalid-argument", 0, "signal %lld is none", number);
    /* There is no process yet, but a start that hangs can be ended. */
    if (state == MAIN_STARTING && !holding && number == 9) {
        conn_opened(conn);
        return back->abort();
    }
    if (state != MAIN_RUNNING && state != MAIN_PAUSED)
        return conn_fail(conn, "invalid-state", 0, "the instance is not running");
    back->signal(conn, (int)number);
}

static void op_resize(struct conn *conn, const struct fields *fields)
{
    back->resize((unsigned)fields_number(fields, "rows", 0), (unsigned)fields_number(fields, "columns", 0));
    conn_opened(conn);
}

static void operation(struct conn *conn, const struct fields *fields)
{
    const char *op = fields_get(fields, "op");
    if (!op) return conn_fail(conn, "invalid-argument", 0, "no operation given");
    if (!strcmp(op, "start")) return op_start(conn, fields);
    if (!strcmp(op, "hold")) return op_hold(conn, fields);
    if (!strcmp(op, "wait")) return (void)op_wait(conn, fields);
    if (!strcmp(op, "state")) return send_state(conn);
    if (!strcmp(op, "attach")) return op_attach(conn, fields);
    if (!strcmp(op, "signal")) return op_signal(conn, fields);
    if (!strcmp(op, "resize")) return op_resize(conn, fields);
    if (!strcmp(op, "quit")) return op_quit(conn);
    if (back->operation(conn, op, fields) < 0) conn_fail(conn, "unsupported", 0, "unknown operation %s", op);
}

/* Nobody is left who could start it or end its hold: the daemon died in between. */
static void idle(void)
{
    if (state == MAIN_CREATED || state == MAIN_HELD || (state == MAIN_STARTING && holding)) finish();
}

static void write_pid(void)
{
    char stat[1024], text[64], *cursor;
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, stat, sizeof stat - 1);
    if (fd >= 0) close(fd);
    stat[length < 0 ? 0 : length] = 0;
    cursor = strrchr(stat, ')');
    for (int field = 2; cursor && field < 22; field++) cursor = strchr(cursor + 1, ' ');
    int size = snprintf(text, sizeof text, "%d %lld\n", getpid(), cursor ? atoll(cursor + 1) : 0);
    fd = open("shim.pid", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0 || write(fd, text, (size_t)size) != size) complain("shim.pid: %s", strerror(errno));
    if (fd >= 0) close(fd);
}

int supervise(const struct backend *backend, int first_fd)
{
    back = backend;
    loop_open();
    clients_open(back);
    if (conn_listen("shim.sock", first_fd, operation) < 0) return complain("shim.sock: %s", strerror(errno)), 1;
    write_pid();
    reserve_exit();
    own_pid = getpid();
    buffer_on_exhaustion(out_of_memory);
    memory_limit();
    own_group_enter();
    conn_on_idle(idle);
    int failed = back->prepare() < 0;
    if (failed) finish();
    else loop_run();
    own_group_remove();
    return failed;
}
