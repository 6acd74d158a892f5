#include "frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void frame_header(char header[FRAME_HEADER], uint8_t type, uint32_t channel, uint32_t length)
{
    unsigned char bytes[FRAME_HEADER] = {type,         channel >> 16, channel >> 8, channel,
                                         length >> 24, length >> 16,  length >> 8,  length};
    memcpy(header, bytes, FRAME_HEADER);
}

void frame_append(struct buffer *out, uint8_t type, uint32_t channel, const void *payload, size_t length)
{
    frame_header(buffer_reserve(out, FRAME_HEADER + length), type, channel, (uint32_t)length);
    buffer_added(out, FRAME_HEADER);
    buffer_append(out, payload, length);
}

int frame_peek(const struct buffer *in, struct frame *frame)
{
    if (in->length < FRAME_HEADER) return 0;
    const unsigned char *b = (const unsigned char *)buffer_head(in);
    frame->type = b[0];
    frame->channel = (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    frame->length = (uint32_t)b[4] << 24 | (uint32_t)b[5] << 16 | (uint32_t)b[6] << 8 | b[7];
    frame->payload = (const char *)b + FRAME_HEADER;
    if (frame->length > FRAME_MAX) return -1;
    return in->length >= frame_size(frame);
}

size_t frame_window(const struct frame *frame)
{
    const unsigned char *b = (const unsigned char *)frame->payload;
    return frame->length != 4 ? 0 : (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
}

int fields_parse(struct fields *fields, const struct frame *frame)
{
    if (frame->length && frame->payload[frame->length - 1] != 0) return -1;
    *fields = (struct fields){frame->payload, frame->length};
    return 0;
}

const char *fields_next(const struct fields *fields, const char *key, size_t *cursor)
{
    size_t key_length = strlen(key);
    while (*cursor < fields->length) {
        const char *field = fields->data + *cursor;
        *cursor += strlen(field) + 1;
        if (!strncmp(field, key, key_length) && field[key_length] == '=') return field + key_length + 1;
    }
    return NULL;
}

const char *fields_get(const struct fields *fields, const char *key)
{
    size_t cursor = 0;
    return fields_next(fields, key, &cursor);
}

int fields_flag(const struct fields *fields, const char *key)
{
    const char *value = fields_get(fields, key);
    return value && !strcmp(value, "1");
}

long long fields_number(const struct fields *fields, const char *key, long long fallback)
{
    const char *value = fields_get(fields, key);
    char *end = NULL;
    if (!value || !*value) return fallback;
    long long number = strtoll(value, &end, 10);
    return *end ? fallback : number;
}

void field_add(struct buffer *out, const char *key, const char *value)
{
    buffer_text(out, key);
    buffer_append(out, "=", 1);
    buffer_append(out, value, strlen(value) + 1);
}

void field_add_number(struct buffer *out, const char *key, long long value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", value);
    field_add(out, key, text);
}
