/* Answers that a netlink socket delivers: shim/netlink.c. */
#include <string.h>

#include "../shim/netlink.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _Alignas(4) static char answers[4096];
    static const char *const steps[] = {"first", "second", "third"};
    struct netlink link = {.fd = -1};
    unsigned wanted = size ? data[0] % 4u : 0, seen = 0;
    size_t length = size ? size - 1 : 0;
    int error = 0;
    if (length > sizeof answers) length = sizeof answers;
    memcpy(answers, size ? data + 1 : data, length);
    memcpy(link.steps, steps, sizeof steps);
    link.failed = steps[0];
    /* At the end of the room, where the sanitizer watches. */
    memmove(answers + sizeof answers - (length + 3) / 4 * 4, answers, length);
    netlink_read(&link, answers + sizeof answers - (length + 3) / 4 * 4, length, wanted, &seen, &error);
    must(seen <= wanted && error >= 0);
    must(link.failed == steps[0] || link.failed == steps[1] || link.failed == steps[2]);
    return 0;
}
