/* The shim's ends of a process's standard input, output and error: three pipes, or the master of its terminal. */
#ifndef BERTH_STREAMS_H
#define BERTH_STREAMS_H

#include <stddef.h>

#include "loop.h"

struct streams {
    int tty;
    struct watch in, out, err;
    int paused;
    /* stream is FRAME_STDOUT or FRAME_STDERR; length 0 means that it ended. */
    void (*output)(struct streams *io, int stream, const char *data, size_t length);
    /* Whether output must be left where it is for now; streams_resume takes it up again. */
    int (*blocked)(struct streams *io);
    /* stdin has room again after streams_input took less than given. */
    void (*input_ready)(struct streams *io);
    void *context;
};

/* Makes the pipes; child[0..2] are the process's ends, to be closed by streams_close_child. A process without stdin, or
 * with a terminal, gets /dev/null there. */
int streams_open(struct streams *io, int tty, int has_stdin, int child[3]);
void streams_close_child(int child[3]);
/* With a terminal: its master, once it is known. */
void streams_set_master(struct streams *io, int master);
/* Begins to hand over output. */
void streams_start(struct streams *io);
void streams_resume(struct streams *io);
/* Returns how much was taken. Length 0 closes stdin (a terminal has no end of file to be told). */
size_t streams_input(struct streams *io, const char *data, size_t length);
void streams_resize(struct streams *io, unsigned rows, unsigned columns);
/* Whether output may still come. */
int streams_is_open(const struct streams *io);
/* Hands over what the kernel still holds, then closes everything. */
void streams_finish(struct streams *io);

/* Closes everything and hands over nothing more. */
void streams_discard(struct streams *io);

#endif
