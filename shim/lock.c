#define _GNU_SOURCE
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/time.h>
#include <unistd.h>

/* A supervisor that was killed holds its folder until the kernel has taken it apart. */
#define PATIENCE_S 3

static int held = -1;

static void wake(int number) { (void)number; }

/* Waits in flock until the alarm interrupts it; the alarm repeats, in case it came before the call. */
static int wait_for(int fd)
{
    struct sigaction alarm_action = {.sa_handler = wake}, before;
    struct itimerval patience = {{0, 100000}, {PATIENCE_S, 0}}, none = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &alarm_action, &before);
    setitimer(ITIMER_REAL, &patience, NULL);
    int state = flock(fd, LOCK_EX);
    int reason = errno;
    setitimer(ITIMER_REAL, &none, NULL);
    sigaction(SIGALRM, &before, NULL);
    errno = reason == EINTR ? EWOULDBLOCK : reason;
    return state;
}

int lock_take(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    /* The number is above those that are fixed in children and at the beginning. */
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 64);
    close(fd);
    if (high < 0) return -1;
    if (flock(high, LOCK_EX | LOCK_NB) < 0 && wait_for(high) < 0) {
        int reason = errno;
        close(high);
        return errno = reason, -1;
    }
    lock_release();
    held = high;
    return 0;
}

void lock_release(void)
{
    if (held < 0) return;
    /* Children that have not executed their program yet share the descriptor, and not only close it. */
    flock(held, LOCK_UN);
    close(held);
    held = -1;
}
