#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

ssize_t read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0) close(fd);
    text[got < 0 ? 0 : got] = 0;
    return got;
}

/* The number after `key` at the start of a line; -1 when there is none. */
static long long line_value(const char *text, const char *key)
{
    size_t length = strlen(key);
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (!strncmp(line, key, length) && line[length] == ' ') return atoll(line + length + 1);
    return -1;
}

/* Sums a KEY=VALUE of all devices in io.stat. */
static long long io_total(const char *text, const char *key)
{
    long long total = 0;
    for (const char *at = text; (at = strstr(at, key)); at++) total += atoll(at + strlen(key));
    return total;
}

static void add_file(struct buffer *fields, const char *key, const char *path)
{
    char text[64];
    read_text(path, text, sizeof text);
    if (isdigit((unsigned char)*text)) field_add_number(fields, key, atoll(text));
}

/* A whole text, for the host to parse. */
static void add_text(struct buffer *fields, const char *key, const char *path)
{
    char text[512];
    if (read_text(path, text, sizeof text) > 0) field_add(fields, key, text);
}

void report_stats(uint32_t channel)
{
    static char text[16384];
    static const char *const details[] = {"anon", "file", "shmem", "inactive_file", "active_file", "inactive_anon",
                                          "active_anon", "kernel_stack", "slab", "pgfault", "pgmajfault"};
    struct buffer fields = {0};
    add_file(&fields, "memory_usage", WORKLOAD_CGROUP "/memory.current");
    add_file(&fields, "memory_limit", WORKLOAD_CGROUP "/memory.max");
    add_file(&fields, "memory_swap", WORKLOAD_CGROUP "/memory.swap.current");
    add_file(&fields, "memory_peak", WORKLOAD_CGROUP "/memory.peak");
    read_text(WORKLOAD_CGROUP "/memory.events", text, sizeof text);
    field_add_number(&fields, "memory_oom_kills", line_value(text, "oom_kill"));
    read_text(WORKLOAD_CGROUP "/memory.stat", text, sizeof text);
    field_add_number(&fields, "memory_cache", line_value(text, "file"));
    for (size_t i = 0; i < sizeof details / sizeof *details; i++) {
        char key[64];
        snprintf(key, sizeof key, "memory.%s", details[i]);
        if (line_value(text, details[i]) >= 0) field_add_number(&fields, key, line_value(text, details[i]));
    }
    read_text(WORKLOAD_CGROUP "/cpu.stat", text, sizeof text);
    field_add_number(&fields, "cpu_ns", line_value(text, "usage_usec") * 1000);
    field_add_number(&fields, "cpu_user_ns", line_value(text, "user_usec") * 1000);
    field_add_number(&fields, "cpu_system_ns", line_value(text, "system_usec") * 1000);
    add_file(&fields, "pids", WORKLOAD_CGROUP "/pids.current");
    add_file(&fields, "pids_limit", WORKLOAD_CGROUP "/pids.max");
    read_text(WORKLOAD_CGROUP "/io.stat", text, sizeof text);
    field_add_number(&fields, "block_read", io_total(text, "rbytes="));
    field_add_number(&fields, "block_write", io_total(text, "wbytes="));
    field_add_number(&fields, "block_reads", io_total(text, "rios="));
    field_add_number(&fields, "block_writes", io_total(text, "wios="));
    add_text(&fields, "pressure_cpu", WORKLOAD_CGROUP "/cpu.pressure");
    add_text(&fields, "pressure_memory", WORKLOAD_CGROUP "/memory.pressure");
    add_text(&fields, "pressure_io", WORKLOAD_CGROUP "/io.pressure");
    link_send_fields(FRAME_OPENED, channel, &fields);
}
