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
/* Copies that may be in each other's way at one name. */
#define MOST_TURNS 64

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
    /* The first object that was left out, in words. */
    char left_out[512];
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

/* Goes on without the object; the end will tell. */
static int left_out(struct unpacker *unpacker, const char *name)
{
    struct tar_stream *stream = unpacker->stream;
    int error = errno;
    if (!stream->incomplete) {
        failed(unpacker, name);
        stream->incomplete = error;
        memcpy(unpacker->left_out, stream->problem, sizeof unpacker->left_out);
    }
    return 0;
}

/* Removes a name with all below it, following no link. */
static int remove_all(int parent, const char *name, int depth)
{
    /* To remove a mount's place would unmount it in the workload. */
    if (resolve_is_mount(parent, name)) return errno = EBUSY, -1;
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
    if (errno != EISDIR && errno != EPERM) return -1;
    int fd = depth > DEEPEST ? (errno = ELOOP, -1) : openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) return -1;
    int result = 0, error = 0;
    for (struct dirent *entry; !result && (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) result = remove_all(fd, entry->d_name, depth + 1);
    error = errno;
    closedir(dir);
    return result ? errno = error, -1 : unlinkat(parent, name, AT_REMOVEDIR);
}

/* How an object that has the entry's name already is treated. */
enum way { WAY_REFUSED = -1, WAY_FREE, WAY_FOLDER_STAYS, WAY_FILE_STAYS };

static enum way make_way(struct unpacker *unpacker, int parent, const char *name, const struct tar_entry *entry)
{
    struct stat info;
    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? WAY_FREE : WAY_REFUSED;
    int is_folder = S_ISDIR(info.st_mode), wants_folder = entry->type == '5';
    if (is_folder && wants_folder) return WAY_FOLDER_STAYS;
    if (unpacker->options->keep_dirs && is_folder)
        return refused(unpacker, "is a directory: cannot overwrite it with a non-directory", entry->path);
    if (unpacker->options->keep_dirs && wants_folder)
        return refused(unpacker, "is no directory: cannot overwrite it with a directory", entry->path);
    if (S_ISREG(info.st_mode) && entry->type == '0' && resolve_is_mount(parent, name)) return WAY_FILE_STAYS;
    return remove_all(parent, name, 0) < 0 ? WAY_REFUSED : WAY_FREE;
}

static int is_zero(const char *data, size_t length) { return !*data && !memcmp(data, data + 1, length - 1); }

static int write_all(int fd, const char *data, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t written = write(fd, data + done, length - done);
        if (written < 0 && errno != EINTR) return -1;
        if (written > 0) done += (size_t)written;
    }
    return 0;
}

/* Writes the content into an empty file; a long run of zeros becomes a hole. */
static int write_content(struct unpacker *unpacker, int fd, long long size)
{
    static char chunk[1 << 16];
    long long left = size;
    while (left) {
        size_t part = left < (long long)sizeof chunk ? (size_t)left : sizeof chunk;
        if (unpacker->stream->read(unpacker->stream->context, chunk, part) < 0) return -1;
        int hole = part == sizeof chunk && is_zero(chunk, part);
        if (hole ? lseek(fd, (off_t)part, SEEK_CUR) < 0 : write_all(fd, chunk, part) < 0) return -1;
        left -= (long long)part;
    }
    if (ftruncate(fd, (off_t)size) < 0) return -1;
    size_t rest = (size_t)(size % TAR_BLOCK);
    return rest ? unpacker->stream->read(unpacker->stream->context, chunk, TAR_BLOCK - rest) : 0;
}

/* Reads over content that goes nowhere. */
static int skip_content(struct unpacker *unpacker, long long size)
{
    char waste[TAR_BLOCK];
    for (long long left = size; left > 0; left -= TAR_BLOCK)
        if (unpacker->stream->read(unpacker->stream->context, waste, sizeof waste) < 0) return -1;
    return 0;
}

static void owner(const struct unpacker *unpacker, const struct tar_entry *entry, uid_t *uid, gid_t *gid)
{
    *uid = (uid_t)(unpacker->options->uid >= 0 ? unpacker->options->uid : entry->uid);
    *gid = (gid_t)(unpacker->options->gid >= 0 ? unpacker->options->gid : entry->gid);
}

/* The attributes that any layer may set; others steer the host (trusted.overlay.*), or mean nothing here. */
static int set_xattrs(int fd, const struct tar_entry *entry)
{
    for (struct tar_xattr *xattr = entry->xattrs; xattr; xattr = xattr->next) {
        if (strncmp(xattr->name, "user.", 5) && strcmp(xattr->name, "security.capability")) continue;
        /* A file system without them, tmpfs for one, takes the file all the same. */
        if (fsetxattr(fd, xattr->name, xattr->value, xattr->length, 0) < 0 && errno != ENOTSUP) return -1;
    }
    return 0;
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
    if (!result) result = set_xattrs(fd, entry);
    if (!result) futimens(fd, times);
    int error = errno;
    close(fd);
    return errno = error, result;
}

/* A mounted file keeps its mount, owner and mode, and gets the content. */
static int fill_file(struct unpacker *unpacker, int parent, const char *name, const struct tar_entry *entry)
{
    int found = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    int fd = found < 0 ? -1 : reopen_file(found, O_WRONLY | O_TRUNC);
    int result = fd < 0 ? -1 : write_content(unpacker, fd, entry->size), error = errno;
    if (found >= 0) close(found);
    if (fd >= 0) close(fd);
    return errno = error, result;
}

static int make_link(struct unpacker *unpacker, int parent, const char *name, const struct tar_entry *entry)
{
    char target[PATH_MAX];
    struct stat there, info;
    if (tar_path_escapes(entry->link)) return refused(unpacker, "as a hard link's target leads out of the archive", entry->link);
    if (snprintf(target, sizeof target, "%s/%s", unpacker->options->destination, entry->link) >= (int)sizeof target)
        return errno = ENAMETOOLONG, -1;
    int from = resolve_parent(unpacker->options->root, target);
    if (from < 0) return -1;
    const char *base = path_base(entry->link);
    int is_same = fstatat(from, base, &there, AT_SYMLINK_NOFOLLOW) == 0
                  && fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && there.st_ino == info.st_ino
                  && there.st_dev == info.st_dev;
    enum way way = is_same ? WAY_FREE : make_way(unpacker, parent, name, entry);
    int result = way == WAY_REFUSED ? -1 : is_same ? 0 : linkat(from, base, parent, name, 0), error = errno;
    close(from);
    return errno = error, result;
}

static void remember(struct unpacker *unpacker, const struct tar_entry *entry)
{
    struct folder *folder = xmalloc(sizeof *folder);
    *folder = (struct folder){xstrdup(entry->path), entry->mtime, unpacker->folders};
    unpacker->folders = folder;
}

static int make_folder(struct unpacker *unpacker, int parent, const char *name, const struct tar_entry *entry, int is_there)
{
    uid_t uid;
    gid_t gid;
    if (!is_there && mkdirat(parent, name, 0700) < 0) return -1;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    owner(unpacker, entry, &uid, &gid);
    int result = fchown(fd, uid, gid) < 0 || fchmod(fd, entry->mode) < 0 || set_xattrs(fd, entry) < 0 ? -1 : 0, error = errno;
    close(fd);
    if (!result) remember(unpacker, entry);
    return errno = error, result;
}

static mode_t kind_of(char type)
{
    return type == '2' ? S_IFLNK : type == '3' ? S_IFCHR : type == '4' ? S_IFBLK : S_IFIFO;
}

/* A symbolic link, device or fifo: made with its mode and given its owner and time through a descriptor that opens nothing.
 * Another object that has taken its name meanwhile is left alone. */
static int make_node(struct unpacker *unpacker, int parent, const char *name, const struct tar_entry *entry)
{
    uid_t uid;
    gid_t gid;
    struct stat info;
    mode_t kind = kind_of(entry->type);
    struct timespec times[2] = {entry->mtime, entry->mtime};
    int made = kind == S_IFLNK ? symlinkat(entry->link, parent, name)
                               : mknodat(parent, name, kind | entry->mode, makedev(entry->major, entry->minor));
    if (made < 0) return kind != S_IFLNK && (errno == EPERM || errno == ENOTSUP) ? left_out(unpacker, entry->path) : -1;
    int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    owner(unpacker, entry, &uid, &gid);
    int is_ours = fstat(fd, &info) == 0 && (info.st_mode & S_IFMT) == kind && info.st_nlink == 1;
    int result = is_ours ? fchownat(fd, "", uid, gid, AT_EMPTY_PATH) : (errno = EBUSY, -1), error = errno;
    if (!result) utimensat(fd, "", times, AT_EMPTY_PATH);
    close(fd);
    return errno = error, result;
}

static int make_once(struct unpacker *unpacker, int parent, const char *name, const struct tar_entry *entry)
{
    if (entry->type == '1') return make_link(unpacker, parent, name, entry);
    enum way way = make_way(unpacker, parent, name, entry);
    if (way == WAY_REFUSED) return -1;
    if (way == WAY_FILE_STAYS) return fill_file(unpacker, parent, name, entry);
    if (entry->type == '5') return make_folder(unpacker, parent, name, entry, way == WAY_FOLDER_STAYS);
    return entry->type == '0' ? make_file(unpacker, parent, name, entry) : make_node(unpacker, parent, name, entry);
}

/* Another copy can make the same name between the removal of what was there and the making; nothing of the content has
 * been read by then, so that both start again and the later one stays. */
static int make(struct unpacker *unpacker, int parent, const char *name, const struct tar_entry *entry)
{
    int result = -1;
    for (int turn = 0; turn < MOST_TURNS && result < 0; turn++) {
        result = make_once(unpacker, parent, name, entry);
        if (errno != EEXIST || *unpacker->stream->problem) break;
    }
    return result;
}

static int unpack(struct unpacker *unpacker, const struct tar_entry *entry)
{
    char path[PATH_MAX], name[NAME_MAX + 2];
    if (tar_path_escapes(entry->path)) return refused(unpacker, "leads out of the archive", entry->path);
    if (snprintf(path, sizeof path, "%s/%s", unpacker->options->destination, entry->path) >= (int)sizeof path)
        return errno = ENAMETOOLONG, failed(unpacker, entry->path);
    strcpy(name, path_base(entry->path));
    if (!*name || !strcmp(name, ".")) return skip_content(unpacker, entry->size);
    int parent = resolve_parents(unpacker->options->root, path, 0755);
    if (parent < 0) return failed(unpacker, entry->path);
    *unpacker->stream->problem = 0;
    int result = make(unpacker, parent, name, entry);
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
    struct unpacker unpacker = {.stream = stream, .options = options};
    struct tar_entry entry;
    int state;
    while ((state = tar_next(stream, &entry)) > 0) {
        int result = unpack(&unpacker, &entry), error = errno;
        tar_entry_free(&entry);
        errno = error;
        if (result < 0) break;
    }
    int error = errno;
    set_folder_times(&unpacker);
    if (state == 0 && stream->incomplete) memcpy(stream->problem, unpacker.left_out, sizeof stream->problem);
    return errno = error, state > 0 ? -1 : state;
}
