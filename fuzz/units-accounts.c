/* Unit tests of the user and group files of a workload. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../shim/accounts.h"
#include "units.h"

static int account_file(const char *name, const char *text, size_t fillers)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    FILE *file = fdopen(dup(fd), "w");
    for (size_t i = 0; i < fillers; i++) fprintf(file, "filler%zu:x:%zu:%zu\n", i, 100000 + i, i);
    fputs(text, file);
    fclose(file);
    return fd;
}

/* Whether that user with that further group is who is said here: "UID GID GROUPS HOME", or the problem. */
static int is_who(const int files[2], const char *user, const char *more, const char *expected)
{
    static struct identity identity;
    struct buffer request = {0};
    char told[512];
    field_add(&request, "user", user);
    if (more) field_add(&request, "group", more);
    struct fields fields = {buffer_head(&request), request.length};
    int length = 0, result = accounts_resolve(&identity, files[0], files[1], &fields);
    if (result < 0) snprintf(told, sizeof told, "%s", identity.problem);
    else {
        length = snprintf(told, sizeof told, "%u %u", identity.uid, identity.gid);
        for (int i = 0; i < identity.group_count; i++)
            length += snprintf(told + length, sizeof told - (size_t)length, "%c%u", i ? ',' : ' ', identity.groups[i]);
        snprintf(told + length, sizeof told - (size_t)length, " %s", identity.home);
    }
    buffer_free(&request);
    if (!strcmp(told, expected)) return 1;
    printf("# %s\n", told);
    return 0;
}

void users_are_found_by_docker_rules(void)
{
    const int none[2] = {-1, -1};
    const int files[2] = {account_file("passwd", "root:x:0:0::/root:\nada:x:7:8::/home/ada:\nbad:line\n", 0),
                          account_file("group", "wheel:x:10:root, ada\r\n\nbad\nlast:x:11:eve,ada", 0)};
    expect(is_who(files, "", NULL, "0 0 0,10 /root"));
    expect(is_who(files, "ada", "99", "7 8 8,10,11,99 /home/ada"));
    expect(is_who(files, "7:wheel", "last", "7 10 10,11 /home/ada"));
    expect(is_who(files, "1234", NULL, "1234 0 0 /") && is_who(none, "", NULL, "0 0 0 /"));
    expect(is_who(none, "ada", NULL, "unable to find user ada: no matching entries in passwd file"));
    expect(is_who(files, "bad", NULL, "unable to find user bad: no matching entries in passwd file"));
    expect(is_who(files, "ada:no", NULL, "unable to find group no: no matching entries in group file"));
    expect(is_who(files, "ada", "no", "unable to find group no: no matching entries in group file"));
    expect(is_who(files, "99999999999", NULL, "user id 99999999999 is out of range"));
    close(files[0]);
    close(files[1]);
}

void account_files_may_be_large_within_a_limit(void)
{
    static char line[3 << 20];
    for (size_t i = 0; i < sizeof line - 16; i += 4) memcpy(line + i, "abc,", 5);
    memcpy(line, "all:x:5:", 8);
    strcat(line, "far");
    const int files[2] = {account_file("passwd", "far:x:7:8::/far:\n", 100000), account_file("group", line, 100000)};
    expect(is_who(files, "far", "filler99999", "7 8 8,5,199999 /far"));
    /* The limit ends inside of this line's number. */
    expect(ftruncate(files[0], MOST_ACCOUNT_BYTES - 10) == 0 && lseek(files[0], 0, SEEK_END) > 0);
    expect(write(files[0], "\nlate:x:12345:1::/\nlater:x:7:8::/\n", 34) > 0);
    expect(is_who(files, "late", NULL, "unable to find user late: no matching entries in passwd file"));
    expect(is_who(files, "later", NULL, "unable to find user later: no matching entries in passwd file"));
    close(files[0]);
    close(files[1]);
}
