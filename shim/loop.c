#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"

struct child {
    pid_t pid;
    int known, status;
    void (*ended)(void *, int);
    void *context;
    struct child *next;
};

struct timer {
    int id;
    long long due;
    void (*call)(void *);
    void *context;
    struct timer *next;
};

static int epoll_fd = -1, running, keeping, next_timer;
static struct watch *batch[64];
static int batch_length;
static struct child *children;
static struct timer *timers;
static struct watch signals;

static void reap(void);

static void signal_ready(struct watch *watch, uint32_t events)
{
    struct signalfd_siginfo info[8];
    (void)events;
    while (read(watch->fd, info, sizeof info) > 0) continue;
    reap();
}

void loop_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signals.ready = signal_ready;
    if (epoll_fd < 0 || signals.fd < 0) _exit(71);
    loop_watch(&signals, EPOLLIN);
}

void loop_forget_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
}

void loop_watch(struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    watch->events = events;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, watch->fd, &event);
}

void loop_change(struct watch *watch, uint32_t events)
{
    if (watch->fd < 0 || watch->events == events) return;
    struct epoll_event event = {.events = events, .data.ptr = watch};
    /* A parked descriptor leaves the set: a hang-up is reported whether asked for or not, and would spin. */
    int operation = !events ? EPOLL_CTL_DEL : !watch->events ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    epoll_ctl(epoll_fd, operation, watch->fd, &event);
    watch->events = events;
}

void loop_close(struct watch *watch)
{
    if (watch->fd < 0) return;
    if (watch->events) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    close(watch->fd);
    watch->fd = -1;
    watch->events = 0;
    for (int i = 0; i < batch_length; i++)
        if (batch[i] == watch) batch[i] = NULL;
}

static struct child *child_add(pid_t pid)
{
    struct child *child = xmalloc(sizeof *child);
    child->pid = pid;
    child->next = children;
    children = child;
    return child;
}

static struct child *child_take(pid_t pid)
{
    for (struct child **link = &children; *link; link = &(*link)->next)
        if ((*link)->pid == pid) {
            struct child *child = *link;
            *link = child->next;
            return child;
        }
    return NULL;
}

static void reap(void)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        struct child *child = child_take(pid);
        if (child && child->ended) {
            child->ended(child->context, status);
            free(child);
        } else if (keeping) {
            if (!child) child = child_add(pid);
            else { child->next = children; children = child; }
            child->known = 1;
            child->status = status;
        }
    }
}

void loop_child(pid_t pid, void (*ended)(void *context, int status), void *context)
{
    struct child *child = child_take(pid);
    if (child && child->known) {
        int status = child->status;
        free(child);
        ended(context, status);
        return;
    }
    if (child) free(child);
    child = child_add(pid);
    child->ended = ended;
    child->context = context;
}

void loop_forget_child(pid_t pid) { free(child_take(pid)); }

void loop_keep_unknown(int on)
{
    keeping += on ? 1 : -1;
    if (keeping) return;
    for (struct child **link = &children; *link;) {
        struct child *child = *link;
        if (child->known) {
            *link = child->next;
            free(child);
        } else link = &child->next;
    }
}

long long loop_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

int loop_after(int milliseconds, void (*due)(void *context), void *context)
{
    struct timer *timer = xmalloc(sizeof *timer);
    *timer = (struct timer){++next_timer, loop_now_ms() + milliseconds, due, context, timers};
    timers = timer;
    return timer->id;
}

void loop_cancel(int id)
{
    for (struct timer **link = &timers; *link; link = &(*link)->next)
        if ((*link)->id == id) {
            struct timer *timer = *link;
            *link = timer->next;
            free(timer);
            return;
        }
}

static int next_timeout(void)
{
    long long first = -1, now = loop_now_ms();
    for (struct timer *timer = timers; timer; timer = timer->next)
        if (first < 0 || timer->due < first) first = timer->due;
    if (first < 0) return -1;
    return first <= now ? 0 : (int)(first - now);
}

/* Each call may set and cancel any timer, so that the search begins anew; what it sets is not due in this round. */
static void run_timers(void)
{
    long long now = loop_now_ms();
    for (int last = next_timer;;) {
        struct timer *timer = timers;
        while (timer && (timer->due > now || timer->id > last)) timer = timer->next;
        if (!timer) return;
        void (*call)(void *) = timer->call;
        void *context = timer->context;
        loop_cancel(timer->id);
        call(context);
    }
}

void loop_run(void)
{
    struct epoll_event events[64];
    for (running = 1; running;) {
        int count = epoll_wait(epoll_fd, events, 64, next_timeout());
        if (count < 0 && errno != EINTR) _exit(71);
        batch_length = count < 0 ? 0 : count;
        for (int i = 0; i < batch_length; i++) batch[i] = events[i].data.ptr;
        for (int i = 0; i < batch_length && running; i++)
            if (batch[i]) batch[i]->ready(batch[i], events[i].events);
        batch_length = 0;
        run_timers();
    }
}

void loop_stop(void) { running = 0; }
