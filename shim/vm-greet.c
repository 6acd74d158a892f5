/* What the host tells a guest of itself. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vm.h"

#define ENTROPY_BYTES 64
#define FORK_ID_BYTES 16

int vm_read_fields(const char *path, struct fields *fields)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0) return -1;
    char *data = xmalloc((size_t)info.st_size + 1);
    ssize_t length = read(fd, data, (size_t)info.st_size);
    close(fd);
    if (length != info.st_size || (length && data[length - 1])) return errno = EINVAL, -1;
    *fields = (struct fields){data, (size_t)length};
    return 0;
}

static void add_random(struct buffer *fields, const char *key, int count)
{
    unsigned char bytes[ENTROPY_BYTES];
    char hex[2 * ENTROPY_BYTES + 1];
    if (getrandom(bytes, (size_t)count, 0) != count) return;
    for (int i = 0; i < count; i++) snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    field_add(fields, key, hex);
}

void greet_add_time(struct buffer *fields)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    field_add_number(fields, "time", now.tv_sec * 1000000000LL + now.tv_nsec);
}

void vm_resumed(void)
{
    struct buffer fields = {0};
    field_add(&fields, "op", "clock");
    greet_add_time(&fields);
    struct fields request_fields = {buffer_head(&fields), fields.length};
    link_relay(NULL, &request_fields, ANSWERS_ONCE);
    buffer_free(&fields);
}

static void tell_identity(const char *op, const struct fields *guest, const struct fields *asked)
{
    /* What a start says goes before what was written for any. */
    static const char *const own[] = {"hosts", "resolv.conf"};
    struct buffer fields = {0};
    field_add(&fields, "op", op);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        const char *text = fields_get(asked, own[i]);
        if (text) field_add(&fields, own[i], text);
    }
    taps_tell(asked, &fields);
    buffer_append(&fields, guest->data, guest->length);
    add_random(&fields, "entropy", ENTROPY_BYTES);
    add_random(&fields, "fork", FORK_ID_BYTES);
    greet_add_time(&fields);
    link_send(FRAME_OPEN, CHANNEL_LINK, buffer_head(&fields), fields.length);
    buffer_free(&fields);
}

void greet_anew(const struct fields *guest, const struct fields *asked) { tell_identity("fork", guest, asked); }

void greet_guest(const struct fields *guest, const struct fields *process, const struct fields *asked)
{
    struct buffer main_fields = {0};
    tell_identity("configure", guest, asked);
    if (!process) field_add(&main_fields, "op", "hold");
    else {
        field_add(&main_fields, "op", "start");
        buffer_append(&main_fields, process->data, process->length);
        field_add_number(&main_fields, "rows", fields_number(asked, "rows", 0));
        field_add_number(&main_fields, "columns", fields_number(asked, "columns", 0));
    }
    link_send(FRAME_OPEN, CHANNEL_MAIN, buffer_head(&main_fields), main_fields.length);
    buffer_free(&main_fields);
}

void greet_ahead(void)
{
    struct buffer fields = {0};
    field_add(&fields, "op", "prepare");
    add_random(&fields, "entropy", ENTROPY_BYTES);
    greet_add_time(&fields);
    link_send(FRAME_OPEN, CHANNEL_LINK, buffer_head(&fields), fields.length);
    buffer_free(&fields);
}
