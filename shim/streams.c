#define _GNU_SOURCE
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include "frame.h"

#define CHUNK 65536

static char chunk[CHUNK];

static int stream_of(const struct streams *io, const struct watch *watch)
{
    return watch == &io->err ? FRAME_STDERR : FRAME_STDOUT;
}

/* Reads once. 1: there may be more, 0: nothing now, -1: ended. */
static int pump(struct streams *io, struct watch *watch)
{
    if (watch->fd < 0) return -1;
    ssize_t got = read(watch->fd, chunk, sizeof chunk);
    if (got > 0) return io->output(io, stream_of(io, watch), chunk, (size_t)got), 1;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    /* A terminal's master gives EIO once nobody holds the other side. */
    loop_close(watch);
    if (io->tty) loop_close(&io->in);
    io->output(io, stream_of(io, watch), "", 0);
    return -1;
}

static void park(struct streams *io, int paused)
{
    io->paused = paused;
    loop_change(&io->out, paused ? 0 : EPOLLIN);
    loop_change(&io->err, paused ? 0 : EPOLLIN);
}

static void output_ready(struct watch *watch, uint32_t events)
{
    struct streams *io = watch->context;
    (void)events;
    if (io->blocked(io)) return park(io, 1);
    pump(io, watch);
}

static void input_ready(struct watch *watch, uint32_t events)
{
    struct streams *io = watch->context;
    /* Nobody reads any more: further input is taken and dropped. */
    if (events & EPOLLERR) loop_close(watch);
    else loop_change(watch, 0);
    io->input_ready(io);
}

static int make_pipe(struct watch *ours, int our_end, int *theirs)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    ours->fd = ends[our_end];
    *theirs = ends[!our_end];
    return fcntl(ours->fd, F_SETFL, O_NONBLOCK);
}

/* An input that is at its end. It is not the host's /dev/null: runtimes give what they get as stdio to the user. */
static int open_empty(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -1;
    close(ends[1]);
    return ends[0];
}

int streams_open(struct streams *io, int tty, int has_stdin, int child[3])
{
    io->tty = tty;
    io->in = (struct watch){.fd = -1, .ready = input_ready, .context = io};
    io->out = io->err = (struct watch){.fd = -1, .ready = output_ready, .context = io};
    child[0] = child[1] = child[2] = -1;
    if (tty || !has_stdin) {
        if ((child[0] = open_empty()) < 0) return -1;
    } else if (make_pipe(&io->in, 1, &child[0]) < 0) return -1;
    if (tty) {
        /* Only the runtime gets this file: its process gets the terminal. */
        child[1] = memfd_create("berth", MFD_CLOEXEC);
        child[2] = fcntl(child[1], F_DUPFD_CLOEXEC, 3);
        return child[2] < 0 ? -1 : 0;
    }
    return make_pipe(&io->out, 0, &child[1]) < 0 || make_pipe(&io->err, 0, &child[2]) < 0 ? -1 : 0;
}

void streams_close_child(int child[3])
{
    for (int i = 0; i < 3; i++) {
        if (child[i] >= 0) close(child[i]);
        child[i] = -1;
    }
}

void streams_set_master(struct streams *io, int master)
{
    fcntl(master, F_SETFL, O_NONBLOCK);
    io->out.fd = master;
    /* A second descriptor, as one descriptor cannot be in the loop twice. */
    io->in.fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
}

void streams_start(struct streams *io)
{
    if (io->out.fd >= 0) loop_watch(&io->out, EPOLLIN);
    if (io->err.fd >= 0) loop_watch(&io->err, EPOLLIN);
}

void streams_resume(struct streams *io)
{
    if (io->paused) park(io, 0);
}

size_t streams_input(struct streams *io, const char *data, size_t length)
{
    if (io->in.fd < 0) return length;
    if (!length) {
        if (!io->tty) loop_close(&io->in);
        return 0;
    }
    ssize_t taken = write(io->in.fd, data, length);
    if (taken == (ssize_t)length) return length;
    if (taken < 0 && errno != EAGAIN && errno != EINTR) {
        loop_close(&io->in);
        return length;
    }
    loop_change(&io->in, EPOLLOUT);
    return taken < 0 ? 0 : (size_t)taken;
}

void streams_resize(struct streams *io, unsigned rows, unsigned columns)
{
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    if (io->tty && io->out.fd >= 0 && rows && columns) ioctl(io->out.fd, TIOCSWINSZ, &size);
}

int streams_is_open(const struct streams *io) { return io->out.fd >= 0 || io->err.fd >= 0; }

void streams_finish(struct streams *io)
{
    while (pump(io, &io->out) > 0) continue;
    while (pump(io, &io->err) > 0) continue;
    streams_discard(io);
}

void streams_discard(struct streams *io)
{
    loop_close(&io->out);
    loop_close(&io->err);
    loop_close(&io->in);
}
