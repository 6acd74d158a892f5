#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include <fcntl.h>

#include "../shim/oom.h"
#include "../shim/upper.h"
#include "agent.h"

static int mount_at(const char *source, const char *target, const char *type, unsigned long flags,
                    const char *options, struct failure *failure)
{
    if (make_folders(target, 0755) < 0 || mount(source, target, type, flags, options) < 0)
        return fail_with(failure, "internal", 0, "the guest cannot mount %s (%s) at %s: %s", source, type, target,
                         strerror(errno));
    return 0;
}

/* In a fork, the disk is another one than that which the kernel looked at when it booted. */
static void forget_disk(const char *device)
{
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) ioctl(fd, BLKFLSBUF, 0), close(fd);
}

/* The image's file system below, the writable disk above. */
static int mount_root(struct failure *failure)
{
    forget_disk("/dev/vda");
    forget_disk("/dev/vdb");
    if (mount_at("/dev/vda", LOWER_PATH, "erofs", MS_RDONLY, NULL, failure) < 0) return -1;
    if (mount_at("/dev/vdb", WRITABLE_PATH, "ext4", MS_NOATIME, "noinit_itable", failure) < 0) return -1;
    if (upper_make(UPPER_PATH, LOWER_PATH) < 0)
        return fail_with(failure, "internal", 0, "the writable disk cannot be used: %s", strerror(errno));
    mkdir(WRITABLE_PATH "/work", 0755);
    return mount_at("overlay", ROOT_PATH, "overlay", 0,
                    /* A file has the same inode number in the listing of its folder as in its own status. */
                    "xino=on,lowerdir=" LOWER_PATH ",upperdir=" UPPER_PATH ",workdir=" WRITABLE_PATH "/work", failure);
}

static int write_new(const char *path, const char *text, struct failure *failure)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t length = strlen(text);
    if (fd < 0 || write(fd, text, length) != (ssize_t)length) {
        if (fd >= 0) close(fd);
        return fail_with(failure, "internal", 0, "the guest cannot write %s: %s", path, strerror(errno));
    }
    close(fd);
    return 0;
}

/* What tells who this guest is lives beside the image, not in its writable layer. */
static int write_own_files(const struct fields *fields, struct failure *failure)
{
    static const char *const names[] = {"hostname", "hosts", "resolv.conf", "machine-id", "fork"};
    char path[128];
    make_folders(FILES_PATH, 0755);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = fields_get(fields, names[i]);
        snprintf(path, sizeof path, FILES_PATH "/%s", names[i]);
        if (text && write_new(path, text, failure) < 0) return -1;
    }
    return 0;
}

/* What the workload can be given at all: all that was free when it had not begun, less what the agent keeps. */
static long long available, reserved;

static void measure_memory(void)
{
    struct sysinfo memory;
    if (sysinfo(&memory) == 0) available = (long long)(memory.freeram + memory.bufferram) * memory.mem_unit;
}

/* The limit would kill where it falls below what is in use: that is given back first, or the limit refused. */
static int make_room(long long memory, struct failure *failure)
{
    char text[32];
    for (int asked = 0;; asked = 1) {
        read_text(WORKLOAD_CGROUP "/memory.current", text, sizeof text);
        long long excess = atoll(text) - memory;
        if (excess <= 0) return 0;
        if (asked)
            return fail_with(failure, "conflict", 0,
                             "cannot limit memory to %lld bytes: more is in use and cannot be given back; give a higher "
                             "limit, or stop it first",
                             memory);
        snprintf(text, sizeof text, "%lld", excess);
        /* Fails when not all of it could be reclaimed. */
        write_file(WORKLOAD_CGROUP "/memory.reclaim", text);
    }
}

int storage_limit(const struct fields *fields, struct failure *failure)
{
    char number[32];
    const char *pids = fields_get(fields, "pids_max");
    long long memory = fields_number(fields, "memory", 0);
    /* Going beyond the limit kills in the workload; going beyond the machine's memory would kill at random. */
    long long most = available - reserved < 4 << 20 ? 4 << 20 : available - reserved;
    if (memory <= 0 || memory > most) memory = most;
    if (make_room(memory, failure) < 0) return -1;
    snprintf(number, sizeof number, "%lld", memory);
    write_file(WORKLOAD_CGROUP "/memory.max", number);
    write_file(WORKLOAD_CGROUP "/pids.max", pids ? pids : "max");
    return 0;
}

/* A failure is found out when the workload is to be put into it. */
static void mount_cgroup(void)
{
    struct failure failure;
    if (mount_at("cgroup2", CGROUP_PATH, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, &failure) < 0) return;
    write_file(CGROUP_PATH "/cgroup.subtree_control", "+memory +pids +cpu +io");
    mkdir(WORKLOAD_CGROUP, 0755);
    oom_watch(WORKLOAD_CGROUP "/memory.events", process_oom);
}

void storage_prepare(void)
{
    struct failure failure;
    /* As on a large host with a limit: what is asked for is granted, what is used is what counts. */
    write_file("/proc/sys/vm/overcommit_memory", "1");
    mount_cgroup();
    mount_at("devpts", TERMINALS_PATH, "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5",
             &failure);
}

int storage_open(struct failure *failure)
{
    static int opened;
    if (opened) return 0;
    if (access(WORKLOAD_CGROUP "/cgroup.procs", F_OK) < 0 || access(TERMINALS_PATH "/ptmx", F_OK) < 0)
        return fail_with(failure, "internal", 0, "the guest's kernel lacks cgroups or terminals");
    measure_memory();
    opened = 1;
    return mount_root(failure);
}

int storage_mount(const struct fields *fields, struct failure *failure)
{
    if (storage_open(failure) < 0) return -1;
    if (fields_flag(fields, "binds")) {
        boot_load_modules("/modules/binds");
        if (mount_at("berth", BINDS_PATH, "virtiofs", MS_NOSUID | MS_NODEV, NULL, failure) < 0) return -1;
    }
    if (write_own_files(fields, failure) < 0) return -1;
    reserved = fields_number(fields, "memory_reserve", 8 << 20);
    return storage_limit(fields, failure);
}

int storage_rename(const struct fields *fields, struct failure *failure) { return write_own_files(fields, failure); }

void storage_unmount(void)
{
    /* Whatever still holds a file keeps its mount; the disk is flushed and marked clean all the same. */
    umount2(ROOT_PATH, MNT_DETACH);
    umount2(BINDS_PATH, MNT_DETACH);
    if (umount2(WRITABLE_PATH, 0) < 0) mount(NULL, WRITABLE_PATH, NULL, MS_REMOUNT | MS_RDONLY, NULL);
    sync();
}
