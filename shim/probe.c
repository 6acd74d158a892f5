#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_clone3
#define SYS_clone3 435
#endif

static int error_of(long result) { return result < 0 ? errno : 0; }

int probe_main(int argc, char **argv)
{
    if (argc < 3 || strcmp(argv[2], "filter")) return puts("ok") < 0;
    printf("mode=%d", prctl(PR_GET_SECCOMP));
    printf(" userfaultfd=%d", error_of(syscall(SYS_userfaultfd, 0)));
    printf(" unshare=%d", error_of(unshare(CLONE_NEWUSER)));
    printf(" clone3=%d", error_of(syscall(SYS_clone3, NULL, 0)));
    printf(" getpid=%d\n", error_of(syscall(SYS_getppid)));
    return 0;
}
