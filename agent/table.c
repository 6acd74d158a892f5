/* The workload's processes, as ps would list them inside. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../shim/fsops.h"
#include "agent.h"

#define MAX_LINE 1400

struct row {
    int pid, parent, terminal;
    unsigned uid;
    unsigned long long ticks, started;
    char command[1024];
};

/* What the process was called with; its name in brackets when it has no arguments, as for one that has ended. */
static void read_command(int pid, const char *name, char *command, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    ssize_t length = read_text(path, command, size);
    if (length <= 0) {
        snprintf(command, size, "[%s]", name);
        return;
    }
    while (length > 0 && !command[length - 1]) length--;
    for (ssize_t i = 0; i < length; i++)
        if (!command[i] || command[i] == '\n') command[i] = ' ';
}

static int read_row(int pid, struct row *row)
{
    char path[64], text[4096];
    struct stat status;
    unsigned long long user, system;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (read_text(path, text, sizeof text) <= 0) return -1;
    char *name = strchr(text, '('), *rest = strrchr(text, ')');
    if (!name || !rest ||
        sscanf(rest + 1, " %*c %d %*d %*d %d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu",
               &row->parent, &row->terminal, &user, &system, &row->started) != 5)
        return -1;
    row->ticks = user + system;
    row->pid = pid;
    *rest = 0;
    read_command(pid, name + 1, row->command, sizeof row->command);
    snprintf(path, sizeof path, "/proc/%d", pid);
    row->uid = stat(path, &status) < 0 ? 0 : status.st_uid;
    return 0;
}

static time_t boot_time(void)
{
    struct timespec now, up;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    return now.tv_sec - up.tv_sec;
}

static int format_row(const struct row *row, char *line)
{
    char owner[16] = "root", terminal[16] = "?", since[16];
    long hertz = sysconf(_SC_CLK_TCK);
    time_t start = boot_time() + (time_t)(row->started / (unsigned long long)hertz);
    struct tm clock;
    unsigned long seconds = (unsigned long)(row->ticks / (unsigned long long)hertz);
    if (row->uid) snprintf(owner, sizeof owner, "%u", row->uid);
    /* Major number 136 is /dev/pts. */
    if ((row->terminal >> 8 & 0xfff) == 136) snprintf(terminal, sizeof terminal, "pts/%d", row->terminal & 0xff);
    strftime(since, sizeof since, "%H:%M", gmtime_r(&start, &clock));
    int parent = row->parent > 1 ? process_inner_pid(row->parent) : 0;
    /* The agent, outside, is nobody's parent to the workload. */
    return snprintf(line, MAX_LINE, "%d %d %s %s %s %02lu:%02lu:%02lu %s\n", process_inner_pid(row->pid), parent, owner,
                    since, terminal, seconds / 3600, seconds / 60 % 60, seconds % 60, row->command);
}

void report_processes(int socket)
{
    char text[32];
    char line[MAX_LINE];
    struct row row;
    FILE *list = fopen(WORKLOAD_CGROUP "/cgroup.procs", "re");
    fsops_send(socket, FRAME_OPENED, "", 0);
    while (list && fgets(text, sizeof text, list))
        if (read_row(atoi(text), &row) == 0) fsops_send(socket, FRAME_STDOUT, line, (size_t)format_row(&row, line));
    if (list) fclose(list);
    fsops_send(socket, FRAME_EXIT, "code=0", 7);
}
