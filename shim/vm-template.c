/* A machine booted to be copied, or a checkpoint that is: its memory and its state are files without a name that the
 * kernel seals when they are complete. From then on nothing can write to them or take pages out of them, neither a
 * fork's QEMU nor root; and when this shim, their keeper, ends, they are gone. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vm-store.h"
#include "vm.h"

/* Between two looks at the guest's clock. Meanwhile it comes to rest. */
#define CLOCK_WAIT_MS 2000
#define MOST_DRIFT_PER_MILLION 5000
#define SETTLE_MS 100

static struct store kept = {-1, -1};
static int looks;

struct look {
    long long asked, answered, guest;
};
static struct look first, second;

int template_files(const struct fields *machine, int fds[FD_COUNT])
{
    kept.memory = store_make("berth-template", fields_number(machine, "memory_bytes", 0));
    kept.state = store_make("berth-template-state", 0);
    if (kept.memory < 0 || kept.state < 0) return complain("the template's memory: %s", strerror(errno)), -1;
    fds[FD_MEMORY - FD_LINK] = kept.memory;
    return 0;
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

static void keep_due(void *context);

static void saved(const char *failure)
{
    if (main_state() != MAIN_STARTING) return;
    if (failure) return main_failed("unavailable", 0, failure);
    /* Not from within what reads from the machine. */
    loop_after(0, keep_due, NULL);
}

static void stopped(const char *failure)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", kept.state);
    int state = failure ? -1 : open(path, O_WRONLY | O_CLOEXEC);
    if (state < 0) return saved(failure ? failure : strerror(errno));
    qmp_save(state, saved);
    close(state);
}

/* It stays stopped: memory and state are of one moment. */
static void save(void *context)
{
    (void)context;
    qmp_run("stop", -1, stopped, "");
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

static void keep_due(void *context)
{
    (void)context;
    char message[200];
    /* QEMU has mapped the memory for writing: it must be gone before that can be sealed. */
    if (machine_kill() < 0) return main_failed("unavailable", 0, "the template's machine cannot be ended");
    console_close();
    qmp_close();
    link_close();
    if (store_publish(&kept, main_note) == 0) return main_held();
    snprintf(message, sizeof message, "the template cannot be kept: %s", strerror(errno));
    main_failed("unavailable", 0, message);
}

/* What is wrong with one of the parts of a checkpoint; NULL: nothing. Its content goes to `copy` while it is summed up. */
static const char *read_part(const struct fields *machine, const char *name, const char *kept_as, int *copy)
{
    char key[32];
    unsigned long long sum;
    const char *path = fields_get(machine, name), *damage = NULL, *wanted;
    struct stat info;
    snprintf(key, sizeof key, "%s_bytes", name);
    long long size = fields_number(machine, key, -1);
    snprintf(key, sizeof key, "%s_sum", name);
    wanted = fields_get(machine, key);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &info) < 0) damage = strerror(errno);
    else if (info.st_size != size) damage = "it has another size than when it was written";
    else if (copy && (*copy = store_make(kept_as, size)) < 0) damage = strerror(errno);
    else if (store_copy(fd, copy ? *copy : -1, size, &sum) < 0) damage = strerror(errno);
    else if (!wanted || sum != strtoull(wanted, NULL, 16)) damage = "its checksum is wrong";
    if (fd >= 0) close(fd);
    return damage;
}

static int load_part(const struct fields *machine, const char *name, const char *kept_as, int *copy,
                     char *message, size_t room)
{
    const char *damage = read_part(machine, name, kept_as, copy);
    if (!damage) return 0;
    snprintf(message, room, "the checkpoint's %s cannot be used: %s", name + strlen("saved_"), damage);
    return -1;
}

void template_load(const struct fields *machine)
{
    char message[400];
    if (load_part(machine, "saved_memory", "berth-checkpoint", &kept.memory, message, sizeof message) < 0 ||
        load_part(machine, "saved_state", "berth-checkpoint-state", &kept.state, message, sizeof message) < 0 ||
        load_part(machine, "saved_disk", NULL, NULL, message, sizeof message) < 0)
        return main_failed("unavailable", 0, message);
    if (store_publish(&kept, main_note) == 0) return main_held();
    snprintf(message, sizeof message, "the checkpoint cannot be loaded: %s", strerror(errno));
    main_failed("unavailable", 0, message);
}
