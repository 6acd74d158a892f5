#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "own-group.h"
#include "vm-store.h"
#include "vm.h"

#define PAGE 4096
/* Of an entry in /proc/PID/pagemap: there, swapped out, and a page of the file (or one that others see). */
#define PRESENT (1ULL << 63)
#define SWAPPED (1ULL << 62)
#define OF_FILE (1ULL << 61)
#define ENTRIES 4096
#define MOST_AT_ONCE (256 * PAGE)

struct source {
    /* What QEMU has mapped as the guest's memory, its process's memory, and what tells which pages are its own. */
    int file, memory, pages;
    pid_t qemu;
};

static int open_proc(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    /* What QEMU has open it may have made anything. */
    return open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static int copy(int from, long long at, int to, long long to_at, long long length)
{
    static char chunk[MOST_AT_ONCE];
    while (length > 0) {
        size_t size = length < (long long)sizeof chunk ? (size_t)length : sizeof chunk;
        ssize_t got = pread(from, chunk, size, at);
        if (got <= 0) return got < 0 ? -1 : (errno = EIO, -1);
        if (pwrite(to, chunk, (size_t)got, to_at) != got) return -1;
        at += got, to_at += got, length -= got;
    }
    return 0;
}

static int copy_file(int from, int to, long long start, long long end)
{
    for (long long at = start, hole; at < end && (at = lseek(from, at, SEEK_DATA)) >= 0 && at < end; at = hole) {
        if ((hole = lseek(from, at, SEEK_HOLE)) < 0) return -1;
        if (hole > end) hole = end;
        if (copy(from, at, to, at, hole - at) < 0) return -1;
    }
    return 0;
}

/* Pages that are no longer those of the file, in runs. */
static int copy_own(const struct source *source, int to, unsigned long long start, unsigned long long end, long long offset)
{
    static uint64_t entries[ENTRIES];
    for (unsigned long long from = start; from < end;) {
        size_t count = (end - from) / PAGE < ENTRIES ? (size_t)((end - from) / PAGE) : ENTRIES;
        ssize_t got = pread(source->pages, entries, count * sizeof *entries, (off_t)(from / PAGE * sizeof *entries));
        if (got != (ssize_t)(count * sizeof *entries)) return -1;
        for (size_t i = 0, run; i < count; i += run ? run : 1) {
            for (run = 0; i + run < count; run++) {
                uint64_t entry = entries[i + run];
                if (!(entry & SWAPPED) && (!(entry & PRESENT) || entry & OF_FILE)) break;
            }
            unsigned long long at = from + i * PAGE;
            if (run && copy(source->memory, (long long)at, to, offset + (long long)(at - start), (long long)run * PAGE) < 0)
                return -1;
        }
        from += count * PAGE;
    }
    return 0;
}

/* Calls for each of the places where the file is mapped. */
static int each_mapping(const struct source *source, int to,
                        int (*visit)(const struct source *, int to, int shared, unsigned long long, unsigned long long, long long))
{
    char path[64], line[512];
    struct stat info, copy_info;
    int found = 0, state = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", source->qemu);
    FILE *maps = fopen(path, "re");
    if (!maps || fstat(source->file, &info) < 0 || fstat(to, &copy_info) < 0) state = -1;
    else if (!S_ISREG(info.st_mode)) errno = EINVAL, state = -1;
    while (state == 0 && fgets(line, sizeof line, maps)) {
        unsigned long long start, end, offset;
        unsigned long inode;
        unsigned major_number, minor_number;
        char mode[8];
        if (sscanf(line, "%llx-%llx %7s %llx %x:%x %lu", &start, &end, mode, &offset, &major_number, &minor_number, &inode) != 7 ||
            inode != info.st_ino || makedev(major_number, minor_number) != info.st_dev)
            continue;
        found = 1;
        /* QEMU chooses what it maps: no copy gets larger than the guest's memory is. */
        if (end <= start || offset > (unsigned long long)copy_info.st_size ||
            end - start > (unsigned long long)copy_info.st_size - offset)
            errno = EINVAL, state = -1;
        else state = visit(source, to, mode[3] == 's', start, end, (long long)offset);
    }
    if (maps) fclose(maps);
    return state == 0 && !found ? (errno = ENODATA, -1) : state;
}

static int copy_unchangeable(const struct source *source, int to, int shared, unsigned long long start,
                             unsigned long long end, long long offset)
{
    return shared ? 0 : copy_file(source->file, to, offset, offset + (long long)(end - start));
}

static int copy_changed(const struct source *source, int to, int shared, unsigned long long start, unsigned long long end,
                        long long offset)
{
    if (shared) return copy_file(source->file, to, offset, offset + (long long)(end - start));
    return copy_own(source, to, start, end, offset);
}

static int with_source(pid_t qemu, int to,
                       int (*visit)(const struct source *, int to, int, unsigned long long, unsigned long long, long long))
{
    char name[32];
    snprintf(name, sizeof name, "fd/%d", FD_MEMORY);
    struct source source = {open_proc(qemu, name), open_proc(qemu, "mem"), open_proc(qemu, "pagemap"), qemu};
    int state = source.file < 0 || source.memory < 0 || source.pages < 0 ? -1 : each_mapping(&source, to, visit);
    int saved = errno;
    if (source.file >= 0) close(source.file);
    if (source.memory >= 0) close(source.memory);
    if (source.pages >= 0) close(source.pages);
    errno = saved;
    return state;
}

int memory_copy_origin(pid_t qemu, int to) { return with_source(qemu, to, copy_unchangeable); }

/* The copy counts as memory of its writer: of a child. The machine stands still, there is nothing to do meanwhile. */
int memory_copy(pid_t qemu, int to)
{
    int status;
    pid_t child = fork_outside(0);
    if (!child) {
        loop_forget_signals();
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        _exit(with_source(qemu, to, copy_changed) == 0 ? 0 : errno ? errno : EIO);
    }
    if (child < 0) return -1;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return -1;
    errno = WIFEXITED(status) ? WEXITSTATUS(status) : ECANCELED;
    return errno ? -1 : 0;
}

int memory_make(const struct fields *machine, int fds[FD_COUNT])
{
    long long size = fields_number(machine, "memory_bytes", 0);
    if (fields_get(machine, "source")) return 0;
    return (fds[FD_MEMORY - FD_LINK] = store_make("berth-memory", size)) < 0 ? -1 : 0;
}
