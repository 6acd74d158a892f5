/* The log of the main process's output: Docker's json-file format, rotated. */
#ifndef BERTH_LOG_H
#define BERTH_LOG_H

#include <stddef.h>

/* Cuts output into lines (longer ones in pieces of at most 16 KiB, none within a character) and appends them. The file is made at the
 * first output. `stream`: 1 stdout, 2 stderr. */
void log_write(int stream, const char *data, size_t length);
/* The stream ended: writes an unfinished line. */
void log_end(int stream);
/* RFC 3339 with nanoseconds, UTC, no trailing zeros, as Go prints it. */
void time_now(char text[40]);

#endif
