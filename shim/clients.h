/* Who waits for the main process's end or is attached to its stdio. */
#ifndef BERTH_CLIENTS_H
#define BERTH_CLIENTS_H

#include "backend.h"

enum client_kind { CLIENT_WAIT = 1, CLIENT_ATTACH = 2, CLIENT_INPUT = 4, CLIENT_STARTING = 8 };

void clients_open(const struct backend *backend);
/* `streams`: bits 1 << FRAME_STDOUT and 1 << FRAME_STDERR. */
void clients_add(struct conn *conn, int kind, int streams);
/* Answers those that wait for the main process to have started. */
void clients_started(void (*answer)(struct conn *));
/* Length 0: the stream ended. */
void clients_output(int stream, const char *data, size_t length);
int clients_full(void);
void clients_input_ready(void);
/* Sends OOM to those that wait for the end and are not behind. */
void clients_oom(void);
/* Sends EXIT, or FAIL, to everyone and lets them go. */
void clients_exit(const char *fields, size_t length);
void clients_fail(const char *code, int status, const char *message);

#endif
