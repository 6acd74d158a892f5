/* The guest comes to rest so that it can be copied, and goes on: as itself, or as a copy that is somebody else.
 * At rest, no process of the workload runs and no byte is on its way between the agent and the host: what the agent
 * would say is kept, so that a copy's supervisor begins at the start of a frame. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../shim/oom.h"
#include "agent.h"

#define FREEZE_LIMIT_MS 3000

/* The kernel raises POLLPRI on the file whenever something in it changes. */
static int await_frozen(void)
{
    char text[256];
    int fd = open(WORKLOAD_CGROUP "/cgroup.events", O_RDONLY | O_CLOEXEC), waited = 1;
    struct pollfd change = {.fd = fd, .events = POLLPRI};
    for (;;) {
        ssize_t got = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);
        text[got < 0 ? 0 : got] = 0;
        if (got < 0 || strstr(text, "frozen 1") || waited <= 0) break;
        waited = poll(&change, 1, FREEZE_LIMIT_MS);
    }
    if (fd >= 0) close(fd);
    return strstr(text, "frozen 1") ? 0 : -1;
}

void fork_freeze(uint32_t channel)
{
    struct failure failure;
    if (!process_main()) {
        fail_with(&failure, "invalid-state", 0, "the workload is not running");
        return link_fail(channel, &failure);
    }
    if (write_file(WORKLOAD_CGROUP "/cgroup.freeze", "1") < 0 || await_frozen() < 0) {
        write_file(WORKLOAD_CGROUP "/cgroup.freeze", "0");
        fail_with(&failure, "unavailable", 0, "the workload did not come to rest");
        return link_fail(channel, &failure);
    }
    link_opened(channel);
    link_flush();
    link_hold(1);
}

void fork_thaw(uint32_t channel, const struct fields *fields)
{
    configure_clock(fields);
    write_file(WORKLOAD_CGROUP "/cgroup.freeze", "0");
    link_hold(0);
    link_opened(channel);
}

static int set_names(const struct fields *fields)
{
    const char *name = fields_get(fields, "host"), *domain = fields_get(fields, "domain");
    if (name && sethostname(name, strlen(name)) < 0) return -1;
    return domain ? setdomainname(domain, strlen(domain)) : 0;
}

/* The agent's own and the workload's, for which it steps over there: to fork for that would take much longer. */
static int rename_guest(const struct fields *fields, struct failure *failure)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/uts", process_main());
    int own = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC), workload = open(path, O_RDONLY | O_CLOEXEC);
    int state = set_names(fields) < 0 || setns(workload, CLONE_NEWUTS) < 0 || set_names(fields) < 0 ? -1 : 0;
    int saved = errno;
    setns(own, CLONE_NEWUTS);
    close(own);
    close(workload);
    if (state == 0) return 0;
    return fail_with(failure, "internal", 0, "the guest cannot change its host name: %s", strerror(saved));
}

void fork_become(uint32_t channel, const struct fields *fields)
{
    struct failure failure;
    struct buffer answer = {0};
    /* Whoever asked for these is a client of the machine that this one is a copy of. */
    process_end_others();
    files_end_all();
    oom_forget();
    link_hold(0);
    if (configure_anew(fields, &failure) < 0 || rename_guest(fields, &failure) < 0)
        return link_fail(channel, &failure);
    field_add_number(&answer, "window", (long long)process_main_renew());
    link_send_fields(FRAME_OPENED, channel, &answer);
    write_file(WORKLOAD_CGROUP "/cgroup.freeze", "0");
}
