#define _GNU_SOURCE
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "resolve.h"

/* The number of links that the kernel follows. */
#define MAX_LINKS 40

/* A way through the root that goes link by link. The part up to `done` is free of links when it is looked at; should
 * somebody put one there, resolve() still leads nowhere else than inside. */
struct way {
    int root, links;
    char done[PATH_MAX], rest[2 * PATH_MAX];
};

/* Takes the next part of the rest; 0 at its end. */
static int next_part(struct way *way, char *part)
{
    char *at = way->rest + strspn(way->rest, "/");
    size_t length = strcspn(at, "/");
    if (!length) return 0;
    if (length > NAME_MAX) return errno = ENAMETOOLONG, -1;
    memcpy(part, at, length);
    part[length] = 0;
    memmove(way->rest, at + length, strlen(at + length) + 1);
    return 1;
}

static void go_up(struct way *way)
{
    char *slash = strrchr(way->done, '/');
    if (slash) *slash = 0;
    else *way->done = 0;
}

static int go_down(struct way *way, const char *part)
{
    size_t length = strlen(way->done);
    int more = snprintf(way->done + length, sizeof way->done - length, "%s%s", length ? "/" : "", part);
    return (size_t)more < sizeof way->done - length ? 0 : (errno = ENAMETOOLONG, -1);
}

static int follow(struct way *way, const char *target, ssize_t length)
{
    static char rest[2 * PATH_MAX];
    if (++way->links > MAX_LINKS) return errno = ELOOP, -1;
    if ((size_t)snprintf(rest, sizeof rest, "%.*s/%s", (int)length, target, way->rest) >= sizeof rest)
        return errno = ENAMETOOLONG, -1;
    if (*target == '/') *way->done = 0;
    strcpy(way->rest, rest);
    return 0;
}

static int is_last(const struct way *way) { return !way->rest[strspn(way->rest, "/")]; }

/* Takes the step to `part`. `make` says how a missing part is made: 'd' as a folder, 'f' as a file if it is the last.
 * Returns 0, or -1 with errno. */
static int step(struct way *way, const char *part, char make)
{
    char target[PATH_MAX];
    if (!strcmp(part, ".")) return 0;
    if (!strcmp(part, "..")) return go_up(way), 0;
    int parent = resolve(way->root, way->done, O_PATH | O_DIRECTORY);
    if (parent < 0) return -1;
    ssize_t length = readlinkat(parent, part, target, sizeof target);
    int result = length < 0 && errno == ENOENT ? -1 : 0;
    if (result < 0 && make)
        result = make == 'f' && is_last(way) ? mknodat(parent, part, S_IFREG | 0644, 0) : mkdirat(parent, part, 0755);
    if (result < 0 && make && errno == EEXIST) result = 0;
    int error = errno;
    close(parent);
    if (result < 0) return errno = error, -1;
    if (length < 0) return go_down(way, part);
    return length == sizeof target ? (errno = ENAMETOOLONG, -1) : follow(way, target, length);
}

static int walk(struct way *way, int root, const char *path, char make)
{
    char part[NAME_MAX + 1];
    int more;
    way->root = root;
    way->links = 0;
    *way->done = 0;
    if ((size_t)snprintf(way->rest, sizeof way->rest, "%s", path) >= PATH_MAX) return errno = ENAMETOOLONG, -1;
    while ((more = next_part(way, part)) > 0)
        if (step(way, part, make) < 0) return -1;
    return more;
}

int place_make(int root, const char *path, int is_folder)
{
    static struct way way;
    int fd = resolve(root, path, O_PATH);
    if (fd >= 0 || errno != ENOENT) return fd;
    if (walk(&way, root, path, is_folder ? 'd' : 'f') < 0) return -1;
    return resolve(root, way.done, O_PATH | O_NOFOLLOW);
}

int place_dangles(int root, const char *path)
{
    static struct way way;
    return walk(&way, root, path, 0) < 0 && errno == ENOENT && way.links > 0;
}
