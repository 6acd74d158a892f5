#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "../shim/oom.h"
#include "agent.h"

#define READ_SIZE 32768
#define TIOCGPTPEER 0x5441

struct process {
    uint32_t channel;
    pid_t pid;
    /* `holds`: it is to run nothing, and only keeps the workload's view of the file system. */
    int is_main, holds, tty, ended, status, input_ended;
    /* Pipe on which the child reports that it cannot execute its program; its end without a word tells that it has.
     * Closed once that is known. */
    struct watch report;
    struct watch in, out, err;
    struct buffer input;
    /* Output bytes that the host has room for. */
    size_t credit;
    struct process *next;
};

static struct process *processes, *main_process;
static pid_t holder;

pid_t process_main(void) { return main_process && !main_process->ended ? main_process->pid : 0; }
pid_t process_holder(void) { return holder; }

static struct process *find(uint32_t channel)
{
    struct process *process = processes;
    while (process && process->channel != channel) process = process->next;
    return process;
}

static void release(struct process *process)
{
    struct process **link = &processes;
    while (*link != process) link = &(*link)->next;
    *link = process->next;
    if (main_process == process) main_process = NULL;
    loop_close(&process->report);
    loop_close(&process->in);
    loop_close(&process->out);
    loop_close(&process->err);
    buffer_free(&process->input);
    free(process);
}

static void report_exit(struct process *process)
{
    struct buffer fields = {0};
    int status = process->status;
    field_add_number(&fields, "code", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    if (process->is_main && oom_killed()) field_add(&fields, "oom", "1");
    link_send_fields(FRAME_EXIT, process->channel, &fields);
    release(process);
}

static void close_output(struct process *process, struct watch *watch)
{
    if (watch->fd < 0) return;
    loop_close(watch);
    link_send(watch == &process->err ? FRAME_STDERR : FRAME_STDOUT, process->channel, "", 0);
}

/* Reads once; 1 when there may be more, 0 when not now, -1 when the output has ended. */
static int pump(struct process *process, struct watch *watch)
{
    static char data[READ_SIZE];
    size_t room = process->credit < sizeof data ? process->credit : sizeof data;
    ssize_t got = read(watch->fd, data, room);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (got <= 0) return -1;
    process->credit -= (size_t)got;
    link_send(watch == &process->err ? FRAME_STDERR : FRAME_STDOUT, process->channel, data, (size_t)got);
    return 1;
}

/* After the process ended: hands over what the pipes still hold. What others may yet write to them is not waited for. */
static void drain(struct process *process)
{
    struct watch *outputs[] = {&process->out, &process->err};
    for (int i = 0; i < 2; i++) {
        int state = 1;
        while (outputs[i]->fd >= 0 && process->credit && state > 0) state = pump(process, outputs[i]);
        if (outputs[i]->fd >= 0 && state > 0) return loop_change(outputs[i], 0);
        close_output(process, outputs[i]);
    }
    report_exit(process);
}

static void output_ready(struct watch *watch, uint32_t events)
{
    struct process *process = watch->context;
    (void)events;
    if (!process->credit) return loop_change(watch, 0);
    if (pump(process, watch) < 0) close_output(process, watch);
}

static void feed(struct process *process)
{
    size_t before = process->input.length;
    while (process->input.length && process->in.fd >= 0) {
        ssize_t written = write(process->in.fd, buffer_head(&process->input), process->input.length);
        if (written < 0 && errno == EAGAIN) break;
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) loop_close(&process->in);
        else buffer_consume(&process->input, (size_t)written);
    }
    /* Nobody reads it any more. */
    if (process->in.fd < 0) buffer_consume(&process->input, process->input.length);
    link_window(process->channel, before - process->input.length);
    if (process->in.fd < 0) return;
    if (!process->input.length && process->input_ended && !process->tty) loop_close(&process->in);
    else loop_change(&process->in, process->input.length ? EPOLLOUT : 0);
}

static void input_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    feed(watch->context);
}

static int open_terminal(const struct fields *fields, int stdio[3], int *master, struct failure *failure)
{
    int unlock = 0, slave = -1;
    struct winsize size = {.ws_row = (unsigned short)fields_number(fields, "rows", 0),
                           .ws_col = (unsigned short)fields_number(fields, "columns", 0)};
    *master = open(TERMINALS_PATH "/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (*master >= 0 && ioctl(*master, TIOCSPTLCK, &unlock) == 0)
        slave = ioctl(*master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) return fail_with(failure, "internal", 0, "the guest cannot open a terminal: %s", strerror(errno));
    if (size.ws_row) ioctl(*master, TIOCSWINSZ, &size);
    for (int i = 0; i < 3; i++) stdio[i] = slave;
    return 0;
}

static void watch_end(struct process *process, struct watch *watch, int fd, void (*ready)(struct watch *, uint32_t))
{
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *watch = (struct watch){.fd = fd, .ready = ready, .context = process};
}

static int open_pipes(struct process *process, int wants_input, int stdio[3], struct failure *failure)
{
    int in[2], out[2], err[2];
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        return fail_with(failure, "exhausted", 0, "the guest cannot open pipes: %s", strerror(errno));
    stdio[0] = in[0];
    stdio[1] = out[1];
    stdio[2] = err[1];
    watch_end(process, &process->in, in[1], input_ready);
    watch_end(process, &process->out, out[0], output_ready);
    watch_end(process, &process->err, err[0], output_ready);
    if (!wants_input) loop_close(&process->in);
    return 0;
}

static int open_stdio(struct process *process, const struct fields *fields, int stdio[3], struct failure *failure)
{
    int master = -1;
    process->tty = fields_flag(fields, "tty");
    if (!process->tty) return open_pipes(process, fields_flag(fields, "stdin"), stdio, failure);
    if (open_terminal(fields, stdio, &master, failure) < 0) return -1;
    watch_end(process, &process->out, master, output_ready);
    watch_end(process, &process->in, fcntl(master, F_DUPFD_CLOEXEC, 3), input_ready);
    return 0;
}

static void close_stdio(const int stdio[3], int tty)
{
    for (int i = 0; i < (tty ? 1 : 3); i++) close(stdio[i]);
}

static void started(struct process *process)
{
    struct buffer fields = {0};
    if (process->holds) {
        holder = process->pid;
        link_opened(process->channel);
        loop_forget_child(process->pid);
        return release(process);
    }
    if (process->is_main) main_process = process;
    field_add_number(&fields, "pid", process_inner_pid(process->pid));
    link_send_fields(FRAME_OPENED, process->channel, &fields);
    if (process->out.fd >= 0) loop_watch(&process->out, EPOLLIN);
    if (process->err.fd >= 0) loop_watch(&process->err, EPOLLIN);
}

static void not_started(struct process *process, const struct failure *failure)
{
    link_fail(process->channel, failure);
    if (process->pid > 0) loop_forget_child(process->pid);
    release(process);
}

static void report_ready(struct watch *watch, uint32_t events)
{
    struct process *process = watch->context;
    struct failure failure;
    (void)events;
    int state = launch_report(watch->fd, &failure);
    loop_close(watch);
    if (state < 0) not_started(process, &failure);
    else started(process);
}

static void ended(void *context, int status)
{
    struct process *process = context;
    struct failure failure;
    /* The child may have reported a failure, or have executed a program that has already ended. */
    if (process->report.fd >= 0) {
        int state = launch_report(process->report.fd, &failure);
        loop_close(&process->report);
        if (state < 0 || process->holds) {
            if (state == 0) fail_with(&failure, "internal", 0, "a process could not be started");
            process->pid = 0;
            return not_started(process, &failure);
        }
        started(process);
    }
    process->ended = 1;
    process->status = status;
    drain(process);
}

/* Begins what the loop goes on with: a child that is being set up may wait for what the workload owns, process 1 may not. */
static void begin(struct process *process, struct launch *plan, void (*run)(const struct launch *))
{
    struct failure failure;
    int report = launch_begin(plan, &process->pid, run, &failure);
    if (report < 0) return not_started(process, &failure);
    watch_end(process, &process->report, report, report_ready);
    loop_watch(&process->report, EPOLLIN);
    loop_child(process->pid, ended, process);
}

static struct process *add(uint32_t channel)
{
    struct process *process = xmalloc(sizeof *process);
    *process = (struct process){.channel = channel, .credit = WINDOW_BYTES, .next = processes};
    process->report.fd = process->in.fd = process->out.fd = process->err.fd = -1;
    return processes = process;
}

void process_start(uint32_t channel, const struct fields *fields, int is_main)
{
    struct failure failure;
    struct process *process = add(channel);
    struct launch plan = {.process = fields, .is_main = is_main, .workload = -1};
    process->is_main = is_main;
    if (process_main()) plan.workload = sandbox_open(process_main());
    if (!is_main && plan.workload < 0) {
        fail_with(&failure, "invalid-state", 0, "the workload is not running");
        return not_started(process, &failure);
    }
    if (open_stdio(process, fields, plan.stdio, &failure) < 0) {
        if (plan.workload >= 0) close(plan.workload);
        return not_started(process, &failure);
    }
    plan.cgroup = open(WORKLOAD_CGROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC);
    plan.tty = process->tty;
    int tty = process->tty;
    begin(process, &plan, child_run);
    close_stdio(plan.stdio, tty);
    if (plan.cgroup >= 0) close(plan.cgroup);
    if (plan.workload >= 0) close(plan.workload);
}

int process_rehearse(struct failure *failure)
{
    static const char nothing[] = "arg=berth-agent";
    struct fields fields = {nothing, sizeof nothing};
    struct launch plan = {.process = &fields, .is_main = 1, .workload = -1};
    pid_t pid = 0;
    for (int i = 0; i < 3; i++) plan.stdio[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
    plan.rehearsal = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    plan.cgroup = open(WORKLOAD_CGROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC);
    int report = launch_begin(&plan, &pid, child_run, failure);
    int state = report < 0 ? -1 : launch_report(report, failure);
    if (report >= 0) close(report);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    close_stdio(plan.stdio, 0);
    close(plan.rehearsal);
    close(plan.cgroup);
    return state;
}

void process_hold(uint32_t channel)
{
    struct launch plan = {.is_main = 1, .cgroup = -1};
    struct process *process = add(channel);
    process->holds = 1;
    begin(process, &plan, child_hold);
}

int process_signal_main(int number, struct failure *failure)
{
    pid_t pid = process_main();
    if (pid && kill(pid, number) == 0) return 0;
    return fail_with(failure, "invalid-state", 0, "the workload is not running");
}

static void resize(struct process *process, int rows, int columns)
{
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    if (process->tty && process->out.fd >= 0) ioctl(process->out.fd, TIOCSWINSZ, &size);
}

int process_resize_main(int rows, int columns, struct failure *failure)
{
    if (!process_main()) return fail_with(failure, "invalid-state", 0, "the workload is not running");
    resize(main_process, rows, columns);
    return 0;
}

static void give_credit(struct process *process, const struct frame *frame)
{
    process->credit += frame_window(frame);
    if (process->ended) return drain(process);
    if (process->out.fd >= 0) loop_change(&process->out, EPOLLIN);
    if (process->err.fd >= 0) loop_change(&process->err, EPOLLIN);
}

int process_cancel(uint32_t channel)
{
    struct process *process = find(channel);
    if (!process) return 0;
    /* The main process is ended by signals only, and one that was executed may outlive the interest in it. */
    if (!process->is_main && process->report.fd >= 0) kill(process->pid, SIGKILL);
    return 1;
}

void process_oom(void)
{
    if (main_process) link_send(FRAME_OOM, main_process->channel, "", 0);
}

void process_end_others(void)
{
    for (struct process *process = processes, *next; process; process = next) {
        next = process->next;
        if (process == main_process) continue;
        if (!process->ended) kill(process->pid, SIGKILL);
        loop_forget_child(process->pid);
        release(process);
    }
}

size_t process_main_renew(void)
{
    if (!main_process) return 0;
    main_process->credit = WINDOW_BYTES;
    if (main_process->out.fd >= 0) loop_change(&main_process->out, EPOLLIN);
    if (main_process->err.fd >= 0) loop_change(&main_process->err, EPOLLIN);
    size_t waiting = main_process->input.length;
    return waiting < WINDOW_BYTES ? WINDOW_BYTES - waiting : 0;
}

int process_frame(const struct frame *frame)
{
    struct process *process = find(frame->channel);
    struct fields fields = {0};
    if (!process) return 0;
    if (frame->type == FRAME_WINDOW) return give_credit(process, frame), 1;
    if (frame->type == FRAME_STDIN) {
        if (!frame->length) process->input_ended = 1;
        buffer_append(&process->input, frame->payload, frame->length);
        feed(process);
        return 1;
    }
    if (fields_parse(&fields, frame) < 0) return 1;
    if (frame->type == FRAME_RESIZE)
        resize(process, (int)fields_number(&fields, "rows", 0), (int)fields_number(&fields, "columns", 0));
    if (frame->type == FRAME_SIGNAL && !process->ended) kill(process->pid, (int)fields_number(&fields, "signal", 15));
    return 1;
}
