/* Binds and volumes: one virtiofsd serves a folder that exists only in its own mount namespace and holds nothing but
 * the shared files and folders, numbered. Read-only ones are so on this side already. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image.h"
#include "own-group.h"
#include "own-mounts.h"
#include "read-only.h"
#include "vm.h"
#include "vm-process.h"

#define FOLDER "shares"
#define SOCKET "shares.sock"
#define MAX_ARGUMENTS 32

static void fail(const char *what, const char *where) __attribute__((noreturn));
static void fail(const char *what, const char *where)
{
    complain("cannot %s %s: %s", what, where, strerror(errno));
    _exit(127);
}

/* The shares are what the `source` fields tell of (image.h), by their numbers. */
static void bind_all(const struct fields *machine)
{
    size_t cursor = 0;
    char target[64];
    if (own_mounts() < 0) fail("unshare", "mounts");
    if (mount("berth", FOLDER, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755") < 0) fail("mount", FOLDER);
    struct source source;
    for (int found; (found = source_next(machine, &cursor, &source)) > 0;) {
        snprintf(target, sizeof target, FOLDER "/%d", source.number);
        if (source_bind(FOLDER "/image", &source, target) == 0) continue;
        complain("cannot share %s: %s", *source.subpath ? source.subpath : source.root, bind_problem(errno));
        _exit(127);
    }
    mount(NULL, FOLDER, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
}

/* Writes the maps of our parent: whoever enters a user namespace may no longer do so himself. */
static int map_all(pid_t process)
{
    static const char *const names[] = {"uid_map", "gid_map"};
    static const char everyone[] = "0 0 4294967295";
    char path[64];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", process, names[i]);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, everyone, sizeof everyone - 1) < 0) return -1;
        close(fd);
    }
    return 0;
}

/* Owners of files stay what they are, but root is no longer the host's: its capabilities end at the shares, and it can
 * neither undo what is read-only nor make devices. */
static void leave_users(void)
{
    int entered[2], status = -1;
    char byte;
    pid_t process = getpid();
    if (pipe2(entered, O_CLOEXEC) < 0) fail("make", "a pipe");
    pid_t mapper = fork();
    if (mapper < 0) fail("start", "a process");
    if (!mapper) {
        close(entered[1]);
        _exit(read(entered[0], &byte, 1) == 1 && map_all(process) < 0);
    }
    if (unshare(CLONE_NEWUSER) < 0) complain("virtiofsd keeps the host's users: %s", strerror(errno));
    else if (write(entered[1], "", 1) != 1) fail("map", "users");
    close(entered[0]);
    close(entered[1]);
    if (waitpid(mapper, &status, 0) < 0 || status) fail("map", "users");
}

static void run(const struct fields *machine, int listener, pid_t shim)
{
    char *arguments[MAX_ARGUMENTS + 1] = {0}, *environment[] = {"PATH=/usr/bin:/bin", NULL};
    size_t cursor = 0, count = 0;
    process_begin(machine);
    bind_all(machine);
    for (const char *value; count < MAX_ARGUMENTS && (value = fields_next(machine, "virtiofsd", &cursor));)
        arguments[count++] = (char *)value;
    if (!count) fail("find", "virtiofsd");
    dup2(listener, 3);
    process_close_from(4);
    leave_users();
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != shim) _exit(127);
    execve(arguments[0], arguments, environment);
    fail("execute", arguments[0]);
}

int shares_start(const struct fields *machine, pid_t *pid)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t shim = getpid();
    unlink(SOCKET);
    mkdir(FOLDER, 0700);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1) < 0 ||
        connect(client, (struct sockaddr *)&address, sizeof address) < 0 || (*pid = fork_outside(0)) < 0) {
        complain("shares: %s", strerror(errno));
        return -1;
    }
    if (!*pid) run(machine, listener, shim);
    unlink(SOCKET);
    close(listener);
    return client;
}
