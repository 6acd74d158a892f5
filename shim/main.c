/* berth-shim: supervises one instance. Usage: berth-shim container|vm …; see docs/guest-protocol.md. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apart.h"
#include "backend.h"
#include "conntrack.h"
#include "init.h"
#include "lock.h"
#include "pressure.h"
#include "probe.h"
#include "supervisor.h"
#include "vm-process.h"

struct options options = {.log = 1, .log_max_files = 1};

static const struct backend *const backends[] = {
    &container_backend,
#ifdef BERTH_VM
    &vm_backend,
#endif
};

static int common_option(const char *name, const char *value)
{
    if (!strcmp(name, "tty")) options.tty = 1;
    else if (!strcmp(name, "stdin")) options.has_stdin = 1;
    else if (!strcmp(name, "no-log")) options.log = 0;
    else if (!value) return -1;
    else if (!strcmp(name, "dir")) options.dir = value;
    else if (!strcmp(name, "id")) options.id = value;
    else if (!strcmp(name, "group")) options.group = value;
    else if (!strcmp(name, "outside")) options.outside = value;
    else if (!strcmp(name, "log-max-bytes")) options.log_max_bytes = atoll(value);
    else if (!strcmp(name, "log-max-files")) options.log_max_files = atoi(value);
    else return -1;
    return 0;
}

static int parse(const struct backend *backend, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        char *name = argv[i], *value = strchr(argv[i], '=');
        if (strncmp(name, "--", 2)) return dprintf(2, "not an option: %s\n", name), -1;
        if (value) *value++ = 0;
        if (common_option(name + 2, value) < 0 && backend->option(name + 2, value) < 0)
            return dprintf(2, "unknown option %s\n", name), -1;
    }
    if (!options.dir || !options.id) return dprintf(2, "--dir and --id are needed\n"), -1;
    return 0;
}

/* Nothing that happens to the daemon or its terminal may reach the shim: own session, no signals but KILL, no
 * descriptors but ours, complaints into a file. */
static void detach(void)
{
    static const int ignored[] = {SIGHUP, SIGPIPE, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTTOU};
    setsid();
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) signal(ignored[i], SIG_IGN);
    int null = open("/dev/null", O_RDWR);
    int errors = open("shim.err", O_WRONLY | O_CREAT | O_APPEND | O_TRUNC, 0640);
    dup2(null, 0);
    dup2(null, 1);
    dup2(errors < 0 ? null : errors, 2);
    if (null > 2) close(null);
    if (errors > 2) close(errors);
    umask(022);
}

/* Without the folder, nothing in it may be touched, not even the file for complaints: only the daemon's first connection
 * is left to tell by. */
static int refuse(int first_fd)
{
    char message[4200];
    struct buffer fields = {0}, out = {0};
    int taken = errno == EWOULDBLOCK;
    if (taken) snprintf(message, sizeof message, "another supervisor holds %s; wait until it has ended, or end it", options.dir);
    else snprintf(message, sizeof message, "cannot take %s: %s", options.dir, strerror(errno));
    field_add(&fields, "code", taken ? "conflict" : "internal");
    field_add(&fields, "message", message);
    frame_append(&out, FRAME_FAIL, 0, buffer_head(&fields), fields.length);
    if (first_fd < 0 || write(first_fd, buffer_head(&out), out.length) < 0) dprintf(2, "%s\n", message);
    return 75;
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    /* Bound into a container under this name, it is the container's init. */
    if (!strcmp(slash ? slash + 1 : argv[0], "docker-init")) return init_main(argc, argv);
    if (argc > 1 && !strcmp(argv[1], "probe")) return probe_main(argc, argv);
    if (argc > 1 && !strcmp(argv[1], "conntrack")) return conntrack_main(argc, argv);
    if (argc > 1 && !strcmp(argv[1], "pressure")) return pressure_main(argc, argv);
    if (argc > 1 && !strcmp(argv[1], "apart")) return apart_main(argc, argv);
    if (argc > 1 && !strcmp(argv[1], "inside")) return inside_main(argc, argv);
    const struct backend *backend = NULL;
    for (size_t i = 0; argc > 1 && i < sizeof backends / sizeof *backends; i++)
        if (!strcmp(backends[i]->name, argv[1])) backend = backends[i];
    if (!backend) return dprintf(2, "usage: berth-shim container|vm …\n"), 64;
    if (parse(backend, argc, argv) < 0) return 64;
    if (chdir(options.dir) < 0) return dprintf(2, "%s: %s\n", options.dir, strerror(errno)), 66;
    int first = fcntl(3, F_GETFD) < 0 ? -1 : 3;
    /* The connection stays, and nothing else of whoever started the daemon. */
    process_close_from(4);
    if (lock_take(".") < 0) return refuse(first);
    detach();
    return supervise(backend, first);
}
