#include "buffer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void (*last_words)(void);

void buffer_on_exhaustion(void (*call)(void)) { last_words = call; }

static void out_of_memory(void)
{
    static const char text[] = "berth: out of memory\n";
    if (last_words) last_words();
    if (write(2, text, sizeof text - 1) < 0) _exit(71);
    _exit(71);
}

void *xmalloc(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory) out_of_memory();
    return memory;
}

char *xstrdup(const char *text)
{
    char *copy = strdup(text);
    if (!copy) out_of_memory();
    return copy;
}

char *buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->start && buffer->start + buffer->length + more > buffer->capacity) {
        memmove(buffer->data, buffer->data + buffer->start, buffer->length);
        buffer->start = 0;
    }
    size_t need = buffer->start + buffer->length + more;
    if (need > buffer->capacity) {
        size_t capacity = buffer->capacity ? buffer->capacity : 512;
        while (capacity < need) capacity *= 2;
        char *data = realloc(buffer->data, capacity);
        if (!data) out_of_memory();
        buffer->data = data;
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->start + buffer->length;
}

void buffer_added(struct buffer *buffer, size_t count) { buffer->length += count; }

void buffer_append(struct buffer *buffer, const void *data, size_t length)
{
    if (!length) return;
    memcpy(buffer_reserve(buffer, length), data, length);
    buffer->length += length;
}

void buffer_text(struct buffer *buffer, const char *text) { buffer_append(buffer, text, strlen(text)); }

void buffer_consume(struct buffer *buffer, size_t count)
{
    buffer->start += count;
    buffer->length -= count;
    if (buffer->length) return;
    buffer->start = 0;
    if (buffer->capacity > 1 << 16) buffer_free(buffer);
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}
