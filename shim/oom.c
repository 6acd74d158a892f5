#define _GNU_SOURCE
#include "oom.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "buffer.h"
#include "loop.h"

/* Version 1 tells before it kills: the count is looked at this often again, each time after twice the time. */
#define FIRST_LOOK_MS 1
#define MOST_LOOKS 12

static struct watch events = {.fd = -1};
static char *counter;
static void (*on_kill)(void);
/* `base`: kills that are not of this workload. */
static long long base, seen;
static int looks, timer;

long long oom_kills(const char *file)
{
    char text[1024];
    int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (length < 0) return -1;
    text[length] = 0;
    const char *line = strstr(text, "oom_kill ");
    return line ? atoll(line + strlen("oom_kill ")) : 0;
}

void oom_look(void)
{
    long long kills = oom_kills(counter);
    if (kills <= seen) return;
    seen = kills;
    on_kill();
}

int oom_killed(void)
{
    oom_look();
    return seen > base;
}

void oom_forget(void)
{
    long long kills = oom_kills(counter);
    if (kills > 0) base = seen = kills;
}

static void look_until_killed(void *context)
{
    long long before = seen;
    (void)context;
    timer = 0;
    oom_look();
    if (seen == before && ++looks < MOST_LOOKS) timer = loop_after(FIRST_LOOK_MS << looks, look_until_killed, NULL);
}

/* Version 1: an eventfd. It tells of the end of the group as well. */
static void about_to_kill(struct watch *watch, uint32_t bits)
{
    uint64_t count;
    (void)bits;
    if (read(watch->fd, &count, sizeof count) < 0 || oom_kills(counter) < 0) return loop_close(watch);
    loop_cancel(timer);
    looks = 0;
    look_until_killed(NULL);
}

/* Version 2: the file itself, which has to be read for it to tell again. */
static void changed(struct watch *watch, uint32_t bits)
{
    char text[1];
    (void)bits;
    if (pread(watch->fd, text, sizeof text, 0) < 0) return loop_close(watch);
    oom_look();
}

static int ask_for_events(const char *file, int fd)
{
    char path[4096], line[64];
    const char *slash = strrchr(file, '/');
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    snprintf(path, sizeof path, "%.*s/cgroup.event_control", slash ? (int)(slash - file) : 0, file);
    int length = snprintf(line, sizeof line, "%d %d", event, fd), control = open(path, O_WRONLY | O_CLOEXEC);
    if (control < 0 || write(control, line, (size_t)length) != length) close(event), event = -1;
    if (control >= 0) close(control);
    close(fd);
    return event;
}

void oom_watch(const char *file, void (*killed)(void))
{
    int fd = file && !counter ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    counter = xstrdup(file);
    on_kill = killed;
    int is_first = strstr(file, "memory.oom_control") != NULL;
    if (is_first) fd = ask_for_events(file, fd);
    events = (struct watch){.fd = fd, .ready = is_first ? about_to_kill : changed};
    if (fd >= 0) loop_watch(&events, is_first ? EPOLLIN : EPOLLPRI);
    /* Kills may have happened before the watch. */
    oom_look();
}
