/* A growable queue of bytes. Zero-initialised is empty. Running out of memory ends the process, after a call that must not
 * need any. */
#ifndef BERTH_BUFFER_H
#define BERTH_BUFFER_H

#include <stddef.h>

struct buffer {
    char *data;
    size_t start, length, capacity;
};

/* Room for `more` bytes after the content; returns where they go. Commit them with buffer_added. */
char *buffer_reserve(struct buffer *buffer, size_t more);
void buffer_added(struct buffer *buffer, size_t count);
void buffer_append(struct buffer *buffer, const void *data, size_t length);
void buffer_text(struct buffer *buffer, const char *text);
/* Drops bytes from the front. */
void buffer_consume(struct buffer *buffer, size_t count);
void buffer_free(struct buffer *buffer);
static inline char *buffer_head(const struct buffer *buffer) { return buffer->data + buffer->start; }

void buffer_on_exhaustion(void (*call)(void));
void *xmalloc(size_t size);
char *xstrdup(const char *text);

#endif
