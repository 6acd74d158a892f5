/* The fields of a control frame, and the network interfaces that some of them describe: shim/frame.c, shim/endpoint.c. */
#include <string.h>

#include "../shim/endpoint.h"
#include "../shim/frame.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame frame = {.type = FRAME_OPEN, .length = (uint32_t)size, .payload = (const char *)data};
    struct fields fields;
    struct endpoint endpoint;
    size_t cursor = 0;
    if (fields_parse(&fields, &frame) < 0) return 0;
    const char *op = fields_get(&fields, "op");
    must(!op || (op >= fields.data && op + strlen(op) < fields.data + size));
    fields_flag(&fields, "tty");
    fields_number(&fields, "uid", -1);
    for (const char *text; (text = fields_next(&fields, "endpoint", &cursor));)
        if (endpoint_parse(text, &endpoint) == 0) must(endpoint.address_count <= 2 && endpoint.gateway_count <= 2);
    return 0;
}
