/* Accounts: user, groups and home of a workload's process, by /etc/passwd and /etc/group of its root. For the shim and the guest
 * agent alike. The workload owns these files: they are read as a stream, lines may have any length, and each file is read to MOST_ACCOUNT_BYTES only. It
 * may also keep a reader waiting, so a child of its own does this. */
#ifndef BERTH_ACCOUNTS_H
#define BERTH_ACCOUNTS_H

#include <limits.h>
#include <sys/types.h>

#include "frame.h"

#define MOST_ACCOUNT_BYTES (64 << 20)
#define MAX_GROUPS 1024

struct identity {
    uid_t uid;
    gid_t gid;
    /* The additional ones; `gid` is among them, or a process could shed it with setgid alone. */
    gid_t groups[MAX_GROUPS];
    int group_count;
    char home[PATH_MAX];
    /* Why there is none. */
    char problem[256];
};

/* By Docker's rules: the field `user` is 'name' or 'uid', with ':group' or without, or nothing for root, each `group` a further
 * group. A number that is in no file is taken as it is; without a group the account's own and those it is a member of apply.
 * The files are descriptors of regular files, or -1 for none. 0, or -1 with a problem that names the user or group. */
int accounts_resolve(struct identity *identity, int passwd, int group, const struct fields *process);

#endif
