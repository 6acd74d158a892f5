/* The part of a shim that knows no isolation: operations on the main process, attached clients, exit file. */
#ifndef BERTH_SUPERVISOR_H
#define BERTH_SUPERVISOR_H

#include "backend.h"

/* Serves until the instance has ended and everything is cleaned up. Returns the shim's exit status. */
int supervise(const struct backend *backend, int first_fd);

#endif
