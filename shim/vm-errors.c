/* What QEMU and its helpers say is wrong comes by a pipe, and becomes complaints of ours: bounded and visible. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vm-process.h"
#include "vm.h"

#define MOST_LINE 1000
#define MOST_READS 64

static struct watch errors = {.fd = -1};
static int theirs = -1;
static char line[MOST_LINE + 1];
static size_t length;

static void line_ended(void)
{
    line[length] = 0;
    if (length) complain("%s", line);
    length = 0;
}

/* 1 when something was read. */
static int take(void)
{
    char data[4096];
    ssize_t got = errors.fd < 0 ? 0 : read(errors.fd, data, sizeof data);
    for (ssize_t i = 0; i < got; i++)
        if (data[i] == '\n' || length == MOST_LINE) line_ended();
        else line[length++] = data[i] ? data[i] : ' ';
    if (got == 0) loop_close(&errors);
    return got > 0;
}

static void ready(struct watch *watch, uint32_t events)
{
    (void)watch;
    (void)events;
    take();
}

void errors_open(void)
{
    int ends[2];
    errors_forget();
    loop_close(&errors);
    if (pipe2(ends, O_CLOEXEC) < 0) return;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    theirs = ends[1];
    errors = (struct watch){.fd = ends[0], .ready = ready};
    loop_watch(&errors, EPOLLIN);
}

void errors_take_over(void)
{
    if (theirs >= 0) dup2(theirs, 2);
}

void errors_forget(void)
{
    if (theirs >= 0) close(theirs);
    theirs = -1;
}

void errors_finish(void)
{
    for (int reads = 0; reads < MOST_READS && take(); reads++) continue;
    line_ended();
}
