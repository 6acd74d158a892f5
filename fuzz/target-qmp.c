/* Lines of QEMU's monitor: shim/json.c. */
#include <string.h>

#include "../shim/json.h"
#include "target.h"

static void look_into(const struct json *object, int depth)
{
    static const char *const names[] = {"event", "data", "id", "error", "desc", "return", "status", "error-desc"};
    char text[300];
    struct json value;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (json_member(object, names[i], &value) < 0) continue;
        if (json_text(&value, text, sizeof text) == 0) must(memchr(text, 0, sizeof text));
        json_is(&value, "completed");
        json_number(&value, 0);
        if (depth < 4) look_into(&value, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json line;
    if (json_parse(&line, (const char *)data, size) == 0) look_into(&line, 0);
    return 0;
}
