/* The user that a machine's QEMU runs as belongs to it alone, among all machines of the host, whichever daemon made them:
 * the shim holds a lock on a file of the user's number as long as it lives. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm-process.h"

#define FOLDER "/run/berth/users"
/* Numbers that belong to no user on any distribution (systemd's allocation of UIDs: unused range). */
#define FIRST 1879048192u
#define COUNT (1u << 24)
#define MOST_TRIES 4096

static int lock = -1;
static uid_t taken;

/* 1: ours now, 0: someone else's, -1 with errno. */
static int try_number(uid_t number)
{
    char path[64];
    snprintf(path, sizeof path, FOLDER "/%u", number);
    lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0) return -1;
    struct stat info;
    int got = flock(lock, LOCK_EX | LOCK_NB), error = got < 0 ? errno : 0;
    /* A file without a name was given back between our open and our lock. */
    if (got == 0 && fstat(lock, &info) == 0 && info.st_nlink) return 1;
    close(lock);
    lock = -1;
    return errno = error, error && error != EWOULDBLOCK ? -1 : 0;
}

void user_release(void)
{
    char path[64];
    snprintf(path, sizeof path, FOLDER "/%u", taken);
    if (lock < 0) return;
    unlink(path);
    close(lock);
    lock = -1;
}

int user_take(uid_t wanted, uid_t *user)
{
    if (lock >= 0) return *user = taken, 0;
    if ((mkdir("/run/berth", 0755) < 0 && errno != EEXIST) || (mkdir(FOLDER, 0700) < 0 && errno != EEXIST)) return -1;
    for (unsigned i = 0; i < MOST_TRIES; i++) {
        uid_t number = FIRST + (wanted - FIRST + i) % COUNT;
        int found = try_number(number);
        if (found < 0) return -1;
        if (found) return *user = taken = number, 0;
    }
    return errno = EUSERS, -1;
}
