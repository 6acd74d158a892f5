/* The event loop: file descriptors by epoll, children by signalfd. One thread, no polling. */
#ifndef BERTH_LOOP_H
#define BERTH_LOOP_H

#include <stdint.h>
#include <sys/types.h>

struct watch {
    int fd;
    uint32_t events;
    /* Called with EPOLL… bits. May unwatch and free itself or others. */
    void (*ready)(struct watch *watch, uint32_t events);
    void *context;
};

/* Blocks SIGCHLD for this process and sets up the loop. Children must call loop_forget_signals after fork. */
void loop_open(void);
void loop_forget_signals(void);
void loop_watch(struct watch *watch, uint32_t events);
/* Changes what is waited for; no events at all parks the descriptor (only errors and hang-ups would wake it). */
void loop_change(struct watch *watch, uint32_t events);
/* Forgets and closes the descriptor; the watch may be freed at once. */
void loop_close(struct watch *watch);

/* Calls `ended` with the wait status once this child has been reaped, also if that happened already. */
void loop_child(pid_t pid, void (*ended)(void *context, int status), void *context);
/* Its end is no longer of interest. */
void loop_forget_child(pid_t pid);
/* While launches are pending, ends of children not yet known are kept for loop_child. Nests. */
void loop_keep_unknown(int on);

/* Calls once after `milliseconds`. Returns an id for loop_cancel, never 0. */
int loop_after(int milliseconds, void (*due)(void *context), void *context);
void loop_cancel(int id);

long long loop_now_ms(void);

void loop_run(void);
void loop_stop(void);

#endif
