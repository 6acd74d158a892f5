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

static void bind_one(const char *source, const char *target)
{
    struct stat info;
    if (stat(source, &info) < 0) fail("share", source);
    int made = S_ISDIR(info.st_mode) ? mkdir(target, 0755) : open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (made < 0) fail("make", target);
    if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0) fail("share", source);
}

/* `source` fields are NUMBER, IMAGE, ROOT and SUBPATH in turn, for shares that are parts of volumes. */
static int bind_source(const struct fields *machine, int number)
{
    size_t cursor = 0;
    char target[64];
    for (const char *found; (found = fields_next(machine, "source", &cursor));) {
        const char *image = fields_next(machine, "source", &cursor), *root = fields_next(machine, "source", &cursor);
        const char *subpath = fields_next(machine, "source", &cursor);
        if (!subpath || atoi(found) != number) continue;
        snprintf(target, sizeof target, FOLDER "/%d", number);
        if (source_bind(FOLDER "/image", image, root, subpath, target) < 0) fail("share", *subpath ? subpath : root);
        return 1;
    }
    return 0;
}

/* Each `share` field is "ro PATH" or "rw PATH". */
static void bind_all(const struct fields *machine)
{
    size_t cursor = 0;
    char target[64];
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) fail("unshare", "mounts");
    if (mount("berth", FOLDER, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755") < 0) fail("mount", FOLDER);
    int number = 0;
    for (const char *share; (share = fields_next(machine, "share", &cursor)); number++) {
        snprintf(target, sizeof target, FOLDER "/%d", number);
        if (!bind_source(machine, number)) bind_one(share + 3, target);
        if (strncmp(share, "ro ", 3)) continue;
        if (mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0) fail("share read-only", share + 3);
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
