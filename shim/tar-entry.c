#define _GNU_SOURCE
#include "tar-entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "tar-format.h"

/* Names, links and attributes are small; an archive that says otherwise is not one. */
#define MAX_EXTENSION (1 << 20)

static int bad(struct tar_stream *stream, const char *what)
{
    snprintf(stream->problem, sizeof stream->problem, "not a valid tar archive: %s", what);
    return errno = EINVAL, -1;
}

static char *bounded(const char *field, size_t size)
{
    char *text = xmalloc(size + 1);
    memcpy(text, field, size);
    return text;
}

static char *joined_name(const struct tar_header *header)
{
    char text[sizeof header->prefix + sizeof header->name + 2];
    int has_prefix = !memcmp(header->magic, "ustar", 5) && header->magic[5] == 0 && *header->prefix;
    snprintf(text, sizeof text, "%.155s%s%.100s", has_prefix ? header->prefix : "", has_prefix ? "/" : "", header->name);
    return xstrdup(text);
}

/* The content of an extension entry, NUL-terminated. */
static char *read_extension(struct tar_stream *stream, unsigned long long size)
{
    if (size > MAX_EXTENSION) return bad(stream, "an extension header is too large"), NULL;
    size_t padded = (size_t)((size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK);
    char *text = xmalloc(padded + 1);
    if (padded && stream->read(stream->context, text, padded) < 0) {
        free(text);
        return bad(stream, "it ends too early"), NULL;
    }
    text[size] = 0;
    return text;
}

static void replace(char **field, const char *value)
{
    free(*field);
    *field = xstrdup(value);
}

static void add_xattr(struct tar_entry *entry, const char *name, const char *value, size_t length)
{
    struct tar_xattr *xattr = xmalloc(sizeof *xattr);
    *xattr = (struct tar_xattr){entry->xattrs, xstrdup(name), bounded(value, length), length};
    entry->xattrs = xattr;
}

/* Which numbers the pax header gave, as they overrule the entry's own header that follows. */
struct overrides {
    int size, uid, gid, mtime;
};

static void pax_time(struct timespec *time, const char *value)
{
    char *end;
    time->tv_sec = strtoll(value, &end, 10);
    time->tv_nsec = 0;
    long scale = 100000000;
    if (*end == '.')
        for (end++; *end >= '0' && *end <= '9'; end++, scale /= 10) time->tv_nsec += (*end - '0') * scale;
}

static void pax_record(struct tar_entry *entry, struct overrides *given, const char *key, const char *value, size_t length)
{
    if (!strcmp(key, "path")) replace(&entry->path, value);
    else if (!strcmp(key, "linkpath")) replace(&entry->link, value);
    else if (!strcmp(key, "size")) entry->size = strtoull(value, NULL, 10), given->size = 1;
    else if (!strcmp(key, "uid")) entry->uid = strtoll(value, NULL, 10), given->uid = 1;
    else if (!strcmp(key, "gid")) entry->gid = strtoll(value, NULL, 10), given->gid = 1;
    else if (!strcmp(key, "mtime")) pax_time(&entry->mtime, value), given->mtime = 1;
    else if (!strncmp(key, "SCHILY.xattr.", 13)) add_xattr(entry, key + 13, value, length);
}

static int read_pax(struct tar_stream *stream, struct tar_entry *entry, struct overrides *given, unsigned long long size)
{
    char *text = read_extension(stream, size), *record = text;
    if (!text) return -1;
    while (record < text + size) {
        char *body, *end;
        unsigned long length = strtoul(record, &body, 10);
        end = record + length;
        char *equals = *body == ' ' && length && length <= (size_t)(text + size - record) ? memchr(body, '=', (size_t)(end - body)) : NULL;
        if (!equals || end[-1] != '\n') return free(text), bad(stream, "a pax record is malformed");
        *equals = 0;
        end[-1] = 0;
        pax_record(entry, given, body + 1, equals + 1, (size_t)(end - 1 - (equals + 1)));
        record = end;
    }
    free(text);
    return 0;
}

static int read_long(struct tar_stream *stream, char **field, unsigned long long size)
{
    char *text = read_extension(stream, size);
    if (!text) return -1;
    replace(field, text);
    free(text);
    return 0;
}

static void fill(struct tar_entry *entry, const struct tar_header *header, const struct overrides *given)
{
    if (!entry->path) entry->path = joined_name(header);
    if (!entry->link) entry->link = bounded(header->link, sizeof header->link);
    if (!given->size) entry->size = (unsigned long long)tar_number(header->size, sizeof header->size);
    if (!given->uid) entry->uid = tar_number(header->uid, sizeof header->uid);
    if (!given->gid) entry->gid = tar_number(header->gid, sizeof header->gid);
    if (!given->mtime) entry->mtime.tv_sec = tar_number(header->mtime, sizeof header->mtime);
    entry->mode = (mode_t)tar_number(header->mode, sizeof header->mode) & 07777;
    entry->major = (unsigned)tar_number(header->major, sizeof header->major);
    entry->minor = (unsigned)tar_number(header->minor, sizeof header->minor);
    entry->type = header->type == 0 || header->type == '7' ? '0' : header->type;
    size_t length = strlen(entry->path);
    if (entry->type == '0' && length && entry->path[length - 1] == '/') entry->type = '5';
    if (entry->type != '0') entry->size = 0;
}

static int is_empty(const struct tar_header *header)
{
    for (size_t i = 0; i < sizeof *header; i++)
        if (((const char *)header)[i]) return 0;
    return 1;
}

/* One header: 1 the entry is complete, 2 an extension was taken in, 0 end, -1. */
static int step(struct tar_stream *stream, struct tar_entry *entry, struct overrides *given)
{
    struct tar_header header;
    errno = 0;
    if (stream->read(stream->context, &header, sizeof header) < 0) return errno ? bad(stream, "it ends too early") : 0;
    if (is_empty(&header)) return 0;
    if (!tar_header_valid(&header)) return bad(stream, "a header's checksum is wrong");
    long long size = tar_number(header.size, sizeof header.size);
    if (size < 0) return bad(stream, "a size is negative");
    switch (header.type) {
    case 'x': return read_pax(stream, entry, given, (unsigned long long)size) < 0 ? -1 : 2;
    case 'g': {
        struct tar_entry ignored = {0};
        struct overrides none = {0};
        int result = read_pax(stream, &ignored, &none, (unsigned long long)size);
        tar_entry_free(&ignored);
        return result < 0 ? -1 : 2;
    }
    case 'L': return read_long(stream, &entry->path, (unsigned long long)size) < 0 ? -1 : 2;
    case 'K': return read_long(stream, &entry->link, (unsigned long long)size) < 0 ? -1 : 2;
    default: break;
    }
    fill(entry, &header, given);
    return strchr("0123456", entry->type) ? 1 : bad(stream, "an entry has a type that is not supported");
}

int tar_next(struct tar_stream *stream, struct tar_entry *entry)
{
    struct overrides given = {0};
    int state;
    memset(entry, 0, sizeof *entry);
    do state = step(stream, entry, &given);
    while (state == 2);
    if (state < 1) tar_entry_free(entry);
    return state;
}

void tar_entry_free(struct tar_entry *entry)
{
    free(entry->path);
    free(entry->link);
    while (entry->xattrs) {
        struct tar_xattr *xattr = entry->xattrs;
        entry->xattrs = xattr->next;
        free(xattr->name);
        free(xattr->value);
        free(xattr);
    }
    memset(entry, 0, sizeof *entry);
}

int tar_path_escapes(const char *path)
{
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += strspn(part, "/");
        if (!strncmp(part, "..", 2) && (part[2] == 0 || part[2] == '/')) return 1;
    }
    return 0;
}
