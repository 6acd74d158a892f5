/* A machine booted to be copied: its memory and its state are files without a name that the kernel seals when they are
 * complete. From then on nothing can write to them or take pages out of them, neither a fork's QEMU nor root; and when
 * this shim, their keeper, ends, they are gone. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vm.h"

/* Between two looks at the guest's clock. Meanwhile it comes to rest. */
#define CLOCK_WAIT_MS 2000
#define MOST_DRIFT_PER_MILLION 5000
#define SETTLE_MS 100
#define SUM_START 14695981039346656037ULL
#define SUM_FACTOR 1099511628211ULL

static int memory = -1, state = -1;
static int looks;

struct look {
    long long asked, answered, guest;
};
static struct look first, second;

int template_files(const struct fields *machine, int fds[FD_COUNT])
{
    memory = memfd_create("berth-template", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    state = memfd_create("berth-template-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0 || state < 0 || ftruncate(memory, fields_number(machine, "memory_bytes", 0)) < 0)
        return complain("the template's memory: %s", strerror(errno)), -1;
    fds[FD_MEMORY - FD_LINK] = memory;
    return 0;
}

unsigned long long template_sum(int fd, long long length)
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

static long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void look_at_clock(void *context)
{
    static const char ticks[] = "op=ticks";
    struct look *look = context;
    look->asked = now_ns();
    link_send(FRAME_OPEN, CHANNEL_LINK, ticks, sizeof ticks);
}

/* How far the guest's clock was off, beyond what the time that asking took can explain, per million; what every fork
 * would inherit. */
static long long drift(void)
{
    long long host = second.asked - first.asked, guest = second.guest - first.guest;
    long long unsure = second.answered - second.asked + first.answered - first.asked;
    long long off = guest > host ? guest - host : host - guest;
    return off <= unsure ? 0 : (off - unsure) * 1000000 / host;
}

static void save(void *context)
{
    (void)context;
    qmp_save(state);
}

static void check_clock(void)
{
    char message[160];
    if (drift() <= MOST_DRIFT_PER_MILLION) {
        loop_after(SETTLE_MS, save, NULL);
        return;
    }
    snprintf(message, sizeof message, "the template's clock went %lld ms while the host's went %lld ms",
             (second.guest - first.guest) / 1000000, (second.asked - first.asked) / 1000000);
    main_failed("unavailable", 0, message);
}

/* The hello, then the answers about the clock. */
void template_frame(const struct frame *frame)
{
    struct fields fields;
    struct look *look = looks == 1 ? &first : &second;
    if (frame->type != FRAME_OPENED || looks > 2) return;
    if (looks++ == 0) return look_at_clock(&first);
    look->answered = now_ns();
    look->guest = fields_parse(&fields, frame) < 0 ? 0 : fields_number(&fields, "monotonic", 0);
    if (look == &second) check_clock();
    else loop_after(CLOCK_WAIT_MS, look_at_clock, &second);
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

static int keep(void)
{
    struct stat state_info, memory_info;
    char number[32];
    if (seal(memory) < 0 || seal(state) < 0 || fstat(state, &state_info) < 0 || fstat(memory, &memory_info) < 0 ||
        publish("memory", memory) < 0 || publish("state", state) < 0)
        return -1;
    snprintf(number, sizeof number, "%lld", (long long)state_info.st_size);
    main_note("state_bytes", number);
    snprintf(number, sizeof number, "%016llx", template_sum(state, state_info.st_size));
    main_note("state_sum", number);
    snprintf(number, sizeof number, "%lld", (long long)memory_info.st_blocks * 512);
    main_note("held_bytes", number);
    return 0;
}

static void keep_due(void *context)
{
    (void)context;
    char message[200];
    /* QEMU has mapped the memory for writing: it must be gone before that can be sealed. */
    machine_kill();
    console_close();
    qmp_close();
    link_close();
    if (keep() == 0) return main_held();
    snprintf(message, sizeof message, "the template cannot be kept: %s", strerror(errno));
    main_failed("unavailable", 0, message);
}

void template_saved(const char *failure)
{
    if (main_state() != MAIN_STARTING) return;
    if (failure) return main_failed("unavailable", 0, failure);
    /* Not from within what reads from the machine. */
    loop_after(0, keep_due, NULL);
}
