#define _GNU_SOURCE
#include "accounts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSWD_COLUMNS 6
#define GROUP_COLUMNS 3

struct reader {
    int fd;
    off_t at;
    size_t next, filled;
    char bytes[16384];
};

typedef char column[PATH_MAX];

static int next_byte(struct reader *reader)
{
    if (reader->next == reader->filled) {
        if (reader->fd < 0 || reader->at >= MOST_ACCOUNT_BYTES) return EOF;
        ssize_t got = pread(reader->fd, reader->bytes, sizeof reader->bytes, reader->at);
        if (got <= 0) return EOF;
        reader->at += got;
        reader->next = 0;
        reader->filled = (size_t)got;
    }
    return (unsigned char)reader->bytes[reader->next++];
}

/* The text up to a colon, a comma where there is a list, or the line's end, without spaces around it; "" for what cannot be a
 * name, number or path. Returns what ended it. */
static int next_text(struct reader *reader, char *text, int in_list)
{
    size_t length = 0;
    int byte, fits = 1;
    while ((byte = next_byte(reader)) != EOF && byte != '\n' && byte != ':' && !(in_list && byte == ',')) {
        if (!length && isspace(byte)) continue;
        fits = fits && byte && length < sizeof(column) - 1;
        if (fits) text[length++] = (char)byte;
    }
    /* A text that the limit cuts off is none. */
    if (!fits || (byte == EOF && reader->at >= MOST_ACCOUNT_BYTES)) length = 0;
    while (length && isspace((unsigned char)text[length - 1])) length--;
    text[length] = 0;
    return byte;
}

/* Reads a line's first columns; those that it does not have are empty. Returns what ended the last one. */
static int next_columns(struct reader *reader, column *columns, int most)
{
    int end = ':';
    for (int i = 0; i < most; i++)
        if (end == ':') end = next_text(reader, columns[i], 0);
        else *columns[i] = 0;
    return end;
}

static int skip_line(struct reader *reader, int end)
{
    while (end != '\n' && end != EOF) end = next_byte(reader);
    return end;
}

static int is_number(const char *text) { return *text && !text[strspn(text, "0123456789")]; }

static int parse_id(const char *text, unsigned *id)
{
    errno = 0;
    unsigned long long value = is_number(text) ? strtoull(text, NULL, 10) : ULLONG_MAX;
    if (value > 0xfffffffe) return -1;
    *id = (unsigned)value;
    return 0;
}

static int unknown(struct identity *identity, const char *kind, const char *name, const char *file)
{
    char *problem = identity->problem;
    size_t size = sizeof identity->problem;
    if (is_number(name)) snprintf(problem, size, "%s id %.100s is out of range", kind, name);
    else snprintf(problem, size, "unable to find %s %.100s: no matching entries in %s file", kind, name, file);
    return -1;
}

/* Fills in what passwd knows of a name or number, its name included; "" for a number that is in no line. */
static int find_user(struct identity *identity, int passwd, const char *user, column name)
{
    struct reader reader = {.fd = passwd};
    column columns[PASSWD_COLUMNS];
    unsigned wanted, uid, gid;
    int by_number = parse_id(user, &wanted) == 0, end;
    do {
        end = skip_line(&reader, next_columns(&reader, columns, PASSWD_COLUMNS));
        if (parse_id(columns[2], &uid) < 0 || parse_id(columns[3], &gid) < 0) continue;
        if (!*columns[0] || (strcmp(columns[0], user) && !(by_number && uid == wanted))) continue;
        identity->uid = uid;
        identity->gid = gid;
        strcpy(name, columns[0]);
        if (*columns[5]) strcpy(identity->home, columns[5]);
        return 0;
    } while (end != EOF);
    if (!by_number) return unknown(identity, "user", user, "passwd");
    identity->uid = wanted;
    *name = 0;
    return 0;
}

static int find_group(struct identity *identity, int group, const char *wanted, gid_t *gid)
{
    struct reader reader = {.fd = group};
    column columns[GROUP_COLUMNS];
    int end;
    do {
        end = skip_line(&reader, next_columns(&reader, columns, GROUP_COLUMNS));
        if (!strcmp(columns[0], wanted) && parse_id(columns[2], gid) == 0) return 0;
    } while (end != EOF);
    return parse_id(wanted, gid) == 0 ? 0 : unknown(identity, "group", wanted, "group");
}

static int add_group(struct identity *identity, gid_t gid)
{
    for (int i = 0; i < identity->group_count; i++)
        if (identity->groups[i] == gid) return 0;
    if (identity->group_count < MAX_GROUPS) return identity->groups[identity->group_count++] = gid, 0;
    snprintf(identity->problem, sizeof identity->problem, "user %u is in more than %d groups", identity->uid, MAX_GROUPS);
    return -1;
}

/* The groups that list the user as a member. */
static int add_memberships(struct identity *identity, int group, const char *name)
{
    struct reader reader = {.fd = group};
    column columns[GROUP_COLUMNS], member;
    gid_t gid;
    int end;
    do {
        int is_member = 0;
        end = next_columns(&reader, columns, GROUP_COLUMNS);
        while (end == ':' || end == ',') {
            end = next_text(&reader, member, 1);
            is_member |= !strcmp(member, name);
        }
        if (is_member && *columns[0] && parse_id(columns[2], &gid) == 0 && add_group(identity, gid) < 0) return -1;
    } while (end != EOF);
    return 0;
}

/* `user` without the group, which the process then has in place of the account's own ones. */
static int resolve_user(struct identity *identity, int passwd, int group, const char *user, const char *of)
{
    column name;
    if (find_user(identity, passwd, *user ? user : "0", name) < 0) return -1;
    int given = of && *of;
    if (given && find_group(identity, group, of, &identity->gid) < 0) return -1;
    if (add_group(identity, identity->gid) < 0) return -1;
    return given || !*name ? 0 : add_memberships(identity, group, name);
}

int accounts_resolve(struct identity *identity, int passwd, int group, const struct fields *process)
{
    const char *given = fields_get(process, "user");
    char *user = xstrdup(given ? given : ""), *of = strchr(user, ':');
    size_t cursor = 0;
    gid_t gid;
    if (of) *of++ = 0;
    *identity = (struct identity){.home = "/"};
    int result = resolve_user(identity, passwd, group, user, of);
    free(user);
    for (const char *name; result == 0 && (name = fields_next(process, "group", &cursor));)
        result = find_group(identity, group, name, &gid) < 0 ? -1 : add_group(identity, gid);
    return result;
}
