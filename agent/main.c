/* berth-agent: process 1 of a guest. See agent.h and docs/guest-protocol.md. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

void agent_frame(const struct frame *frame);

static void answer(uint32_t channel, int state, const struct failure *failure)
{
    if (state < 0) link_fail(channel, failure);
    else link_opened(channel);
}

static void op_configure(uint32_t channel, const struct fields *fields)
{
    struct failure failure;
    answer(channel, configure(fields, &failure), &failure);
}

static void op_prepare(uint32_t channel, const struct fields *fields)
{
    struct failure failure;
    answer(channel, configure_ahead(fields, &failure), &failure);
}

static void op_signal(uint32_t channel, const struct fields *fields)
{
    struct failure failure;
    answer(channel, process_signal_main((int)fields_number(fields, "signal", 15), &failure), &failure);
}

static void op_resize(uint32_t channel, const struct fields *fields)
{
    struct failure failure;
    int rows = (int)fields_number(fields, "rows", 0), columns = (int)fields_number(fields, "columns", 0);
    answer(channel, process_resize_main(rows, columns, &failure), &failure);
}

/* Ends everything but the agent, leaves the disks clean and says so; then the host ends the machine. */
static void op_shutdown(uint32_t channel)
{
    /* Signal 9 to all but process 1; what they held is free when they have been reaped. */
    kill(-1, SIGKILL);
    storage_unmount();
    link_send(FRAME_EXIT, channel, "code=0", 7);
    link_flush();
}

static void op_limit(uint32_t channel, const struct fields *fields)
{
    struct failure failure;
    if (storage_limit(fields, &failure) < 0) link_fail(channel, &failure);
    else link_opened(channel);
}

static void op_clock(uint32_t channel, const struct fields *fields)
{
    configure_clock(fields);
    link_opened(channel);
}

/* How far this guest's clock has come: the host compares its rate with its own. */
static void op_ticks(uint32_t channel)
{
    struct buffer fields = {0};
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    field_add_number(&fields, "monotonic", now.tv_sec * 1000000000LL + now.tv_nsec);
    link_send_fields(FRAME_OPENED, channel, &fields);
    /* Only a machine that others are to be copies of is asked, and it has time: they need not load it. */
    link_flush();
    network_load();
}

static void op_plug(uint32_t channel, const struct fields *fields)
{
    struct failure failure;
    answer(channel, network_plug(fields_get(fields, "nic"), &failure), &failure);
}

static void op_unplug(uint32_t channel, const struct fields *fields)
{
    struct failure failure;
    answer(channel, network_unplug(fields_get(fields, "name"), &failure), &failure);
}

static void operation(const struct frame *frame, const struct fields *fields)
{
    const char *op = fields_get(fields, "op");
    uint32_t channel = frame->channel;
    struct failure failure;
    if (!op) return;
    if (!strcmp(op, "configure")) return op_configure(channel, fields);
    if (!strcmp(op, "shutdown")) return op_shutdown(channel);
    if (!strcmp(op, "prepare")) return op_prepare(channel, fields);
    if (!strcmp(op, "ticks")) return op_ticks(channel);
    if (!configuration.done) {
        fail_with(&failure, "invalid-state", 0, "the guest has not been configured");
        return link_fail(channel, &failure);
    }
    if (!strcmp(op, "start")) return process_start(channel, fields, 1);
    if (!strcmp(op, "exec")) return process_start(channel, fields, 0);
    if (!strcmp(op, "hold")) return process_hold(channel);
    if (!strcmp(op, "signal")) return op_signal(channel, fields);
    if (!strcmp(op, "resize")) return op_resize(channel, fields);
    if (!strcmp(op, "stats")) return report_stats(channel);
    if (!strcmp(op, "plug")) return op_plug(channel, fields);
    if (!strcmp(op, "unplug")) return op_unplug(channel, fields);
    if (!strcmp(op, "clock")) return op_clock(channel, fields);
    if (!strcmp(op, "limit")) return op_limit(channel, fields);
    if (!strcmp(op, "freeze")) return fork_freeze(channel);
    if (!strcmp(op, "thaw")) return fork_thaw(channel, fields);
    if (!strcmp(op, "fork")) return fork_become(channel, fields);
    files_serve(channel, op, fields);
}

void agent_frame(const struct frame *frame)
{
    struct fields fields;
    if (frame->type != FRAME_OPEN) {
        if (!process_frame(frame)) files_frame(frame);
    } else if (!frame->length) {
        /* The host has lost interest in what this channel does. */
        if (!process_cancel(frame->channel)) files_cancel(frame->channel);
    } else if (fields_parse(&fields, frame) == 0) operation(frame, &fields);
}

/* Only a kernel that gets this far can run guests under this accelerator. */
static int is_probe(void)
{
    char line[2048] = "";
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, line, sizeof line - 1) > 0) close(fd);
    return strstr(line, "berth.probe") != NULL;
}

/* On the host, not in a guest: the rate of the time stamp counter in kHz, against the kernel's raw clock. */
static int print_tsc(void)
{
#if defined(__x86_64__)
    struct timespec from, now, wait = {0, 100 * 1000000};
    clock_gettime(CLOCK_MONOTONIC_RAW, &from);
    unsigned long long start = __builtin_ia32_rdtsc();
    nanosleep(&wait, NULL);
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    unsigned long long ticks = __builtin_ia32_rdtsc() - start;
    long long passed = (now.tv_sec - from.tv_sec) * 1000000000LL + now.tv_nsec - from.tv_nsec;
    printf("%llu\n", ticks * 1000000ULL / (unsigned long long)passed);
    return 0;
#else
    return 1;
#endif
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "tsc")) return print_tsc();
    if (argc == 2 && !strcmp(argv[1], "rehearse")) return 0;
    if (getpid() != 1) return dprintf(2, "berth-agent is process 1 of a guest\n"), 64;
    boot_early();
    if (is_probe()) {
        dprintf(1, "berth-probe: ok\n");
        boot_restart();
    }
    boot_load_modules("/modules/link");
    int port = boot_open_port();
    if (port < 0) boot_restart();
    loop_open();
    link_open(port);
    boot_load_modules("/modules/storage");
    storage_prepare();
    link_opened(0);
    loop_run();
    boot_restart();
}
