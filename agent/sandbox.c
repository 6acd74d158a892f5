#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../shim/place.h"
#include "agent.h"

/* System calls that musl does not wrap yet; the numbers are the same on all architectures. */
#define SYS_OPEN_TREE 428
#define SYS_MOVE_MOUNT 429
#define SYS_PIDFD_OPEN 434
#define OPEN_TREE_CLONE 1
#define MOVE_MOUNT_F_EMPTY_PATH 4
#define MOVE_MOUNT_T_EMPTY_PATH 0x40

#define MAX_MOUNTS 256

/* One `mount` field: "TYPE OPTIONS FLAGS TARGET"; for a bind OPTIONS is its number in the shared folder. */
struct wanted {
    char *type, *options, *flags, *target;
    int tree;
};

static struct wanted wanted[MAX_MOUNTS];
static int wanted_count;

static int cannot(struct failure *failure, const char *what, const char *where)
{
    return fail_with(failure, "internal", 0, "the guest cannot %s %s: %s", what, where, strerror(errno));
}

static int clone_tree(const char *path)
{
    return (int)syscall(SYS_OPEN_TREE, AT_FDCWD, path, OPEN_TREE_CLONE | O_CLOEXEC);
}

static int parse_mounts(struct failure *failure)
{
    size_t cursor = 0;
    const char *value;
    while ((value = fields_next(&configuration.fields, "mount", &cursor))) {
        if (wanted_count == MAX_MOUNTS) return fail_with(failure, "exhausted", 0, "more than %d mounts", MAX_MOUNTS);
        struct wanted *mount = &wanted[wanted_count++];
        char *rest = xstrdup(value);
        mount->type = strsep(&rest, " ");
        mount->options = strsep(&rest, " ");
        mount->flags = strsep(&rest, " ");
        mount->target = rest;
        mount->tree = -1;
        if (!rest) return fail_with(failure, "invalid-argument", 0, "mount %s cannot be understood", value);
        if (strcmp(mount->type, "bind")) continue;
        char source[64];
        snprintf(source, sizeof source, BINDS_PATH "/%s", mount->options);
        if ((mount->tree = clone_tree(source)) < 0) return cannot(failure, "open the shared folder for", rest);
    }
    return 0;
}

static int has(const char *flags, const char *flag)
{
    size_t length = strlen(flag);
    for (const char *at = flags; (at = strstr(at, flag)); at += length)
        if ((at == flags || at[-1] == ',') && (!at[length] || at[length] == ',')) return 1;
    return 0;
}

/* The mount point in the workload's root, made to fit where it is not there; -1 with errno. */
static int open_place(const char *target, int is_folder)
{
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = root < 0 ? -1 : place_make(root, target, is_folder), error = errno;
    if (root >= 0) close(root);
    return errno = error, fd;
}

/* Puts a cloned mount at a target, made as a folder or file to fit it. */
static int place_tree(int tree, const char *target, struct failure *failure)
{
    struct stat status;
    if (fstat(tree, &status) < 0) return cannot(failure, "look at the source of", target);
    int place = open_place(target, S_ISDIR(status.st_mode));
    if (place < 0) return cannot(failure, "make the mount point", target);
    int result = (int)syscall(SYS_MOVE_MOUNT, tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
    if (result < 0) return close(place), cannot(failure, "mount", target);
    close(place);
    close(tree);
    return 0;
}

static int mount_new(const char *type, const char *target, unsigned long flags, const char *options,
                     struct failure *failure)
{
    int place = open_place(target, 1);
    if (place < 0) return cannot(failure, "make the mount point", target);
    int result = fchdir(place) < 0 ? -1 : mount(type, ".", type, flags, options), error = errno;
    close(place);
    if (chdir("/") < 0 || result < 0) return errno = error, cannot(failure, "mount", target);
    return 0;
}

static int make_devices(struct failure *failure)
{
    static const struct {
        const char *path;
        int minor, major;
    } nodes[] = {{"/dev/null", 3, 1},    {"/dev/zero", 5, 1},    {"/dev/full", 7, 1},
                 {"/dev/random", 8, 1},  {"/dev/urandom", 9, 1}, {"/dev/tty", 0, 5}};
    static const char *const links[][2] = {{"pts/ptmx", "/dev/ptmx"},
                                           {"/proc/self/fd", "/dev/fd"},
                                           {"/proc/self/fd/0", "/dev/stdin"},
                                           {"/proc/self/fd/1", "/dev/stdout"},
                                           {"/proc/self/fd/2", "/dev/stderr"},
                                           {"/proc/kcore", "/dev/core"}};
    if (mount_new("tmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k", failure) < 0) return -1;
    umask(0);
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        if (mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0)
            return cannot(failure, "make", nodes[i].path);
    umask(022);
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (symlink(links[i][0], links[i][1]) < 0) return cannot(failure, "make", links[i][1]);
    return 0;
}

static int mount_kernel_views(int terminals, int devices, struct failure *failure)
{
    const unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    const unsigned long sealed = fields_flag(&configuration.fields, "privileged") ? safe : safe | MS_RDONLY;
    char shm[64];
    snprintf(shm, sizeof shm, "mode=1777,size=%lld", fields_number(&configuration.fields, "shm", 64 << 20));
    if (mount_new("proc", "/proc", safe, NULL, failure) < 0) return -1;
    if (devices >= 0 ? place_tree(devices, "/dev", failure) < 0 : make_devices(failure) < 0) return -1;
    if (make_folders("/dev/pts", 0755) < 0 || place_tree(terminals, "/dev/pts", failure) < 0) return -1;
    if (mount_new("mqueue", "/dev/mqueue", safe, NULL, failure) < 0) return -1;
    if (mount_new("tmpfs", "/dev/shm", safe, shm, failure) < 0) return -1;
    if (mount_new("sysfs", "/sys", sealed, NULL, failure) < 0) return -1;
    return mount_new("cgroup2", "/sys/fs/cgroup", sealed, NULL, failure);
}

static int remount_readonly(const char *target, struct failure *failure)
{
    if (mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0) return 0;
    return cannot(failure, "make read-only", target);
}

static int mount_wanted(const struct wanted *mount, struct failure *failure)
{
    if (mount->tree >= 0) {
        if (place_tree(mount->tree, mount->target, failure) < 0) return -1;
    } else {
        unsigned long flags = (has(mount->flags, "exec") ? 0 : MS_NOEXEC) | (has(mount->flags, "suid") ? 0 : MS_NOSUID) |
                              (has(mount->flags, "dev") ? 0 : MS_NODEV);
        const char *options = strcmp(mount->options, "-") ? mount->options : NULL;
        if (mount_new("tmpfs", mount->target, flags, options, failure) < 0) return -1;
    }
    return has(mount->flags, "ro") ? remount_readonly(mount->target, failure) : 0;
}

static int apply_sysctls(struct failure *failure)
{
    size_t cursor = 0;
    const char *value;
    while ((value = fields_next(&configuration.fields, "sysctl", &cursor))) {
        char path[512];
        const char *equals = strchr(value, '=');
        if (!equals || snprintf(path, sizeof path, "/proc/sys/%.*s", (int)(equals - value), value) >= (int)sizeof path)
            return fail_with(failure, "invalid-argument", 0, "sysctl %s cannot be understood", value);
        for (char *at = path; *at; at++)
            if (*at == '.') *at = '/';
        if (write_file(path, equals + 1) < 0)
            return fail_with(failure, "invalid-argument", 0, "sysctl %s: %s", value, strerror(errno));
    }
    return 0;
}

static int restrict_paths(struct failure *failure)
{
    const struct fields *fields = &configuration.fields;
    size_t cursor = 0;
    struct stat status;
    for (const char *path; (path = fields_next(fields, "masked", &cursor));) {
        if (stat(path, &status) < 0) continue;
        if (S_ISDIR(status.st_mode) ? mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0k") < 0
                                    : mount("/dev/null", path, NULL, MS_BIND, NULL) < 0)
            return cannot(failure, "mask", path);
    }
    cursor = 0;
    for (const char *path; (path = fields_next(fields, "sealed", &cursor));) {
        if (stat(path, &status) < 0) continue;
        if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0 || remount_readonly(path, failure) < 0)
            return cannot(failure, "make read-only", path);
    }
    return fields_flag(fields, "readonly") ? remount_readonly("/", failure) : 0;
}

/* The initial root cannot be pivoted away: cover it, having taken everything of use out of it first. */
static int change_root(struct failure *failure)
{
    static const char *const old[] = {BINDS_PATH, TERMINALS_PATH, WRITABLE_PATH, LOWER_PATH,
                                      CGROUP_PATH, "/sys",         "/proc",       "/dev"};
    if (chdir(ROOT_PATH) < 0) return cannot(failure, "enter", ROOT_PATH);
    for (size_t i = 0; i < sizeof old / sizeof *old; i++) umount2(old[i], MNT_DETACH);
    if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
        return cannot(failure, "change to", ROOT_PATH);
    return 0;
}

#define OWN_FILES 5

static const struct {
    const char *source, *target;
    /* Only over one that the image has. */
    int replaces;
} own_files[OWN_FILES] = {{FILES_PATH "/hostname", "/etc/hostname", 0},
                          {FILES_PATH "/hosts", "/etc/hosts", 0},
                          {FILES_PATH "/resolv.conf", "/etc/resolv.conf", 0},
                          {FILES_PATH "/machine-id", "/etc/machine-id", 1},
                          {FILES_PATH "/fork", "/dev/berth/fork-id", 0}};

static int place_own_files(const int trees[OWN_FILES], struct failure *failure)
{
    for (int i = 0; i < OWN_FILES; i++) {
        if (trees[i] < 0) continue;
        if (own_files[i].replaces && access(own_files[i].target, F_OK) < 0) close(trees[i]);
        else if (place_tree(trees[i], own_files[i].target, failure) < 0) return -1;
        else if (fields_flag(&configuration.fields, "readonly") && remount_readonly(own_files[i].target, failure) < 0)
            return -1;
    }
    return 0;
}

int sandbox_enter_new(struct failure *failure)
{
    int trees[OWN_FILES], terminals, devices = -1;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return cannot(failure, "separate the mounts of", "/");
    if (parse_mounts(failure) < 0) return -1;
    for (int i = 0; i < OWN_FILES; i++) trees[i] = clone_tree(own_files[i].source);
    if ((terminals = clone_tree(TERMINALS_PATH)) < 0) return cannot(failure, "open", TERMINALS_PATH);
    if (fields_flag(&configuration.fields, "privileged")) devices = clone_tree("/dev");
    if (change_root(failure) < 0 || mount_kernel_views(terminals, devices, failure) < 0) return -1;
    if (place_own_files(trees, failure) < 0) return -1;
    for (int i = 0; i < wanted_count; i++)
        if (mount_wanted(&wanted[i], failure) < 0) return -1;
    if (apply_sysctls(failure) < 0) return -1;
    return restrict_paths(failure);
}

int sandbox_open(pid_t pid) { return (int)syscall(SYS_PIDFD_OPEN, pid, 0); }

int sandbox_enter_existing(int workload, struct failure *failure)
{
    if (setns(workload, CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) == 0) return 0;
    return fail_with(failure, "invalid-state", 0, "the workload has ended");
}
