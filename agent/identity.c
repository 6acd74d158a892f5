#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../shim/accounts.h"
#include "agent.h"

#define LAST_CAPABILITY 63

/* The workload owns the file and may have made it anything: only a regular file is read, and none is waited for. */
static int open_accounts(const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || (fstat(fd, &info) == 0 && S_ISREG(info.st_mode))) return fd;
    close(fd);
    return -1;
}

static int resolve(const struct fields *process, struct identity *identity, struct failure *failure)
{
    int passwd = open_accounts("/etc/passwd"), group = open_accounts("/etc/group");
    int result = accounts_resolve(identity, passwd, group, process);
    if (passwd >= 0) close(passwd);
    if (group >= 0) close(group);
    return result < 0 ? fail_with(failure, "invalid-argument", 0, "%s", identity->problem) : 0;
}

static int limit_resources(struct failure *failure)
{
    size_t cursor = 0;
    const char *value;
    while ((value = fields_next(&configuration.fields, "rlimit", &cursor))) {
        int resource;
        unsigned long long soft, hard;
        if (sscanf(value, "%d %llu %llu", &resource, &soft, &hard) != 3)
            return fail_with(failure, "invalid-argument", 0, "ulimit %s cannot be understood", value);
        struct rlimit limit = {soft, hard};
        if (setrlimit(resource, &limit) < 0)
            return fail_with(failure, "invalid-argument", 0, "ulimit %s: %s", value, strerror(errno));
    }
    return 0;
}

static void set_capabilities(unsigned long long mask)
{
    struct {
        unsigned version;
        int pid;
    } header = {0x20080522, 0};
    struct {
        unsigned effective, permitted, inheritable;
    } data[2] = {{(unsigned)mask, (unsigned)mask, 0}, {(unsigned)(mask >> 32), (unsigned)(mask >> 32), 0}};
    syscall(SYS_capset, &header, data);
}

static int drop_privileges(const struct fields *process, const struct identity *identity, struct failure *failure)
{
    const char *mask_text = fields_get(&configuration.fields, "capabilities");
    unsigned long long mask = mask_text ? strtoull(mask_text, NULL, 16) : ~0ULL;
    int all = fields_flag(process, "privileged") || fields_flag(&configuration.fields, "privileged");
    for (int bit = 0; !all && bit <= LAST_CAPABILITY; bit++)
        if (!(mask >> bit & 1)) prctl(PR_CAPBSET_DROP, bit, 0, 0, 0);
    /* A process that opens /dev/stdout, or whose terminal asks who owns it, must find itself the owner. */
    for (int fd = 0; fd < 3; fd++)
        if (fchown(fd, identity->uid, (gid_t)-1) < 0) continue;
    if (setgroups((size_t)identity->group_count, identity->groups) < 0 ||
        setresgid(identity->gid, identity->gid, identity->gid) < 0 ||
        setresuid(identity->uid, identity->uid, identity->uid) < 0)
        return fail_with(failure, "internal", 0, "the guest cannot become user %u: %s", identity->uid, strerror(errno));
    if (!all && !identity->uid) set_capabilities(mask);
    if (fields_flag(&configuration.fields, "no_new_privileges")) prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return 0;
}

static int has_home(const struct fields *process)
{
    size_t cursor = 0;
    for (const char *value; (value = fields_next(process, "env", &cursor));)
        if (!strncmp(value, "HOME=", 5)) return 1;
    return 0;
}

int identity_assume(const struct fields *process, struct buffer *environment, struct failure *failure)
{
    struct identity identity;
    if (resolve(process, &identity, failure) < 0 || limit_resources(failure) < 0) return -1;
    if (!has_home(process)) {
        buffer_text(environment, "HOME=");
        buffer_append(environment, identity.home, strlen(identity.home) + 1);
    }
    return drop_privileges(process, &identity, failure);
}
