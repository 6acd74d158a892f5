#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "resolve.h"
#include "tar-entry.h"
#include "tar-format.h"

#define DEEPEST 1024

/* Folders get their times last: filling them changes these. */
struct folder {
    char *path;
    struct timespec mtime;
    struct folder *next;
};

struct unpacker {
    struct tar_stream *stream;
    const struct tar_extract *options;
    struct folder *folders;
};

static int failed(struct unpacker *unpacker, const char *name)
{
    int error = errno;
    snprintf(unpacker->stream->problem, sizeof unpacker->stream->problem, "%.400s: %s", name, strerror(error));
    return errno = error, -1;
}

static int refused(struct unpacker *unpacker, const char *what, const char *name)
{
    snprintf(unpacker->stream->problem, sizeof unpacker->stream->problem, "\"%.300s\" %s", name, what);
    return errno = EINVAL, -1;
}

/* Removes a name with all below it, following no link. */
static int remove_all(int parent, const char *name, int depth)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
    if (errno != EISDIR && errno != EPERM) return -1;
    int fd = depth > DEEPEST ? (errno = ELOOP, -1) : openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) return -1;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) remove_all(fd, entry->d_name, depth + 1);
    closedir(dir);
    return unlinkat(parent, name, AT_REMOVEDIR);
}

/* Makes the way free for an entry. 1: a folder is there and stays. */
static int make_way(struct unpacker *unpacker, int parent, const char *name, const struct tar_entry *entry)
{
    struct stat info;
    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 0 : -1;
    int is_folder = S_ISDIR(info.st_mode), wants_folder = entry->type == '5';
    if (is_folder && wants_folder) return 1;
    if (unpacker->options->keep_dirs && is_folder)
        return refused(unpacker, "is a directory: cannot overwrite it with a non-directory", entry->path);
    if (unpacker->options->keep_dirs && wants_folder)
        return refused(unpacker, "is no directory: cannot overwrite it with a directory", entry->path);
    return remove_all(parent, name, 0);
}

static int write_content(struct unpacker *unpacker, int fd, unsigned long long size)
{
    static char chunk[1 << 16];
    unsigned long long left = size;
    while (left) {
        size_t part = left < sizeof chunk ? (size_t)left : sizeof chunk;
        if (unpacker->stream->read(unpacker->stream->context, chunk, part) < 0) return -1;
        for (size_t done = 0; done < part;) {
            ssize_t written = write(fd, chunk + done, part - done);
            if (written < 0) return -1;
            done += (size_t)written;
        }
        left -= part;
    }
    size_t rest = (size_t)(size % TAR_BLOCK);
    return rest ? unpacker->stream->read(unpacker->stream->context, chunk, TAR_BLOCK - rest) : 0;
}

static void owner(const struct unpacker *unpacker, const struct tar_entry *entry, uid_t *uid, gid_t *gid)
{
    *uid = (uid_t)(unpacker->options->uid >= 0 ? unpacker->options->uid : entry->uid);
    *gid = (gid_t)(unpacker->options->gid >= 0 ? unpacker->options->gid : entry->gid);
}

static int make_file(struct unpacker *unpacker, int parent, const char *name, const struct tar_entry *entry)
{
    uid_t uid;
    gid_t gid;
    struct timespec times[2] = {entry->mtime, entry->mtime};
    int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return -1;
    owner(unpacker, entry, &uid, &gid);
    int result = write_content(unpacker, fd, entry->size);
    if (!result && fchown(fd, uid, gid) < 0) result = -1;
    if (!result && fchmod(fd, entry->mode) < 0) result = -1;
    for (struct tar_xattr *xattr = entry->xattrs; !result && xattr; xattr = xattr->next)
        fsetxattr(fd, xattr->name, xattr->value, xattr->length, 0);
    if (!result) futimens(fd, times);
    int error = errno;
    close(fd);
    return errno = error, result;
}

static int make_link(struct unpacker *unpacker, int parent, const char *name, const struct tar_entry *entry)
{
    char target[PATH_MAX];
    if (tar_path_escapes(entry->link)) return refused(unpacker, "as a hard link's target leads out of the archive", entry->link);
    snprintf(target, sizeof target, "%s/%s", unpacker->options->destination, entry->link);
    int from = resolve_parent(unpacker->options->root, target);
    if (from < 0) return -1;
    int result = linkat(from, path_base(entry->link), parent, name, 0), error = errno;
    close(from);
    return errno = error, result;
}

static int make_node(struct unpacker *unpacker, int parent, const char *name, const struct tar_entry *entry)
{
    mode_t kind = entry->type == '3' ? S_IFCHR : entry->type == '4' ? S_IFBLK : S_IFIFO;
    switch (entry->type) {
    case '1': return make_link(unpacker, parent, name, entry);
    case '2': return symlinkat(entry->link, parent, name);
    case '3':
    case '4':
    case '6': return mknodat(parent, name, kind | entry->mode, makedev(entry->major, entry->minor));
    case '5': return mkdirat(parent, name, 0700);
    default: return make_file(unpacker, parent, name, entry);
    }
}

static void remember(struct unpacker *unpacker, const struct tar_entry *entry)
{
    struct folder *folder = xmalloc(sizeof *folder);
    *folder = (struct folder){xstrdup(entry->path), entry->mtime, unpacker->folders};
    unpacker->folders = folder;
}

static int finish_node(struct unpacker *unpacker, int parent, const char *name, const struct tar_entry *entry)
{
    uid_t uid;
    gid_t gid;
    struct timespec times[2] = {entry->mtime, entry->mtime};
    if (entry->type == '1' || entry->type == '0') return 0;
    owner(unpacker, entry, &uid, &gid);
    if (fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0) return -1;
    if (entry->type != '2') {
        /* What we made or found here is no link, and nobody else's change to it could make us leave the root. */
        int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (entry->type == '5' ? O_DIRECTORY : 0));
        if (entry->type == '5' && fd >= 0) fchmod(fd, entry->mode);
        else fchmodat(parent, name, entry->mode, 0);
        if (fd >= 0) close(fd);
    }
    if (entry->type == '5') remember(unpacker, entry);
    else utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW);
    return 0;
}

static int unpack(struct unpacker *unpacker, const struct tar_entry *entry)
{
    char path[PATH_MAX], name[NAME_MAX + 1];
    if (tar_path_escapes(entry->path)) return refused(unpacker, "leads out of the archive", entry->path);
    if (snprintf(path, sizeof path, "%s/%s", unpacker->options->destination, entry->path) >= (int)sizeof path)
        return errno = ENAMETOOLONG, failed(unpacker, entry->path);
    strcpy(name, path_base(entry->path));
    if (!*name || !strcmp(name, ".")) return 0;
    int parent = resolve_parents(unpacker->options->root, path, 0755);
    if (parent < 0) return failed(unpacker, entry->path);
    *unpacker->stream->problem = 0;
    int way = make_way(unpacker, parent, name, entry);
    int result = way < 0 ? -1 : way == 1 ? 0 : make_node(unpacker, parent, name, entry);
    if (!result) result = finish_node(unpacker, parent, name, entry);
    if (result && !*unpacker->stream->problem) failed(unpacker, entry->path);
    int error = errno;
    close(parent);
    return errno = error, result;
}

static void set_folder_times(struct unpacker *unpacker)
{
    char path[PATH_MAX];
    while (unpacker->folders) {
        struct folder *folder = unpacker->folders;
        struct timespec times[2] = {folder->mtime, folder->mtime};
        snprintf(path, sizeof path, "%s/%s", unpacker->options->destination, folder->path);
        int fd = resolve(unpacker->options->root, path, O_RDONLY | O_DIRECTORY);
        if (fd >= 0) futimens(fd, times), close(fd);
        unpacker->folders = folder->next;
        free(folder->path);
        free(folder);
    }
}

int tar_unpack(struct tar_stream *stream, const struct tar_extract *options)
{
    struct unpacker unpacker = {stream, options, NULL};
    struct tar_entry entry;
    int state;
    while ((state = tar_next(stream, &entry)) > 0) {
        int result = unpack(&unpacker, &entry), error = errno;
        tar_entry_free(&entry);
        if (result < 0) return errno = error, -1;
    }
    set_folder_times(&unpacker);
    return state;
}
