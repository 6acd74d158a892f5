#define _GNU_SOURCE
#include "init.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void run_command(char **command)
{
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    /* The terminal's signals belong to the command. Taking it from the background must not stop us. */
    signal(SIGTTOU, SIG_IGN);
    tcsetpgrp(0, getpgrp());
    signal(SIGTTOU, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(command[0], command);
    int status = errno == ENOENT || errno == ENOTDIR ? 127 : 126;
    dprintf(2, "exec %s failed: %s\n", command[0], strerror(errno));
    _exit(status);
}

static int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

/* Reaps all that has ended; the exit code of `command`, or -1 while it lives. */
static int reap(pid_t command)
{
    int status, code = -1;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == command) code = exit_code(status);
    return code;
}

int init_main(int argc, char **argv)
{
    int first = 1;
    while (first < argc && strcmp(argv[first], "--")) first++;
    if (++first >= argc) return dprintf(2, "usage: %s -- COMMAND [ARGUMENT…]\n", argv[0]), 64;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    pid_t command = fork();
    if (command < 0) return dprintf(2, "fork: %s\n", strerror(errno)), 71;
    if (!command) run_command(argv + first);
    for (;;) {
        int number = sigwaitinfo(&all, NULL);
        if (number < 0) continue;
        if (number != SIGCHLD) {
            kill(command, number);
            continue;
        }
        int code = reap(command);
        if (code >= 0) return code;
    }
}
