/* Starts processes by the OCI runtime and hands them to us, their subreaper. */
#ifndef BERTH_LAUNCH_H
#define BERTH_LAUNCH_H

#include "streams.h"

struct launch {
    struct streams *io;
    /* The runtime's own arguments between its name and the container id, NULL-terminated. */
    const char *arguments[12];
    /* Exactly one is called, later. `text` is the runtime's complaint. */
    void (*started)(struct launch *launch, pid_t pid);
    void (*failed)(struct launch *launch, int status, const char *text);
    void *context;
    /* Ours. */
    int number, child[3], console, timer, late;
    pid_t runtime;
};

/* Files of a launch lie in run/: N.log, N.pid, N.sock. Returns -1 with errno when nothing was started. */
int launch_process(struct launch *launch, int has_stdin, int tty);

/* Nobody waits any more for what is being launched: none of it may outlive this process. */
void launch_kill_all(void);

#endif
