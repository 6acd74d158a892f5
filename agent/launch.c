/* Children that become processes of the workload: forking them, and what they tell of how that went. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

/* Forks into the right namespaces; returns what fork returns. */
static pid_t fork_workload(const struct launch *plan)
{
    if (plan->is_main) return (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD,
                                             NULL, NULL, NULL, NULL);
    int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    /* Only children are affected: the agent stays where it is. */
    pid_t pid = setns(plan->workload, CLONE_NEWPID) == 0 ? fork() : -1;
    int saved = errno;
    if (pid) {
        setns(own, CLONE_NEWPID);
        close(own);
    }
    errno = saved;
    return pid;
}

/* Whether the workload's first process has begun to exit: its namespace takes no more processes, long before it is gone. */
static int workload_ends(void)
{
    enum { EXITING = 4 };
    char path[64], text[1024];
    unsigned flags = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", process_main());
    if (read_text(path, text, sizeof text) <= 0) return 1;
    const char *rest = strrchr(text, ')');
    return rest && sscanf(rest, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1 && flags & EXITING;
}

int launch_report(int report, struct failure *failure)
{
    ssize_t got;
    while ((got = read(report, failure, sizeof *failure)) < 0 && errno == EINTR) continue;
    if (got == 0) return 0;
    if (got != sizeof *failure) return fail_with(failure, "internal", 0, "a process could not be started");
    /* The child shares the workload's namespaces: what it says is used as a text, whatever it is. */
    failure->code[sizeof failure->code - 1] = failure->message[sizeof failure->message - 1] = 0;
    return -1;
}

int launch_begin(struct launch *plan, pid_t *pid, void (*run)(const struct launch *), struct failure *failure)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0) return fail_with(failure, "exhausted", 0, "the guest cannot open pipes");
    plan->report = report[1];
    *pid = fork_workload(plan);
    if (*pid == 0) run(plan);
    close(report[1]);
    if (*pid > 0) return report[0];
    int saved = errno;
    close(report[0]);
    if (!plan->is_main && workload_ends()) return fail_with(failure, "invalid-state", 0, "the workload has ended");
    return fail_with(failure, "exhausted", 0, "the guest cannot fork: %s", strerror(saved));
}

int process_inner_pid(pid_t pid)
{
    char path[64], line[256];
    int inner = pid;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "NSpid:", 6)) {
            char *last = strrchr(line, '\t');
            inner = last ? atoi(last) : pid;
        }
    if (file) fclose(file);
    return inner;
}
