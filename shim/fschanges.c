/* What the upper folder of an overlay changes, in Docker's terms. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fsops.h"
#include "resolve.h"

enum { MODIFIED, ADDED, DELETED };

struct walk {
    int socket, count;
    const int *lower;
    struct buffer out;
};

static int is_whiteout(const struct stat *info) { return S_ISCHR(info->st_mode) && info->st_rdev == 0; }

/* The status of the layer's own object: a link on the way leads nowhere, least of all out of the layer. */
static int stat_plain(int lower, const char *path, struct stat *info)
{
    int fd = resolve_plain(lower, path);
    if (fd < 0) return -1;
    int result = fstat(fd, info);
    close(fd);
    return result;
}

/* Whether this lower folder hides all below it at `path`. */
static int is_opaque(int lower, const char *path)
{
    char value;
    int plain = resolve_plain(lower, path), fd = openat(plain, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (plain >= 0) close(plain);
    if (fd < 0) return 0;
    int opaque = (fgetxattr(fd, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y')
                 || (fgetxattr(fd, "user.overlay.opaque", &value, 1) == 1 && value == 'y');
    close(fd);
    return opaque;
}

/* 1 when something above in this layer hides `path` in the layers below: a whiteout, or anything but a folder. */
static int hides(int lower, const char *path)
{
    char above[PATH_MAX];
    struct stat info;
    snprintf(above, sizeof above, "%s", path);
    for (char *slash; (slash = strrchr(above, '/'));) {
        *slash = 0;
        if (stat_plain(lower, above, &info) < 0) continue;
        return !S_ISDIR(info.st_mode) || is_opaque(lower, above);
    }
    return 0;
}

/* What the layers below show at `path`. */
static int look_up(const struct walk *walk, const char *path, struct stat *info)
{
    for (int i = 0; i < walk->count; i++) {
        if (stat_plain(walk->lower[i], path, info) == 0) return is_whiteout(info) ? -1 : 0;
        if (hides(walk->lower[i], path)) return -1;
    }
    return -1;
}

static int emit(struct walk *walk, int kind, const char *path)
{
    char number[4];
    snprintf(number, sizeof number, "%d ", kind);
    buffer_text(&walk->out, number);
    buffer_append(&walk->out, "/", 1);
    buffer_append(&walk->out, path, strlen(path) + 1);
    if (walk->out.length < 1 << 15) return 0;
    int result = fsops_send(walk->socket, FRAME_STDOUT, buffer_head(&walk->out), walk->out.length);
    buffer_consume(&walk->out, walk->out.length);
    return result;
}

static int same_folder(const struct stat *a, const struct stat *b)
{
    return S_ISDIR(a->st_mode) && a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid
           && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* The names in a folder, sorted; NULL when it cannot be read. Closes the folder. */
static char **list(int folder, size_t *count)
{
    char **names = NULL;
    DIR *dir = fdopendir(folder);
    *count = 0;
    if (!dir) return close(folder), NULL;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (*count % 64 == 0) {
            char **more = realloc(names, (*count + 64) * sizeof *names);
            if (!more) break;
            names = more;
        }
        names[(*count)++] = xstrdup(entry->d_name);
    }
    closedir(dir);
    if (names) qsort(names, *count, sizeof *names, by_name);
    return names;
}

static int walk_folder(struct walk *walk, int folder, const char *path);

static int visit(struct walk *walk, int folder, const char *name, const char *path)
{
    struct stat now, before;
    if (fstatat(folder, name, &now, AT_SYMLINK_NOFOLLOW) < 0) return 0;
    int existed = look_up(walk, path, &before) == 0;
    if (is_whiteout(&now)) return existed ? emit(walk, DELETED, path) : 0;
    /* A folder that merely holds changes is one itself: Docker lists it so. */
    int touched = !existed || !same_folder(&now, &before) || S_ISDIR(now.st_mode);
    if (touched && emit(walk, existed ? MODIFIED : ADDED, path) < 0) return -1;
    if (!S_ISDIR(now.st_mode)) return 0;
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? 0 : walk_folder(walk, fd, path);
}

static int walk_folder(struct walk *walk, int folder, const char *path)
{
    size_t count;
    int result = 0, kept = fcntl(folder, F_DUPFD_CLOEXEC, 3);
    char **names = list(folder, &count);
    for (size_t i = 0; i < count; i++) {
        char child[PATH_MAX];
        int length = snprintf(child, sizeof child, "%s%s%s", path, *path ? "/" : "", names[i]);
        if (!result && length < (int)sizeof child) result = visit(walk, kept, names[i], child);
        free(names[i]);
    }
    free(names);
    close(kept);
    return result;
}

int fsops_changes(int socket, int upper, const int *lower, int count)
{
    struct walk walk = {.socket = socket, .lower = lower, .count = count};
    if (upper < 0) return fsops_fail(socket, errno, "the writable layer");
    if (fsops_send(socket, FRAME_OPENED, "", 0) < 0 || walk_folder(&walk, upper, "") < 0) return 1;
    if (walk.out.length && fsops_send(socket, FRAME_STDOUT, buffer_head(&walk.out), walk.out.length) < 0) return 1;
    struct buffer fields = {0};
    field_add(&fields, "code", "0");
    return fsops_send(socket, FRAME_STDOUT, "", 0) < 0 || fsops_send(socket, FRAME_EXIT, buffer_head(&fields), fields.length) < 0;
}
