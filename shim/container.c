/* The container back-end: an overlay, an OCI runtime that starts the process and goes, and us as its subreaper. */
#define _GNU_SOURCE
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch.h"
#include "network.h"
#include "oom.h"

struct container container = {.runtime = "crun"};

static struct streams streams;
static struct launch launch;
static const char *broken;

int write_file(const char *path, const char *text, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ssize_t written = fd < 0 ? -1 : write(fd, text, length);
    if (fd >= 0) close(fd);
    return written == (ssize_t)length ? 0 : -1;
}

static int option(const char *name, const char *value)
{
    if (!strcmp(name, "ephemeral")) container.ephemeral = 1;
    else if (!strcmp(name, "init")) container.init = 1;
    else if (!strcmp(name, "network")) container.network = 1;
    else if (!value) return -1;
    else if (!strcmp(name, "runtime")) container.runtime_binary = value;
    else if (!strcmp(name, "layer") && container.layer_count < MAX_LAYERS)
        container.layers[container.layer_count++] = value;
    else if (!strcmp(name, "cgroup") && container.cgroup_count < MAX_CGROUPS)
        container.cgroups[container.cgroup_count++] = value;
    else if (!strcmp(name, "oom-file")) container.oom_file = value;
    else if (!strcmp(name, "shared") && container.shared_count < MAX_SHARED)
        container.shared[container.shared_count++] = value;
    else if (!strcmp(name, "layer-image")) container.layer_image = value;
    else if (!strcmp(name, "cover")) container.cover = value;
    else return -1;
    return 0;
}

static int prepare(void)
{
    static char root[4096];
    if (!container.runtime_binary) return complain("--runtime is needed"), -1;
    const char *slash = strrchr(container.runtime_binary, '/');
    container.runtime = slash ? slash + 1 : container.runtime_binary;
    snprintf(root, sizeof root, "%s/run/state", options.dir);
    container.runtime_root = root;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    cgroups_warm_up();
    broken = mounts_prepare();
    if (!broken && container.network) broken = network_prepare();
    return 0;
}

static void output(struct streams *io, int stream, const char *data, size_t length)
{
    (void)io;
    if (length) main_output(stream, data, length);
    else main_output_end(stream);
}

static int blocked(struct streams *io)
{
    (void)io;
    return main_blocked();
}

static void input_ready(struct streams *io)
{
    (void)io;
    main_input_ready();
}

static void ended(void *context, int status)
{
    (void)context;
    main_ending();
    streams_finish(&streams);
    int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    main_exited(code, oom_killed(), NULL, NULL);
}

static void started(struct launch *done, pid_t pid)
{
    (void)done;
    main_started(pid);
    oom_watch(container.oom_file, main_oom);
    streams_start(&streams);
    loop_child(pid, ended, NULL);
}

static void failed(struct launch *done, int status, const char *text)
{
    (void)done;
    main_failed(status ? "invalid-argument" : "internal", status, text);
}

/* `file` fields are NAME and content in turn: what is bound into the container, e.g. hosts. */
static int write_files(const struct fields *request)
{
    size_t cursor = 0;
    char path[64];
    const char *config = fields_get(request, "config");
    if (!config || write_file("run/config.json", config, strlen(config)) < 0) return -1;
    for (const char *name; (name = fields_next(request, "file", &cursor));) {
        const char *content = fields_next(request, "file", &cursor);
        if (!content || strchr(name, '/')) return errno = EINVAL, -1;
        snprintf(path, sizeof path, "run/%s", name);
        if (write_file(path, content, strlen(content)) < 0) return -1;
    }
    return 0;
}

/* A container gets a copy: root in it may be able to write to what it sees of it, and the host executes the original. */
static int copy_init(void)
{
    static char chunk[65536];
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = from < 0 ? -1 : open("run/init", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0555);
    ssize_t got = -1;
    while (to >= 0 && (got = read(from, chunk, sizeof chunk)) > 0)
        if (write(to, chunk, (size_t)got) != got) got = -1, close(to), to = -1;
    if (from >= 0) close(from);
    if (to >= 0) close(to);
    return got == 0 ? 0 : -1;
}

static void start(const struct fields *request)
{
    if (broken) return main_failed("internal", 0, broken);
    if (write_files(request) < 0 || (container.init && copy_init() < 0)) return main_failed("internal", 0, strerror(errno));
    const char *problem = mounts_sources(request);
    if (!problem) problem = mounts_targets(request);
    if (problem) return main_failed("invalid-argument", 0, problem);
    problem = network_start(request);
    if (problem) return main_failed("internal", 0, problem);
    streams = (struct streams){.output = output, .blocked = blocked, .input_ready = input_ready};
    launch = (struct launch){.io = &streams, .arguments = {"run"}, .started = started, .failed = failed};
    if (launch_process(&launch, options.has_stdin, options.tty) < 0) main_failed("internal", 0, strerror(errno));
}

static void hold(const struct fields *request)
{
    size_t cursor = 0;
    if (broken) return main_failed("internal", 0, broken);
    const char *problem = mounts_sources(request);
    if (problem) return main_failed("invalid-argument", 0, problem);
    for (const char *source; (source = fields_next(request, "mount", &cursor));) {
        const char *target = fields_next(request, "mount", &cursor);
        const char *mode = fields_next(request, "mount", &cursor);
        problem = mode ? mounts_bind(source, target, !strcmp(mode, "ro")) : "incomplete mount";
        if (problem) return main_failed("internal", 0, problem);
    }
    main_held();
}

static void abort_start(void) { main_failed("unavailable", 0, "the container was killed while it was being started"); }

static void deliver(struct conn *conn, int number)
{
    int result = kill(main_pid(), number);
    if (!conn) return;
    if (result == 0) conn_opened(conn);
    else conn_fail(conn, errno == EINVAL ? "invalid-argument" : "invalid-state", 0, "signal %d: %s", number, strerror(errno));
}

static void resize(unsigned rows, unsigned columns) { streams_resize(&streams, rows, columns); }
static size_t input(const char *data, size_t length) { return streams_input(&streams, data, length); }
static void output_resume(void) { streams_resume(&streams); }

static int operation(struct conn *conn, const char *op, const struct fields *fields)
{
    if (!strcmp(op, "exec")) return exec_open(conn, fields), 0;
    if (network_operation(conn, op, fields) == 0) return 0;
    return files_operation(conn, op, fields);
}

static void cleanup(void)
{
    files_stop();
    launch_kill_all();
    cgroups_kill();
    execs_killed();
    network_end();
    cgroups_remove();
    mounts_release();
}

const struct backend container_backend = {
    .name = "container",
    .option = option,
    .prepare = prepare,
    .start = start,
    .hold = hold,
    .abort = abort_start,
    .signal = deliver,
    .resize = resize,
    .input = input,
    .output_resume = output_resume,
    .operation = operation,
    .cleanup = cleanup,
};
