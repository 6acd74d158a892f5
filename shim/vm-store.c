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
