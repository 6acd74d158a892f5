/* Names of a layer's entries: unpack/names.c, which ends the process with a line on stderr when it refuses one. */
#include <limits.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target.h"

static jmp_buf refused;
static FILE *quiet;
#define exit(status) longjmp(refused, (status) + 1)
#undef stderr
#define stderr quiet
#include "../unpack/names.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct unpacker unpacker = {.limits = {.max_depth = 64}};
    char *raw = strndup((const char *)data, size), out[PATH_MAX];
    if (!quiet) must((quiet = fopen("/dev/null", "w")));
    if (!setjmp(refused)) {
        clean_name(&unpacker, raw, "the name", out);
        must(strlen(out) < PATH_MAX && *out && *out != '/' && out[strlen(out) - 1] != '/');
        must(strcmp(out, "..") && strncmp(out, "../", 3) && !strstr(out, "/../") && !strstr(out, "//"));
    }
    free(raw);
    return 0;
}
