/* Channel 1: the main process, or the file system that is held. The guest's reports count only where they can be true. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "vm.h"

/* Bytes that may be sent to the guest, and by it; and those of its output that a client has not taken yet. */
static size_t window = WINDOW_BYTES, granted = WINDOW_BYTES, owed;
/* `runs`: the guest has said that it has begun. `held`: there is no process, only files. */
static int runs, held;

void refusal_read(const struct fields *fields, struct refusal *refusal)
{
    const char *code = fields_get(fields, "code"), *message = fields_get(fields, "message");
    long long status = fields_number(fields, "status", 0);
    size_t length = code ? strspn(code, "abcdefghijklmnopqrstuvwxyz-") : 0;
    int known = length && length < sizeof refusal->code && !code[length];
    snprintf(refusal->code, sizeof refusal->code, "%s", known ? code : "internal");
    snprintf(refusal->message, sizeof refusal->message, "%s", message && *message ? message : "the guest failed");
    refusal->status = status == 126 || status == 127 ? (int)status : 0;
}

void main_channel_reset(int holding)
{
    window = granted = WINDOW_BYTES;
    owed = 0;
    runs = 0;
    held = holding;
}

void main_channel_taken_over(size_t room)
{
    window = room;
    granted = WINDOW_BYTES;
    runs = 1;
}

/* A copy of a machine says first what was on its way when it was made; its agent counts anew afterwards. */
static int output(const struct frame *frame, int is_copy)
{
    if (held || (!runs && !is_copy) || frame->length > granted) return -1;
    granted -= frame->length;
    if (!frame->length) return main_output_end(frame->type), 0;
    main_output(frame->type, frame->payload, frame->length);
    if (!runs) return 0;
    if (main_blocked()) return owed += frame->length, 0;
    granted += frame->length;
    link_credit(CHANNEL_MAIN, frame->length);
    return 0;
}

void main_channel_resume(void)
{
    granted += owed;
    link_credit(CHANNEL_MAIN, owed);
    owed = 0;
}

static int more_window(const struct frame *frame)
{
    size_t bytes = frame_window(frame);
    if (frame->length != 4 || bytes > WINDOW_BYTES - window) return -1;
    window += bytes;
    main_input_ready();
    return 0;
}

size_t main_channel_input(const char *data, size_t length)
{
    if (!length) return link_send(FRAME_STDIN, CHANNEL_MAIN, "", 0), 0;
    size_t size = length < window ? length : window;
    if (size) link_send(FRAME_STDIN, CHANNEL_MAIN, data, size);
    window -= size;
    return size;
}

void main_channel_resize(unsigned rows, unsigned columns)
{
    struct buffer fields = {0};
    if (!runs || link_is_behind()) return;
    field_add_number(&fields, "rows", rows);
    field_add_number(&fields, "columns", columns);
    link_send(FRAME_RESIZE, CHANNEL_MAIN, buffer_head(&fields), fields.length);
    buffer_free(&fields);
}

static int process_ended(const struct frame *frame)
{
    struct fields fields;
    long long code = fields_parse(&fields, frame) < 0 ? -1 : fields_number(&fields, "code", -1);
    if (held || !runs || code < 0 || code > 255) return -1;
    vm_main_ended((int)code, fields_flag(&fields, "oom"));
    return 0;
}

/* A copy's tells of its source. */
static int killed(const struct frame *frame, int is_copy)
{
    if (held || frame->length || (!runs && !is_copy)) return -1;
    if (runs) main_oom();
    return 0;
}

static int refused(const struct frame *frame)
{
    struct fields fields;
    struct refusal refusal;
    if (runs || fields_parse(&fields, frame) < 0) return -1;
    refusal_read(&fields, &refusal);
    vm_refused(&refusal);
    return 0;
}

int main_channel_frame(const struct frame *frame, int is_copy)
{
    switch (frame->type) {
    case FRAME_STDOUT:
    case FRAME_STDERR: return output(frame, is_copy);
    /* A copy's refers to what its source was sent. */
    case FRAME_WINDOW: return held ? -1 : !runs && is_copy ? 0 : more_window(frame);
    case FRAME_EXIT: return process_ended(frame);
    case FRAME_OOM: return killed(frame, is_copy);
    case FRAME_FAIL: return refused(frame);
    case FRAME_OPENED:
        if (runs) return -1;
        runs = 1;
        return vm_main_started(), 0;
    default: return -1;
    }
}
