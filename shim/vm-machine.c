#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <grp.h>

#include "memory-limit.h"
#include "oom.h"
#include "own-group.h"
#include "own-mounts.h"
#include "vm.h"
#include "vm-process.h"

#define LAST_CAPABILITY 63
#define KILL_LIMIT_MS 10000
#define MAX_ARGUMENTS 256
#define SYS_CLOSE_RANGE 436

static pid_t qemu, helper;

pid_t machine_pid(void) { return qemu; }

static void give_up(const char *what, const char *where) __attribute__((noreturn));
static void give_up(const char *what, const char *where)
{
    complain("cannot %s %s: %s", what, where, strerror(errno));
    _exit(127);
}

void machine_set_oom_score(const struct fields *machine, pid_t pid)
{
    char path[64];
    const char *score = fields_get(machine, "oom_score_adj");
    /* In a pid namespace our number is another one than in the host's /proc. */
    if (pid) snprintf(path, sizeof path, "/proc/%d/oom_score_adj", pid);
    else snprintf(path, sizeof path, "/proc/self/oom_score_adj");
    int fd = score ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    if (write(fd, score, strlen(score)) < 0) complain("%s: %s", path, strerror(errno));
    close(fd);
}

static void join_cgroups(const struct fields *machine)
{
    char path[4096];
    size_t cursor = 0;
    for (const char *folder; (folder = fields_next(machine, "cgroup", &cursor));) {
        snprintf(path, sizeof path, "%s/cgroup.procs", folder);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) continue;
        if (fd < 0 || write(fd, "0", 1) < 0) give_up("join", path);
        close(fd);
    }
}

void process_begin(const struct fields *machine)
{
    errors_take_over();
    memory_limit_lift();
    loop_forget_signals();
    /* A machine without its supervisor would run on unseen and keep its disks busy. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    join_cgroups(machine);
    machine_set_oom_score(machine, 0);
    /* What nobody waits for gives way to what somebody does. */
    if (fields_flag(machine, "background")) setpriority(PRIO_PROCESS, 0, 10);
}

void process_check_parent(int fd)
{
    /* The first process of a pid namespace sees no parent. */
    struct pollfd end = {.fd = fd};
    if (poll(&end, 1, 0) > 0 && end.revents & (POLLHUP | POLLERR)) _exit(127);
}

void process_close_from(int fd)
{
    struct rlimit limit;
    if (syscall(SYS_CLOSE_RANGE, fd, ~0U, 0) == 0) return;
    /* Before Linux 5.9. */
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) limit.rlim_cur = 65536;
    for (; fd < (int)limit.rlim_cur; fd++) close(fd);
}

static int open_file(const struct fields *machine, const char *key, int flags)
{
    const char *path = fields_get(machine, key);
    if (!path) return -1;
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) give_up("open", path);
    return fd;
}

/* Everything the machine uses, at the numbers its command line knows; nothing else stays open. */
static void arrange_descriptors(const struct fields *machine, const int given[FD_COUNT])
{
    int fds[FD_COUNT];
    memcpy(fds, given, sizeof fds);
    fds[FD_KERNEL - FD_LINK] = open_file(machine, "kernel", O_RDONLY);
    fds[FD_INITRD - FD_LINK] = open_file(machine, "initrd", O_RDONLY);
    fds[FD_IMAGE - FD_LINK] = open_file(machine, "image", O_RDONLY);
    fds[FD_WRITABLE - FD_LINK] = open_file(machine, "writable", O_RDWR);
    for (int i = 0; i < FD_COUNT; i++) fds[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, 64);
    for (int i = 0; i < FD_COUNT; i++)
        if (fds[i] < 0 || dup2(fds[i], FD_LINK + i) < 0) close(FD_LINK + i);
    for (int fd = 3; fd < FD_LINK; fd++) close(fd);
    process_close_from(FD_END);
}

static void drop_privileges(uid_t uid)
{
    struct rlimit none = {0, 0};
    for (int bit = 0; bit <= LAST_CAPABILITY; bit++) prctl(PR_CAPBSET_DROP, bit, 0, 0, 0);
    if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
        give_up("become", "an unprivileged user");
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
    /* Changing user took the earlier one away. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

static void run(const struct fields *machine, const char *field, const int fds[FD_COUNT], uid_t uid)
{
    char *arguments[MAX_ARGUMENTS + 1] = {0}, *environment[] = {"PATH=/usr/bin:/bin", NULL};
    size_t cursor = 0, count = 0;
    process_begin(machine);
    arrange_descriptors(machine, fds);
    for (const char *value; count < MAX_ARGUMENTS && (value = fields_next(machine, field, &cursor));)
        arguments[count++] = (char *)value;
    if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0 || own_mounts() < 0)
        give_up("separate", "the machine from the host");
    if (taps_make_free(machine) < 0) give_up("open a tap by", "/dev/net/tun");
    if (root_enter(arguments[0], uid, fields_flag(machine, "kvm")) < 0) give_up("make", "the machine's root");
    drop_privileges(uid);
    process_check_parent(FD_QMP);
    if (filter_install() < 0) give_up("install", "the filter of system calls");
    execve(arguments[0], arguments, environment);
    give_up("execute", arguments[0]);
}

static void ended(void *context, int status)
{
    if (context == &qemu) qemu = 0;
    else helper = 0;
    vm_machine_ended(context == &qemu ? "the virtual machine monitor (QEMU)" : "virtiofsd, which shares folders of the host,",
                     status);
}

int machine_start(const struct fields *machine, const char *arguments, const int given[FD_COUNT])
{
    int fds[FD_COUNT], *shares = &fds[FD_SHARES - FD_LINK];
    uid_t uid;
    memcpy(fds, given, sizeof fds);
    if (user_take((uid_t)fields_number(machine, "uid", 0), &uid) < 0)
        return complain("cannot reserve a user for the machine in /run/berth: %s", strerror(errno)), -1;
    errors_open();
    if (fields_get(machine, "source") && (*shares = shares_start(machine, &helper)) < 0) return -1;
    qemu = fork_outside(CLONE_NEWPID);
    if (!qemu) run(machine, arguments, fds, uid);
    errors_forget();
    if (*shares >= 0) close(*shares);
    if (qemu < 0) return complain("fork: %s", strerror(errno)), -1;
    loop_child(qemu, ended, &qemu);
    if (helper > 0) loop_child(helper, ended, &helper);
    return 0;
}

int machine_connect(int fds[FD_COUNT], int ours[3])
{
    for (int i = 0; i < 3; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return -1;
        ours[i] = pair[0];
        fds[i] = pair[1];
    }
    fcntl(ours[FD_QMP - FD_LINK], F_SETFL, O_NONBLOCK);
    fcntl(ours[FD_CONSOLE - FD_LINK], F_SETFL, O_NONBLOCK);
    return 0;
}

int machine_oom_kills(const struct fields *machine) { return oom_kills(fields_get(machine, "oom_file")) > 0; }

/* 0, or -1 when it has not ended in time: it may wait in the kernel for a disk that does not answer. */
static int kill_and_reap(pid_t *pid)
{
    if (*pid <= 0) return 0;
    int fd = (int)syscall(SYS_pidfd_open, *pid, 0);
    struct pollfd end = {.fd = fd, .events = POLLIN};
    kill(*pid, SIGKILL);
    if (fd >= 0 && poll(&end, 1, KILL_LIMIT_MS) == 0) return close(fd), -1;
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR) continue;
    if (fd >= 0) close(fd);
    loop_forget_child(*pid);
    *pid = 0;
    return 0;
}

void machine_hold_taps(void)
{
    int machine = qemu > 0 ? (int)syscall(SYS_pidfd_open, qemu, 0) : -1;
    if (machine < 0) return;
    for (int fd = FD_NIC; fd < FD_END; fd++) syscall(SYS_pidfd_getfd, machine, fd, 0);
    close(machine);
}

int machine_kill(void)
{
    int machine = kill_and_reap(&qemu), shares = kill_and_reap(&helper);
    return machine < 0 || shares < 0 ? -1 : 0;
}

/* What was killed needs a moment to leave its cgroup; version 1 has no event for that. */
static void remove_cgroup(const char *folder)
{
    for (int tries = 0; tries < 300; tries++) {
        if (rmdir(folder) == 0 || errno == ENOENT) return;
        if (errno != EBUSY) break;
        usleep(tries < 20 ? 500 : 10000);
    }
    complain("cannot remove %s: %s", folder, strerror(errno));
}

void machine_remove(const struct fields *machine)
{
    size_t cursor = 0;
    for (const char *folder; (folder = fields_next(machine, "cgroup", &cursor));) remove_cgroup(folder);
    rmdir("shares");
    user_release();
}
