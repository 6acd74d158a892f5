#define _GNU_SOURCE
#include "tar-format.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

void pax_add(struct buffer *pax, const char *key, const void *value, size_t length)
{
    size_t body = strlen(key) + length + 3, total = body;
    char digits[24];
    /* The length counts its own digits. */
    for (int more = 1; more;) {
        size_t next = body + (size_t)snprintf(digits, sizeof digits, "%zu", total);
        more = next != total;
        total = next;
    }
    snprintf(digits, sizeof digits, "%zu ", total);
    buffer_text(pax, digits);
    buffer_text(pax, key);
    buffer_append(pax, "=", 1);
    buffer_append(pax, value, length);
    buffer_append(pax, "\n", 1);
}

static void number(struct buffer *pax, const char *key, char *field, size_t size, unsigned long long value)
{
    char text[32];
    if (value < 1ULL << 3 * (size - 1)) {
        snprintf(text, sizeof text, "%0*llo", (int)size - 1, value);
        memcpy(field, text, size);
        return;
    }
    memset(field, '0', size - 1);
    snprintf(text, sizeof text, "%llu", value);
    if (key) pax_add(pax, key, text, strlen(text));
}

static void put_time(struct tar_header *header, struct buffer *pax, long long seconds)
{
    char text[32];
    number(pax, "mtime", header->mtime, sizeof header->mtime, seconds < 0 ? 0 : (unsigned long long)seconds);
    if (seconds >= 0) return;
    /* A time before 1970 has no octal form. */
    snprintf(text, sizeof text, "%lld", seconds);
    pax_add(pax, "mtime", text, strlen(text));
}

/* A name of up to 100 bytes, or one that can be cut at a slash into 155 and 100; else in the pax header. */
static void put_name(struct tar_header *header, struct buffer *pax, const char *name)
{
    size_t length = strlen(name);
    if (length <= sizeof header->name) {
        memcpy(header->name, name, length);
        return;
    }
    const char *cut = length > sizeof header->name + 1 ? name + length - sizeof header->name - 1 : name;
    cut = strchr(cut, '/');
    if (cut && cut > name && cut[1] && (size_t)(cut - name) <= sizeof header->prefix) {
        memcpy(header->prefix, name, (size_t)(cut - name));
        memcpy(header->name, cut + 1, strlen(cut + 1));
        return;
    }
    memcpy(header->name, name, sizeof header->name);
    pax_add(pax, "path", name, length);
}

static unsigned checksum(const struct tar_header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    unsigned sum = 0;
    size_t from = offsetof(struct tar_header, checksum), to = from + sizeof header->checksum;
    for (size_t i = 0; i < sizeof *header; i++) sum += i >= from && i < to ? ' ' : bytes[i];
    return sum;
}

void tar_header_fill(struct tar_header *header, struct buffer *pax, const char *name, const char *link, char type,
                     const struct stat *info, unsigned long long size)
{
    memset(header, 0, sizeof *header);
    put_name(header, pax, name);
    size_t link_length = strlen(link);
    memcpy(header->link, link, link_length < sizeof header->link ? link_length : sizeof header->link);
    if (link_length > sizeof header->link) pax_add(pax, "linkpath", link, link_length);
    number(pax, NULL, header->mode, sizeof header->mode, info->st_mode & 07777);
    number(pax, "uid", header->uid, sizeof header->uid, info->st_uid);
    number(pax, "gid", header->gid, sizeof header->gid, info->st_gid);
    number(pax, "size", header->size, sizeof header->size, size);
    put_time(header, pax, info->st_mtime);
    header->type = type;
    memcpy(header->magic, "ustar", 6);
    memcpy(header->version, "00", 2);
    if (type == '3' || type == '4') {
        number(pax, NULL, header->major, sizeof header->major, major(info->st_rdev));
        number(pax, NULL, header->minor, sizeof header->minor, minor(info->st_rdev));
    }
    snprintf(header->checksum, sizeof header->checksum, "%06o", checksum(header));
    header->checksum[7] = ' ';
}

long long tar_number(const char *field, size_t size)
{
    long long value = 0;
    if (field[0] & (char)0x80) {
        value = field[0] & 0x40 ? -1 : field[0] & 0x3f;
        for (size_t i = 1; i < size; i++) {
            if (value > LLONG_MAX / 256 || value < LLONG_MIN / 256) return LLONG_MIN;
            value = value * 256 + (unsigned char)field[i];
        }
        return value;
    }
    size_t i = 0;
    while (i < size && field[i] == ' ') i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) value = value * 8 + (field[i] - '0');
    return value;
}

int tar_header_valid(const struct tar_header *header)
{
    return tar_number(header->checksum, sizeof header->checksum) == (long long)checksum(header);
}
