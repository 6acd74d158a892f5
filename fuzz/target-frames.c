/* Frames as they come from a guest or a client, in pieces: shim/frame.c, shim/buffer.c. */
#include "../shim/frame.h"
#include "target.h"

static void look_at(const struct frame *frame)
{
    struct fields fields;
    size_t cursor = 0;
    must(frame->length <= FRAME_MAX);
    must(frame_window(frame) <= UINT32_MAX);
    if (fields_parse(&fields, frame) < 0) return;
    while (fields_next(&fields, "file", &cursor)) must(cursor <= fields.length);
    fields_number(&fields, "code", -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer in = {0};
    struct frame frame;
    int state = 0;
    size_t piece = size ? data[0] + 1u : 1;
    for (size_t at = 0; at < size && state >= 0; at += piece) {
        buffer_append(&in, data + at, size - at < piece ? size - at : piece);
        while ((state = frame_peek(&in, &frame)) > 0) {
            look_at(&frame);
            buffer_consume(&in, frame_size(&frame));
        }
    }
    buffer_free(&in);
    return 0;
}
