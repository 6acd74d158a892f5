#define _GNU_SOURCE
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "container.h"
#include "memory-limit.h"
#include "own-group.h"

/* A runtime has this long to start its process. */
#define LIMIT_S 60

static int launches;
/* Runtimes under way. More than these are seldom, and end by themselves. */
static pid_t under_way[64];

static void note_runtime(pid_t before, pid_t now)
{
    size_t i = 0;
    while (i < sizeof under_way / sizeof *under_way && under_way[i] != before) i++;
    if (i < sizeof under_way / sizeof *under_way) under_way[i] = now;
}

void launch_kill_all(void)
{
    for (size_t i = 0; i < sizeof under_way / sizeof *under_way; i++) {
        if (!under_way[i]) continue;
        kill(under_way[i], SIGKILL);
        while (waitpid(under_way[i], NULL, 0) < 0 && errno == EINTR) continue;
        under_way[i] = 0;
    }
}

static void name(char path[32], const struct launch *launch, const char *suffix)
{
    snprintf(path, 32, "run/%d.%s", launch->number, suffix);
}

static ssize_t read_small(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0) close(fd);
    text[length < 0 ? 0 : length] = 0;
    return length;
}

static int console_listen(const struct launch *launch)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char path[32];
    name(path, launch, "sock");
    strcpy(address.sun_path, path);
    if (fd >= 0 && (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The runtime has sent the terminal's master before it ended: it waits in the socket. */
static int console_receive(int listener)
{
    char byte[256], control[CMSG_SPACE(sizeof(int))];
    struct iovec data = {byte, sizeof byte};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int master = -1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return -1;
    struct cmsghdr *part = recvmsg(fd, &message, MSG_CMSG_CLOEXEC) >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (part && part->cmsg_type == SCM_RIGHTS) memcpy(&master, CMSG_DATA(part), sizeof master);
    close(fd);
    return master;
}

static void clean(struct launch *launch)
{
    static const char *const suffixes[] = {"log", "pid", "sock"};
    char path[32];
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        name(path, launch, suffixes[i]);
        unlink(path);
    }
    if (launch->console >= 0) close(launch->console);
    launch->console = -1;
}

/* What the shell says of commands: 127 not found, 126 found but not executable, 0 for any other failure. */
static int status_of(const char *text)
{
    int about_executable = strstr(text, "executable") || strstr(text, "exec: ") || strstr(text, "exec container");
    if (!about_executable) return 0;
    if (strstr(text, "not found in $PATH") || strcasestr(text, "no such file or directory")) return 127;
    if (strcasestr(text, "permission denied") || strcasestr(text, "not permitted") || strcasestr(text, "is a directory")
        || strcasestr(text, "exec format error") || strcasestr(text, "not a directory"))
        return 126;
    return 0;
}

static void fail(struct launch *launch, int status)
{
    char text[3500], path[32], *end;
    name(path, launch, "log");
    if (launch->late)
        snprintf(text, sizeof text, "the OCI runtime did not start the process within %d s and was killed", LIMIT_S);
    else if (read_small(path, text, sizeof text) <= 0)
        snprintf(text, sizeof text, "the OCI runtime ended with %s %d and said nothing",
                 WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    for (end = text + strlen(text); end > text && end[-1] == '\n';) *--end = 0;
    clean(launch);
    streams_discard(launch->io);
    launch->failed(launch, status_of(text), text);
}

static void runtime_late(void *context)
{
    struct launch *launch = context;
    launch->late = 1;
    kill(launch->runtime, SIGKILL);
}

static void runtime_ended(void *context, int status)
{
    struct launch *launch = context;
    char path[32], text[32];
    loop_cancel(launch->timer);
    note_runtime(launch->runtime, 0);
    name(path, launch, "pid");
    pid_t pid = status || read_small(path, text, sizeof text) <= 0 ? 0 : atoi(text);
    if (pid <= 0) fail(launch, status);
    else {
        if (launch->console >= 0) streams_set_master(launch->io, console_receive(launch->console));
        clean(launch);
        launch->started(launch, pid);
    }
    loop_keep_unknown(0);
}

/* With version 1 of control groups only the topmost group has time for processes with precedence. */
static void enter_top(void)
{
    for (size_t i = 0; i < container.cgroup_count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s", container.cgroups[i]);
        char *name = strstr(path, "/cpu/"), *both = strstr(path, "/cpu,cpuacct/");
        char *end = name ? name + strlen("/cpu") : both ? both + strlen("/cpu,cpuacct") : NULL;
        if (!end) continue;
        snprintf(end, sizeof path - (size_t)(end - path), "/cgroup.procs");
        write_file(path, "0", 1);
        return;
    }
}

/* `crun exec` sets the size of a new terminal beside the process that it has let go already. It is given precedence, its
 * children are not, so that the size is there before the process asks for it. */
static void precede_children(void)
{
    struct sched_param first = {.sched_priority = 1};
    enter_top();
    /* musl has no call of this name that does anything. */
    syscall(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first);
}

static void exec_runtime(struct launch *launch, int tty)
{
    const char *argv[32];
    char log[32], pid[32], sock[32];
    static char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "_LIBCONTAINER_CLONED_BINARY=1", NULL};
    size_t n = 0;
    /* The runtime runs in run/, the bundle. */
    name(log, launch, "log");
    name(pid, launch, "pid");
    name(sock, launch, "sock");
    argv[n++] = container.runtime;
    argv[n++] = "--root", argv[n++] = container.runtime_root, argv[n++] = "--log", argv[n++] = log + 4;
    for (size_t i = 0; launch->arguments[i]; i++) argv[n++] = launch->arguments[i];
    argv[n++] = "--detach", argv[n++] = "--pid-file", argv[n++] = pid + 4;
    if (tty) argv[n++] = "--console-socket", argv[n++] = sock + 4;
    argv[n++] = options.id;
    argv[n] = NULL;
    for (int i = 0; i < 3; i++) dup2(launch->child[i], i);
    loop_forget_signals();
    memory_limit_lift();
    if (tty) precede_children();
    if (chdir("run") == 0) execve("runtime", (char *const *)argv, environment);
    dprintf(2, "%s: %s\n", container.runtime, strerror(errno));
    _exit(255);
}

int launch_process(struct launch *launch, int has_stdin, int tty)
{
    launch->number = ++launches;
    launch->console = -1;
    if (streams_open(launch->io, tty, has_stdin, launch->child) < 0) return -1;
    if (tty && (launch->console = console_listen(launch)) < 0) return -1;
    loop_keep_unknown(1);
    launch->runtime = fork_outside(0);
    if (!launch->runtime) exec_runtime(launch, tty);
    streams_close_child(launch->child);
    if (launch->runtime < 0) return loop_keep_unknown(0), clean(launch), -1;
    note_runtime(0, launch->runtime);
    launch->timer = loop_after(LIMIT_S * 1000, runtime_late, launch);
    loop_child(launch->runtime, runtime_ended, launch);
    return 0;
}
