/* Memory and device state of a machine in files: checksums, seals, names by which other shims find them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm-store.h"
#include "vm.h"

#define PAGE 4096
#define WORDS (PAGE / sizeof(unsigned long long))
#define SUM_START 14695981039346656037ULL
#define SUM_FACTOR 1099511628211ULL

int store_make(const char *name, long long size)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && ftruncate(fd, size) == 0) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

unsigned long long store_sum(int fd, long long length)
{
    unsigned char data[16384];
    unsigned long long sum = SUM_START;
    for (long long at = 0; at < length;) {
        ssize_t got = pread(fd, data, sizeof data, at);
        if (got <= 0) return 0;
        for (ssize_t i = 0; i < got; i++) sum = (sum ^ data[i]) * SUM_FACTOR;
        at += got;
    }
    return sum;
}

/* 0 for a page of zeros, whatever its place: a hole counts as much. */
static unsigned long long page_sum(const unsigned long long *words, unsigned long long number)
{
    unsigned long long sum = SUM_START ^ number, any = 0;
    for (size_t i = 0; i < WORDS; i++) {
        any |= words[i];
        sum = (sum ^ words[i]) * SUM_FACTOR;
        sum ^= sum >> 29;
    }
    return any ? sum : 0;
}

int store_copy(int from, int to, long long size, unsigned long long *sum)
{
    static unsigned long long chunk[64 * WORDS];
    long long at = 0, hole;
    unsigned long long total = 0;
    while (at < size && (at = lseek(from, at, SEEK_DATA)) >= 0) {
        if ((hole = lseek(from, at, SEEK_HOLE)) < 0) return -1;
        for (at -= at % PAGE; at < hole;) {
            ssize_t got = pread(from, chunk, sizeof chunk, at);
            if (got <= 0) return got < 0 ? -1 : (errno = EIO, -1);
            memset((char *)chunk + got, 0, (size_t)(-got & (PAGE - 1)));
            for (ssize_t page = 0; page < got; page += PAGE) {
                unsigned long long one = page_sum(chunk + page / sizeof *chunk, (unsigned long long)(at + page) / PAGE);
                size_t length = got - page < PAGE ? (size_t)(got - page) : PAGE;
                total += one;
                if (one && to >= 0 && pwrite(to, (char *)chunk + page, length, at + page) != (ssize_t)length)
                    return errno = errno ? errno : ENOSPC, -1;
            }
            at += got;
        }
    }
    if (at < 0 && errno != ENXIO) return -1;
    *sum = total;
    return 0;
}

static int seal(int fd) { return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL); }

/* A name in DIR by which other shims open what this one keeps. */
static int publish(const char *name, int fd)
{
    char target[64];
    snprintf(target, sizeof target, "/proc/%d/fd/%d", getpid(), fd);
    unlink(name);
    return symlink(target, name);
}

int store_publish(const struct store *store, void (*tell)(const char *key, const char *value))
{
    struct stat state_info, memory_info;
    char number[32];
    if (seal(store->memory) < 0 || seal(store->state) < 0 || fstat(store->state, &state_info) < 0 ||
        fstat(store->memory, &memory_info) < 0 || publish(STORE_MEMORY, store->memory) < 0 ||
        publish(STORE_STATE, store->state) < 0)
        return -1;
    snprintf(number, sizeof number, "%lld", (long long)state_info.st_size);
    tell("state_bytes", number);
    snprintf(number, sizeof number, "%016llx", store_sum(store->state, state_info.st_size));
    tell("state_sum", number);
    snprintf(number, sizeof number, "%lld", (long long)memory_info.st_blocks * 512);
    tell("held_bytes", number);
    return 0;
}

/* Returns an errno. */
static int write_part(const char *folder, const char *name, int from, struct buffer *parts)
{
    char path[4200], key[32], number[32];
    struct stat info;
    unsigned long long sum = 0;
    int fd = from;
    if (fstat(from, &info) < 0) return errno;
    if (strcmp(name, "disk")) {
        snprintf(path, sizeof path, "%s/%s", folder, name);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, info.st_size) < 0) return errno;
    }
    errno = 0;
    if (store_copy(from, fd == from ? -1 : fd, info.st_size, &sum) < 0 || fsync(fd) < 0) return errno ? errno : EIO;
    snprintf(key, sizeof key, "%s_bytes", name);
    field_add_number(parts, key, (long long)info.st_size);
    snprintf(key, sizeof key, "%s_sum", name);
    snprintf(number, sizeof number, "%016llx", sum);
    field_add(parts, key, number);
    return 0;
}

int store_write_down(const struct store *store, int disk, const char *folder)
{
    char path[4200];
    struct buffer parts = {0};
    int error = write_part(folder, "memory", store->memory, &parts);
    if (!error) error = write_part(folder, "state", store->state, &parts);
    if (!error) error = write_part(folder, "disk", disk, &parts);
    if (error) return error;
    snprintf(path, sizeof path, "%s/parts", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, buffer_head(&parts), parts.length) != (ssize_t)parts.length || fsync(fd) < 0) return errno;
    return 0;
}
