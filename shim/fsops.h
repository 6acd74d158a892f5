/* Operations on files of an instance: stat, read (a tar out), write (a tar in), changes, identity. For the shim and the guest
 * agent alike: each call speaks frames on a connected stream socket, blocking, in a process of its own. */
#ifndef BERTH_FSOPS_H
#define BERTH_FSOPS_H

#include "frame.h"

/* Whether fsops_serve knows the operation. */
int fsops_knows(const char *op);
/* Serves one operation below `root`, a folder's descriptor; no path, link or archive entry leads out of it. `pending`
 * holds bytes already read from the socket after the OPEN frame; freed. Answers with channel 0. Returns an exit
 * status: 0, or 1 after FAIL or when the client has gone. */
int fsops_serve(int socket, int root, const char *op, const struct fields *fields, struct buffer *pending);
/* Lists what the overlay's upper folder changes against the lower ones, the uppermost first. */
int fsops_changes(int socket, int upper, const int *lower, int count);
/* Says who a process would be (accounts.h) by these files, opened as O_PATH, or -1 for none. Ends with the process. */
int fsops_identity(int socket, int passwd, int group, const struct fields *process);
/* Sends FAIL with the code that fits errno. Returns 1. */
int fsops_fail(int socket, int error, const char *what);

/* 0, or -1 when the client has gone. */
int fsops_send(int socket, uint8_t type, const void *payload, size_t length);

#endif
