#define _GNU_SOURCE
#include "apart.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "image.h"
#include "own-mounts.h"

static int begin(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (own_mounts() == 0) return 0;
    dprintf(2, "cannot make a mount namespace: %s\n", strerror(errno));
    return -1;
}

static int execute(char **command)
{
    execvp(*command, command);
    return dprintf(2, "cannot execute %s: %s\n", *command, strerror(errno)), 127;
}

int apart_main(int argc, char **argv)
{
    if (argc < 3) return dprintf(2, "usage: berth-shim apart COMMAND [ARG…]\n"), 64;
    return begin() < 0 ? 71 : execute(argv + 2);
}

int inside_main(int argc, char **argv)
{
    if (argc < 5) return dprintf(2, "usage: berth-shim inside IMAGE FOLDER COMMAND [ARG…]\n"), 64;
    if (begin() < 0) return 71;
    if (image_mount(argv[2], argv[3]) == 0) return execute(argv + 4);
    return dprintf(2, "cannot mount %s: %s\n", argv[2], strerror(errno)), 71;
}
