/* The seam between what every supervisor does (connections, log, exit file, life cycle: supervisor.c) and how one
 * isolation does it. A back-end fills in `struct backend` and reports by the functions below. The current folder is
 * DIR throughout. */
#ifndef BERTH_BACKEND_H
#define BERTH_BACKEND_H

#include <stddef.h>
#include <sys/types.h>

#include "conn.h"
#include "options.h"

struct backend {
    const char *name;
    /* One option that is not in struct options; 0, or -1 when it is unknown. `value` is NULL for a flag. */
    int (*option)(const char *name, const char *value);
    /* Before the loop runs, DIR is the current folder: all that can be done before `start` is known. 0, or -1 after
     * complaining with complain(). */
    int (*prepare)(void);
    /* Begin the main process; answer with main_started or main_failed, at once or later. */
    void (*start)(const struct fields *request);
    /* Make the file system reachable without a process; answer with main_held or main_failed. */
    void (*hold)(const struct fields *request);
    /* Give up a start that is under way, by main_failed. */
    void (*abort)(void);
    /* Signal the main process (1 to 64). With a connection, answer on it at once by conn_opened or conn_fail. */
    void (*signal)(struct conn *conn, int number);
    void (*resize)(unsigned rows, unsigned columns);
    /* Bytes for the main process's stdin; returns how many were taken. If fewer than given, call main_input_ready()
     * when more can be. Length 0 means end of file. */
    size_t (*input)(const char *data, size_t length);
    /* Main output, held back because main_blocked() was true, may flow again. */
    void (*output_resume)(void);
    /* Any other operation (exec, stat, read, …). Answers on the connection, taking it over with conn_take if frames
     * are to follow. 0, or -1 when the operation is unknown. */
    int (*operation)(struct conn *conn, const char *op, const struct fields *fields);
    /* EXIT has been sent, or the shim quits unstarted: remove everything outside DIR. The shim exits on return. */
    void (*cleanup)(void);
};

extern const struct backend container_backend;
extern const struct backend vm_backend;

enum main_state { MAIN_CREATED, MAIN_STARTING, MAIN_RUNNING, MAIN_PAUSED, MAIN_HELD, MAIN_EXITED };

enum main_state main_state(void);
/* RUNNING <-> PAUSED, for isolations whose shim does the pausing. */
void main_set_paused(int paused);
pid_t main_pid(void);

/* One more field for whoever asks for the state. */
void main_note(const char *key, const char *value);
void main_started(pid_t pid);
/* `code` is a BerthError code, `status` 126/127 or 0. The shim then cleans up and exits. */
void main_failed(const char *code, int status, const char *message);
void main_held(void);
/* stream: FRAME_STDOUT or FRAME_STDERR. Logs and hands to everyone attached. */
void main_output(int stream, const char *data, size_t length);
void main_output_end(int stream);
/* Someone attached is slow: stop reading the main process's output until backend.output_resume. */
int main_blocked(void);
/* The main process has ended: from now on output is no longer held back (main_blocked is false). */
void main_ending(void);
/* The kernel has killed in the workload, as its memory limit is used up. Clients hear of it once a burst. */
void main_oom(void);
/* All output has been handed over. `reason` (an ExitReason) and `message` may be NULL. Writes `exit`, sends EXIT. */
void main_exited(int code, int oom, const char *reason, const char *message);
void main_input_ready(void);

/* A line in shim.err. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
