#define _GNU_SOURCE
#include "tar-entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"
#include "tar-format.h"

#define MAX_EXTENSIONS 64
#define MAX_SIZE (1LL << 60)
#define MAX_ID 0xfffffffeLL

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

/* The extensions in front of an entry: which numbers they gave, as these overrule the entry's own header, and how much of
 * them there was. */
struct extensions {
    int size, uid, gid, mtime, count;
    unsigned long long bytes;
};

/* A decimal number of at most 18 digits, and nothing behind it but what `end` may begin with. */
static int decimal(const char *value, const char *end, long long *number)
{
    int negative = *value == '-';
    size_t digits = strspn(value += negative, "0123456789");
    if (!digits || digits > 18 || (value[digits] && !strchr(end, value[digits]))) return -1;
    *number = strtoll(value, NULL, 10) * (negative ? -1 : 1);
    return 0;
}

static int pax_number(const char *value, long long *number, int *given)
{
    *given = 1;
    return decimal(value, "", number);
}

/* Seconds with a fraction: as -1.25 is a quarter of a second before -1, its parts are -2 and 0.75. */
static int pax_time(struct timespec *time, const char *value, int *given)
{
    long long seconds;
    long scale = 100000000, nanoseconds = 0;
    if (decimal(value, ".", &seconds) < 0) return -1;
    const char *digit = strchr(value, '.');
    for (digit = digit ? digit + 1 : ""; *digit >= '0' && *digit <= '9'; digit++, scale /= 10)
        nanoseconds += (*digit - '0') * scale;
    if (*value == '-' && nanoseconds) seconds--, nanoseconds = 1000000000 - nanoseconds;
    *time = (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = nanoseconds};
    *given = 1;
    return 0;
}

static int pax_record(struct tar_entry *entry, struct extensions *given, const char *key, const char *value, size_t length)
{
    int is_text = strlen(value) == length;
    if (!strncmp(key, "SCHILY.xattr.", 13)) return add_xattr(entry, key + 13, value, length), 0;
    if (!strcmp(key, "path")) return replace(&entry->path, value), is_text - 1;
    if (!strcmp(key, "linkpath")) return replace(&entry->link, value), is_text - 1;
    if (!strcmp(key, "size")) return pax_number(value, &entry->size, &given->size);
    if (!strcmp(key, "uid")) return pax_number(value, &entry->uid, &given->uid);
    if (!strcmp(key, "gid")) return pax_number(value, &entry->gid, &given->gid);
    if (!strcmp(key, "mtime")) return pax_time(&entry->mtime, value, &given->mtime);
    return 0;
}

/* The end of the record that begins here, by its length, which counts itself, the line feed at the end and everything
 * between. NULL when the length is wrong. */
static char *record_end(char *record, const char *limit)
{
    size_t length = 0, digits = 0, most = (size_t)(limit - record);
    while (digits < most && digits < 8 && record[digits] >= '0' && record[digits] <= '9')
        length = length * 10 + (size_t)(record[digits++] - '0');
    if (!digits || length > most || length < digits + 2) return NULL;
    return record[digits] == ' ' && record[length - 1] == '\n' ? record + length : NULL;
}

static int read_pax(struct tar_stream *stream, struct tar_entry *entry, struct extensions *given, unsigned long long size)
{
    char *text = read_extension(stream, size), *end = NULL;
    if (!text) return -1;
    for (char *record = text; record < text + size; record = end) {
        end = record_end(record, text + size);
        char *key = end ? memchr(record, ' ', (size_t)(end - record)) : NULL;
        char *equals = key ? memchr(key, '=', (size_t)(end - key)) : NULL;
        if (!equals) return free(text), bad(stream, "a pax record is malformed");
        *equals = 0;
        end[-1] = 0;
        if (pax_record(entry, given, key + 1, equals + 1, (size_t)(end - 1 - (equals + 1))) < 0)
            return free(text), bad(stream, "a pax record has a value that cannot be");
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

static int fill(struct tar_stream *stream, struct tar_entry *entry, const struct tar_header *header,
                const struct extensions *given)
{
    if (!entry->path) entry->path = joined_name(header);
    if (!entry->link) entry->link = bounded(header->link, sizeof header->link);
    if (!given->size) entry->size = tar_number(header->size, sizeof header->size);
    if (!given->uid) entry->uid = tar_number(header->uid, sizeof header->uid);
    if (!given->gid) entry->gid = tar_number(header->gid, sizeof header->gid);
    if (!given->mtime) entry->mtime.tv_sec = (time_t)tar_number(header->mtime, sizeof header->mtime);
    entry->mode = (mode_t)tar_number(header->mode, sizeof header->mode) & 07777;
    entry->major = (unsigned)tar_number(header->major, sizeof header->major);
    entry->minor = (unsigned)tar_number(header->minor, sizeof header->minor);
    entry->type = header->type == 0 || header->type == '7' ? '0' : header->type;
    size_t length = strlen(entry->path);
    if (entry->type == '0' && length && entry->path[length - 1] == '/') entry->type = '5';
    if (entry->type != '0') entry->size = 0;
    if (entry->size < 0 || entry->size > MAX_SIZE) return bad(stream, "a size cannot be");
    if (entry->uid < 0 || entry->uid > MAX_ID || entry->gid < 0 || entry->gid > MAX_ID)
        return bad(stream, "an owner's number cannot be");
    return strchr("0123456", entry->type) ? 1 : bad(stream, "an entry has a type that is not supported");
}

static int is_empty(const struct tar_header *header)
{
    for (size_t i = 0; i < sizeof *header; i++)
        if (((const char *)header)[i]) return 0;
    return 1;
}

static int read_global(struct tar_stream *stream, unsigned long long size)
{
    struct tar_entry ignored = {0};
    struct extensions none = {0};
    int result = read_pax(stream, &ignored, &none, size);
    tar_entry_free(&ignored);
    return result;
}

static int read_described(struct tar_stream *stream, struct tar_entry *entry, struct extensions *given, char type,
                          unsigned long long size)
{
    given->bytes += size;
    if (++given->count > MAX_EXTENSIONS || given->bytes > MAX_EXTENSION)
        return bad(stream, "an entry has too many extension headers");
    switch (type) {
    case 'x': return read_pax(stream, entry, given, size);
    case 'L': return read_long(stream, &entry->path, size);
    default: return read_long(stream, &entry->link, size);
    }
}

/* One header: 1 the entry is complete, 2 an extension was taken in, 0 end, -1. */
static int step(struct tar_stream *stream, struct tar_entry *entry, struct extensions *given)
{
    struct tar_header header;
    errno = 0;
    if (stream->read(stream->context, &header, sizeof header) < 0) {
        if (errno || given->count) return bad(stream, "it ends too early");
        return 0;
    }
    if (is_empty(&header)) return given->count ? bad(stream, "it ends after an extension header") : 0;
    if (!tar_header_valid(&header)) return bad(stream, "a header's checksum is wrong");
    long long size = tar_number(header.size, sizeof header.size);
    if (size < 0) return bad(stream, "a size is negative");
    if (header.type == 'g') return read_global(stream, (unsigned long long)size) < 0 ? -1 : 2;
    if (!header.type || !strchr("xLK", header.type)) return fill(stream, entry, &header, given);
    return read_described(stream, entry, given, header.type, (unsigned long long)size) < 0 ? -1 : 2;
}

int tar_next(struct tar_stream *stream, struct tar_entry *entry)
{
    struct extensions given = {0};
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
