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

#include "agent.h"

#define MAX_GROUPS 128
#define LAST_CAPABILITY 63
/* No account file is read beyond this. */
#define MOST_ACCOUNT_BYTES (64 << 20)

struct identity {
    uid_t uid;
    gid_t gid;
    gid_t groups[MAX_GROUPS];
    int group_count;
    char name[128], home[512];
};

static int parse_id(const char *text, unsigned *id)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (!*text || *end || errno || value > 0xfffffffe || *text == '-' || *text == '+') return -1;
    *id = (unsigned)value;
    return 0;
}

/* Splits a line of passwd or group in place; returns how many columns it has. */
static int split(char *line, char **columns, int most)
{
    int count = 0;
    line[strcspn(line, "\n")] = 0;
    while (line && count < most) columns[count++] = strsep(&line, ":");
    return count;
}

/* An account file of the workload, read line by line. */
struct accounts {
    FILE *file;
    size_t left;
};

/* The workload owns the file and may have made it anything: only a regular file is read, and none is waited for. */
static struct accounts open_accounts(const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    FILE *file = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? fdopen(fd, "r") : NULL;
    if (!file && fd >= 0) close(fd);
    return (struct accounts){file, MOST_ACCOUNT_BYTES};
}

static char *next_line(struct accounts *accounts, char *line, int size)
{
    if (!accounts->file || accounts->left < (size_t)size || !fgets(line, size, accounts->file)) return NULL;
    /* A piece without a line's end, of NULs perhaps, counts as large as it may be. */
    size_t length = strlen(line);
    accounts->left -= length && line[length - 1] == '\n' ? length : (size_t)size;
    return line;
}

static void close_accounts(struct accounts *accounts)
{
    if (accounts->file) fclose(accounts->file);
}

/* Fills in what passwd knows of a name or number; 0 when it knows it. */
static int find_user(const char *user, struct identity *identity)
{
    char line[4096], *columns[7];
    unsigned wanted, uid, gid;
    int by_number = parse_id(user, &wanted) == 0, found = -1;
    struct accounts file = open_accounts("/etc/passwd");
    while (found < 0 && next_line(&file, line, sizeof line)) {
        if (split(line, columns, 7) < 6 || parse_id(columns[2], &uid) < 0 || parse_id(columns[3], &gid) < 0) continue;
        if (strcmp(columns[0], user) && !(by_number && uid == wanted)) continue;
        identity->uid = uid;
        identity->gid = gid;
        snprintf(identity->name, sizeof identity->name, "%s", columns[0]);
        snprintf(identity->home, sizeof identity->home, "%s", columns[5]);
        found = 0;
    }
    close_accounts(&file);
    if (found < 0 && by_number) {
        identity->uid = wanted;
        found = 0;
    }
    return found;
}

static int find_group(const char *group, gid_t *gid)
{
    char line[8192], *columns[4];
    unsigned number;
    int found = -1;
    struct accounts file = open_accounts("/etc/group");
    while (found < 0 && next_line(&file, line, sizeof line))
        if (split(line, columns, 4) >= 3 && !strcmp(columns[0], group) && parse_id(columns[2], &number) == 0) {
            *gid = number;
            found = 0;
        }
    close_accounts(&file);
    if (found < 0 && parse_id(group, &number) == 0) {
        *gid = number;
        found = 0;
    }
    return found;
}

static void add_group(struct identity *identity, gid_t gid)
{
    for (int i = 0; i < identity->group_count; i++)
        if (identity->groups[i] == gid) return;
    if (identity->group_count < MAX_GROUPS) identity->groups[identity->group_count++] = gid;
}

/* The groups that list the user as a member. */
static void add_memberships(struct identity *identity)
{
    char line[8192], *columns[4];
    unsigned gid;
    struct accounts file = open_accounts("/etc/group");
    while (next_line(&file, line, sizeof line)) {
        if (split(line, columns, 4) < 4 || parse_id(columns[2], &gid) < 0) continue;
        for (char *members = columns[3], *member; (member = strsep(&members, ","));)
            if (!strcmp(member, identity->name)) add_group(identity, gid);
    }
    close_accounts(&file);
}

/* Docker's rules: 'name', 'uid', 'name:group', 'uid:gid' or nothing for root. */
static int resolve(const struct fields *process, struct identity *identity, struct failure *failure)
{
    char spec[256];
    const char *given = fields_get(process, "user");
    snprintf(spec, sizeof spec, "%s", given && *given ? given : "0");
    char *group = strchr(spec, ':');
    if (group) *group++ = 0;
    snprintf(identity->home, sizeof identity->home, "/");
    if (find_user(*spec ? spec : "0", identity) < 0)
        return fail_with(failure, "invalid-argument", 0,
                         "unable to find user %s: no matching entries in passwd file", spec);
    if (group && *group) {
        if (find_group(group, &identity->gid) < 0)
            return fail_with(failure, "invalid-argument", 0,
                             "unable to find group %s: no matching entries in group file", group);
    } else if (identity->name[0]) add_memberships(identity);
    add_group(identity, identity->gid);
    size_t cursor = 0;
    for (const char *name; (name = fields_next(process, "group", &cursor));) {
        gid_t gid;
        if (find_group(name, &gid) < 0)
            return fail_with(failure, "invalid-argument", 0,
                             "unable to find group %s: no matching entries in group file", name);
        add_group(identity, gid);
    }
    return 0;
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
    struct identity identity = {0};
    if (resolve(process, &identity, failure) < 0 || limit_resources(failure) < 0) return -1;
    if (!has_home(process)) {
        buffer_text(environment, "HOME=");
        buffer_append(environment, identity.home, strlen(identity.home) + 1);
    }
    return drop_privileges(process, &identity, failure);
}
