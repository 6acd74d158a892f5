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
#include <unistd.h>

#include "image.h"
#include "read-only.h"
#include "vm.h"
#include "vm-process.h"

#define FOLDER "shares"
#define SOCKET "shares.sock"

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
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) fail("unshare", "mounts");
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

static void run(const struct fields *machine, int listener)
{
    char source[4096], folder[4000], fd[32];
    const char *program = fields_get(machine, "virtiofsd");
    process_begin(machine);
    bind_all(machine);
    if (!getcwd(folder, sizeof folder)) fail("find", FOLDER);
    snprintf(source, sizeof source, "source=%s/" FOLDER, folder);
    dup2(listener, 3);
    process_close_from(4);
    snprintf(fd, sizeof fd, "--fd=%d", 3);
    execl(program, program, fd, "-o", source, "-o", "sandbox=namespace,announce_submounts,xattr,cache=auto",
          "--rlimit-nofile=0", "--thread-pool-size=1", "-o", "log_level=err", (char *)NULL);
    fail("execute", program);
}

int shares_start(const struct fields *machine, pid_t *pid)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlink(SOCKET);
    mkdir(FOLDER, 0700);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1) < 0 ||
        connect(client, (struct sockaddr *)&address, sizeof address) < 0 || (*pid = fork()) < 0) {
        complain("shares: %s", strerror(errno));
        return -1;
    }
    if (!*pid) run(machine, listener);
    unlink(SOCKET);
    close(listener);
    return client;
}
