#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container.h"
#include "launch.h"

struct exec {
    struct streams streams;
    struct launch launch;
    /* NULL once the client has gone; the process goes on. */
    struct conn *conn;
    struct buffer input;
    int input_end, running;
    pid_t pid;
    unsigned rows, columns;
    char process[32];
    struct exec *next;
};

static int files;
static struct exec *execs;

static void flush_input(struct exec *exec)
{
    if (!exec->running) return;
    while (exec->input.length) {
        size_t taken = streams_input(&exec->streams, buffer_head(&exec->input), exec->input.length);
        if (!taken) return;
        buffer_consume(&exec->input, taken);
    }
    if (exec->input_end == 1) streams_input(&exec->streams, "", 0), exec->input_end = 2;
    if (exec->conn) conn_pause(exec->conn, 0);
}

static void frame(struct conn *conn, const struct frame *frame)
{
    struct exec *exec = conn->context;
    struct fields fields;
    if (frame->type == FRAME_STDIN) {
        if (!frame->length) exec->input_end = exec->input_end ? exec->input_end : 1;
        else if (!exec->input_end) buffer_append(&exec->input, frame->payload, frame->length);
        flush_input(exec);
        if (exec->input.length) conn_pause(conn, 1);
        return;
    }
    if (fields_parse(&fields, frame) < 0) return conn_end(conn);
    if (frame->type == FRAME_SIGNAL && exec->pid) kill(exec->pid, (int)fields_number(&fields, "signal", 15));
    else if (frame->type == FRAME_RESIZE) {
        exec->rows = (unsigned)fields_number(&fields, "rows", 0);
        exec->columns = (unsigned)fields_number(&fields, "columns", 0);
        streams_resize(&exec->streams, exec->rows, exec->columns);
    }
}

static void drained(struct conn *conn)
{
    struct exec *exec = conn->context;
    streams_resume(&exec->streams);
}

static void closed(struct conn *conn)
{
    struct exec *exec = conn->context;
    exec->conn = NULL;
    streams_resume(&exec->streams);
}

static const struct conn_handler handler = {frame, drained, closed};

static void output(struct streams *io, int stream, const char *data, size_t length)
{
    struct exec *exec = io->context;
    if (exec->conn) conn_send(exec->conn, (uint8_t)stream, data, length);
}

static int blocked(struct streams *io)
{
    struct exec *exec = io->context;
    return exec->conn && conn_full(exec->conn);
}

static void input_ready(struct streams *io) { flush_input(io->context); }

static void dispose(struct exec *exec)
{
    struct exec **link = &execs;
    while (*link && *link != exec) link = &(*link)->next;
    if (*link) *link = exec->next;
    if (exec->conn) conn_take(exec->conn, NULL, NULL);
    unlink(exec->process);
    buffer_free(&exec->input);
    free(exec);
}

static void finish(struct exec *exec, int code)
{
    struct buffer fields = {0};
    streams_finish(&exec->streams);
    field_add_number(&fields, "code", code);
    if (exec->conn) conn_send_fields(exec->conn, FRAME_EXIT, &fields);
    else buffer_free(&fields);
    dispose(exec);
}

static void ended(void *context, int status)
{
    finish(context, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

void execs_killed(void)
{
    while (execs) {
        struct exec *exec = execs;
        if (exec->running) finish(exec, 128 + SIGKILL);
        else {
            if (exec->conn) conn_fail(exec->conn, "invalid-state", 0, "the instance has just ended");
            dispose(exec);
        }
    }
}

static void started(struct launch *launch, pid_t pid)
{
    struct exec *exec = launch->context;
    struct buffer fields = {0};
    exec->pid = pid;
    exec->running = 1;
    unlink(exec->process);
    field_add_number(&fields, "pid", pid);
    if (exec->conn) conn_send_fields(exec->conn, FRAME_OPENED, &fields);
    else buffer_free(&fields);
    streams_resize(&exec->streams, exec->rows, exec->columns);
    streams_start(&exec->streams);
    flush_input(exec);
    loop_child(pid, ended, exec);
}

static void failed(struct launch *launch, int status, const char *text)
{
    struct exec *exec = launch->context;
    if (exec->conn) conn_fail(exec->conn, status ? "invalid-argument" : "internal", status, "%s", text);
    dispose(exec);
}

void exec_open(struct conn *conn, const struct fields *fields)
{
    const char *process = fields_get(fields, "process");
    if (main_state() != MAIN_RUNNING) return conn_fail(conn, "invalid-state", 0, "the instance is not running");
    if (!process) return conn_fail(conn, "invalid-argument", 0, "no process given");
    struct exec *exec = xmalloc(sizeof *exec);
    snprintf(exec->process, sizeof exec->process, "run/exec%d.json", ++files);
    if (write_file(exec->process, process, strlen(process)) < 0) {
        conn_fail(conn, "internal", 0, "%s: %s", exec->process, strerror(errno));
        return dispose(exec);
    }
    exec->rows = (unsigned)fields_number(fields, "rows", 0);
    exec->columns = (unsigned)fields_number(fields, "columns", 0);
    exec->streams = (struct streams){.output = output, .blocked = blocked, .input_ready = input_ready, .context = exec};
    exec->launch = (struct launch){.io = &exec->streams, .started = started, .failed = failed, .context = exec};
    const char *const arguments[] = {"exec", "--process", exec->process + 4, NULL};
    memcpy(exec->launch.arguments, arguments, sizeof arguments);
    exec->conn = conn;
    exec->next = execs;
    execs = exec;
    conn_take(conn, &handler, exec);
    if (launch_process(&exec->launch, fields_flag(fields, "stdin"), fields_flag(fields, "tty")) == 0) return;
    conn_fail(conn, "internal", 0, "cannot start a process: %s", strerror(errno));
    dispose(exec);
}
