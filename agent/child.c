#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

static void give_up(const struct launch *launch, const struct failure *failure) __attribute__((noreturn));
static void give_up(const struct launch *launch, const struct failure *failure)
{
    if (write(launch->report, failure, sizeof *failure) < 0) _exit(126);
    _exit(127);
}

static void take_terminal(const struct launch *launch)
{
    char name[64];
    setsid();
    if (!launch->tty) return;
    ioctl(launch->stdio[0], TIOCSCTTY, 0);
    if (!launch->is_main) return;
    /* The main terminal is the machine's console, as seen from inside. */
    int fd = open("/dev/console", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) close(fd);
    if (ttyname_r(launch->stdio[0], name, sizeof name) == 0) mount(name, "/dev/console", NULL, MS_BIND, NULL);
}

static void take_stdio(const struct launch *launch)
{
    int copies[3];
    for (int i = 0; i < 3; i++) copies[i] = fcntl(launch->stdio[i], F_DUPFD_CLOEXEC, 10);
    for (int i = 0; i < 3; i++) dup2(copies[i], i);
}

static int enter_folder(const struct launch *launch, struct failure *failure)
{
    const char *folder = fields_get(launch->process, "cwd");
    if (!folder || !*folder) folder = "/";
    if (launch->is_main && make_folders(folder, 0755) < 0 && errno != EROFS)
        return fail_with(failure, "invalid-argument", 126, "cannot make the working directory %s: %s", folder,
                         strerror(errno));
    if (chdir(folder) == 0) return 0;
    int missing = errno == ENOENT;
    return fail_with(failure, "invalid-argument", missing ? 127 : 126, "cannot change to the working directory %s: %s",
                     folder, missing ? "no such file or directory" : strerror(errno));
}

static char **list(const struct fields *fields, const char *key, const char *more)
{
    size_t cursor = 0, count = 0;
    while (fields_next(fields, key, &cursor)) count++;
    char **values = xmalloc((count + 2) * sizeof *values);
    const char *value;
    for (cursor = count = 0; (value = fields_next(fields, key, &cursor));) values[count++] = (char *)value;
    if (more) values[count] = (char *)more;
    return values;
}

static const char *search_path(char **environment)
{
    for (; *environment; environment++)
        if (!strncmp(*environment, "PATH=", 5)) return *environment + 5;
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static void try_execute(const char *path, char **arguments, char **environment, int *worst)
{
    struct stat status;
    execve(path, arguments, environment);
    int reason = errno;
    if (reason == EACCES && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) reason = EISDIR;
    if (reason != ENOENT && reason != ENOTDIR) *worst = reason;
}

static void execute(char **arguments, char **environment, struct failure *failure)
{
    char path[4096];
    int worst = ENOENT;
    const char *name = arguments[0];
    if (strchr(name, '/')) try_execute(name, arguments, environment, &worst);
    else
        for (const char *from = search_path(environment); from && *name;) {
            const char *end = strchrnul(from, ':');
            int length = (int)(end - from);
            if (snprintf(path, sizeof path, "%.*s/%s", length, length ? from : ".", name) < (int)sizeof path)
                try_execute(path, arguments, environment, &worst);
            from = *end ? end + 1 : NULL;
        }
    if (worst != ENOENT) {
        const char *why = worst == EISDIR ? "is a directory" : worst == EACCES ? "permission denied"
                          : worst == ENOEXEC ? "exec format error" : strerror(worst);
        fail_with(failure, "invalid-argument", 126, "exec: \"%s\": %s", name, why);
    } else if (strchr(name, '/'))
        fail_with(failure, "invalid-argument", 127, "exec: \"%s\": stat %s: no such file or directory", name, name);
    else fail_with(failure, "invalid-argument", 127, "exec: \"%s\": executable file not found in $PATH", name);
}

static volatile pid_t charge;

static void forward(int number)
{
    if (charge > 0) kill(charge, number);
}

/* Process 1 for workloads that ask for one: reaps, forwards signals, ends as its child ended. */
static void act_as_init(const struct launch *launch)
{
    charge = fork();
    if (charge == 0) {
        if (launch->tty) {
            setpgid(0, 0);
            signal(SIGTTOU, SIG_IGN);
            tcsetpgrp(0, getpid());
            signal(SIGTTOU, SIG_DFL);
        }
        return;
    }
    close(launch->report);
    for (int number = 1; number < NSIG; number++)
        if (number != SIGCHLD && number != SIGKILL && number != SIGSTOP) signal(number, forward);
    int status;
    for (pid_t pid; (pid = wait(&status)) != charge || (pid == charge && !WIFEXITED(status) && !WIFSIGNALED(status));)
        if (pid < 0 && errno != EINTR) _exit(70);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static int enter(const struct launch *launch, struct failure *failure)
{
    if (launch->cgroup >= 0 && write(launch->cgroup, "0", 1) < 0)
        return fail_with(failure, "exhausted", 0, "the guest cannot run one more process: %s", strerror(errno));
    if (!launch->is_main) return sandbox_enter_existing(launch->workload, failure);
    if (unshare(CLONE_NEWCGROUP) < 0)
        return fail_with(failure, "internal", 0, "the guest has no cgroup namespaces: %s", strerror(errno));
    return sandbox_enter_new(failure);
}

void child_run(const struct launch *launch)
{
    struct failure failure;
    struct buffer home = {0};
    loop_forget_signals();
    write_file("/proc/self/oom_score_adj", "0");
    if (enter(launch, &failure) < 0) give_up(launch, &failure);
    take_terminal(launch);
    take_stdio(launch);
    if (launch->is_main && fields_flag(launch->process, "init")) act_as_init(launch);
    if (enter_folder(launch, &failure) < 0) give_up(launch, &failure);
    if (identity_assume(launch->process, &home, &failure) < 0) give_up(launch, &failure);
    if (launch->rehearsal) {
        char *const own[] = {"berth-agent", "rehearse", NULL};
        syscall(SYS_execveat, launch->rehearsal, "", own, own + 2, AT_EMPTY_PATH);
    }
    execute(list(launch->process, "arg", NULL), list(launch->process, "env", home.length ? buffer_head(&home) : NULL),
            &failure);
    give_up(launch, &failure);
}

void child_hold(const struct launch *launch)
{
    struct failure failure;
    loop_forget_signals();
    if (sandbox_enter_new(&failure) < 0) give_up(launch, &failure);
    /* The end of the report tells that the file system is ready. */
    close(launch->report);
    for (;;) pause();
}
