/* User and group files of a workload: shim/accounts.c. The input is both files, and names the user and a group first. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../shim/accounts.h"
#include "target.h"

static struct identity identity;

static void field(struct buffer *fields, const char *key, const uint8_t **data, size_t *size)
{
    const uint8_t *end = memchr(*data, '\n', *size);
    size_t length = end ? (size_t)(end - *data) : *size;
    char *text = strndup((const char *)*data, length);
    field_add(fields, key, text);
    free(text);
    *data += length + (end != NULL);
    *size -= length + (end != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer request = {0};
    int file = memfd_create("accounts", MFD_CLOEXEC);
    field(&request, "user", &data, &size);
    field(&request, "group", &data, &size);
    must(file >= 0 && write(file, data, size) == (ssize_t)size);
    struct fields fields = {buffer_head(&request), request.length};
    int result = accounts_resolve(&identity, file, file, &fields);
    must(result == 0 ? !*identity.problem : *identity.problem != 0);
    must(memchr(identity.home, 0, sizeof identity.home) && memchr(identity.problem, 0, sizeof identity.problem));
    must(identity.group_count >= 0 && identity.group_count <= MAX_GROUPS);
    if (result == 0) {
        must(identity.group_count > 0 && identity.groups[0] == identity.gid && *identity.home);
        must(identity.uid != (uid_t)-1 && identity.gid != (gid_t)-1);
    }
    close(file);
    buffer_free(&request);
    return 0;
}
