/* Frames and fields of docs/guest-protocol.md, for the shim and the guest agent alike. The other half is
 * src/formats/frames.ts. Nothing here does input or output. */
#ifndef BERTH_FRAME_H
#define BERTH_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

enum frame_type {
    FRAME_STDIN = 0,
    FRAME_STDOUT = 1,
    FRAME_STDERR = 2,
    FRAME_OPEN = 16,
    FRAME_OPENED = 17,
    FRAME_RESIZE = 18,
    FRAME_SIGNAL = 19,
    FRAME_EXIT = 20,
    FRAME_FAIL = 21,
    FRAME_WINDOW = 22,
    FRAME_OOM = 23,
};

#define FRAME_HEADER 8
#define FRAME_MAX (1u << 20)

struct frame {
    uint8_t type;
    uint32_t channel;
    uint32_t length;
    const char *payload;
};

/* Writes the 8 bytes of a header. */
void frame_header(char header[FRAME_HEADER], uint8_t type, uint32_t channel, uint32_t length);
void frame_append(struct buffer *out, uint8_t type, uint32_t channel, const void *payload, size_t length);
/* The first frame in `in`: 1 and `frame` filled (payload points into `in`; consume frame_size bytes after use), 0 when
 * it is not complete yet, -1 when its length is beyond the limit. */
int frame_peek(const struct buffer *in, struct frame *frame);
static inline size_t frame_size(const struct frame *frame) { return FRAME_HEADER + (size_t)frame->length; }

/* The bytes that a WINDOW frame gives back; 0 when it is malformed. */
size_t frame_window(const struct frame *frame);

/* The fields of a control frame: `key=value` strings, each ended by NUL. */
struct fields {
    const char *data;
    size_t length;
};

/* 0, or -1 when the payload does not end with NUL. */
int fields_parse(struct fields *fields, const struct frame *frame);
/* The value of the first such field, or NULL. */
const char *fields_get(const struct fields *fields, const char *key);
/* Iterates over the values of a key: start with *cursor = 0; NULL at the end. */
const char *fields_next(const struct fields *fields, const char *key, size_t *cursor);
int fields_flag(const struct fields *fields, const char *key);
/* The number in a field, or `fallback` when it is absent or no number. */
long long fields_number(const struct fields *fields, const char *key, long long fallback);

void field_add(struct buffer *out, const char *key, const char *value);
void field_add_number(struct buffer *out, const char *key, long long value);

#endif
