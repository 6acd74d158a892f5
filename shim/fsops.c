#define _GNU_SOURCE
#include "fsops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "accounts.h"
#include "resolve.h"
#include "tar.h"

#define FRAME_PART 65536

/* Bytes of the archive that a client sends: what is left of the current frame, and whether the end was seen. */
struct source {
    int socket, ended;
    struct buffer *pending;
    uint32_t left;
};

struct sink {
    int socket;
    struct buffer buffer;
};

static int send_all(int socket, const void *data, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t sent = send(socket, (const char *)data + done, length - done, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return -1;
        done += (size_t)sent;
    }
    return 0;
}

int fsops_send(int socket, uint8_t type, const void *payload, size_t length)
{
    char header[FRAME_HEADER];
    frame_header(header, type, 0, (uint32_t)length);
    return send_all(socket, header, sizeof header) || send_all(socket, payload, length) ? -1 : 0;
}

static int send_fields(int socket, uint8_t type, struct buffer *fields)
{
    int result = fsops_send(socket, type, buffer_head(fields), fields->length);
    buffer_free(fields);
    return result;
}

static const char *code_of(int error)
{
    switch (error) {
    case ENOENT: return "not-found";
    /* The process whose root it was has ended. */
    case ESRCH: return "invalid-state";
    case EINVAL:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG: return "invalid-argument";
    case EROFS:
    case EACCES:
    case EPERM: return "permission-denied";
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENOMEM: return "exhausted";
    default: return "internal";
    }
}

static int fail_with(int socket, int error, const char *message)
{
    struct buffer fields = {0};
    field_add(&fields, "code", code_of(error));
    field_add(&fields, "message", message);
    send_fields(socket, FRAME_FAIL, &fields);
    return 1;
}

int fsops_fail(int socket, int error, const char *what)
{
    char message[PATH_MAX + 128];
    snprintf(message, sizeof message, "%s: %s", what, strerror(error));
    return fail_with(socket, error, message);
}

static int send_exit(int socket)
{
    struct buffer fields = {0};
    field_add(&fields, "code", "0");
    return send_fields(socket, FRAME_EXIT, &fields) < 0;
}

/* The mode as Go's os.FileMode has it. */
static unsigned go_mode(mode_t mode)
{
    unsigned bits = mode & 0777;
    if (S_ISDIR(mode)) bits |= 1u << 31;
    if (S_ISLNK(mode)) bits |= 1u << 27;
    if (S_ISBLK(mode)) bits |= 1u << 26;
    if (S_ISCHR(mode)) bits |= 1u << 26 | 1u << 21;
    if (S_ISFIFO(mode)) bits |= 1u << 25;
    if (S_ISSOCK(mode)) bits |= 1u << 24;
    return bits | (mode & S_ISUID ? 1u << 23 : 0) | (mode & S_ISGID ? 1u << 22 : 0) | (mode & S_ISVTX ? 1u << 20 : 0);
}

/* Whether the path asks for what a final link leads to: it ends in a slash or in a dot part. */
static int follows(const char *path)
{
    const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
    return !*last || !strcmp(last, ".") || !strcmp(last, "..");
}

/* The folder that holds the object and its name there ("." for a folder that was followed to). */
static int locate(int root, const char *path, char name[NAME_MAX + 2])
{
    strcpy(name, path_base(path));
    int fd = follows(path) ? resolve(root, path, O_PATH) : resolve_parent(root, path);
    struct stat info;
    if (fd < 0 || !follows(path)) return fd;
    strcpy(name, ".");
    if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) return fd;
    close(fd);
    return errno = ENOTDIR, -1;
}

/* A link's target as an absolute path inside the root. */
static void link_target(int parent, const char *name, const char *path, char *target, size_t size)
{
    char link[PATH_MAX];
    ssize_t length = readlinkat(parent, name, link, sizeof link - 1);
    link[length < 0 ? 0 : length] = 0;
    const char *slash = strrchr(path, '/');
    int above = slash ? (int)(slash - path) : 0;
    if (*link == '/') snprintf(target, size, "%s", link);
    else snprintf(target, size, "%s%.*s/%s", *path == '/' ? "" : "/", above, path, link);
}

static void stat_fields(struct buffer *fields, int parent, const char *name, const char *path, const struct stat *info)
{
    char time[64], target[2 * PATH_MAX] = "";
    struct tm parts = {0};
    gmtime_r(&info->st_mtim.tv_sec, &parts);
    strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(time + strlen(time), sizeof time - strlen(time), ".%09ldZ", info->st_mtim.tv_nsec);
    if (S_ISLNK(info->st_mode)) link_target(parent, name, path, target, sizeof target);
    field_add(fields, "name", *path_base(path) ? path_base(path) : "/");
    field_add_number(fields, "size", info->st_size);
    field_add_number(fields, "mode", go_mode(info->st_mode));
    field_add(fields, "mtime", time);
    field_add(fields, "link", target);
}

static int sink_flush(struct sink *sink)
{
    int result = sink->buffer.length ? fsops_send(sink->socket, FRAME_STDOUT, buffer_head(&sink->buffer), sink->buffer.length) : 0;
    buffer_consume(&sink->buffer, sink->buffer.length);
    return result;
}

static int sink_write(void *context, const void *data, size_t length)
{
    struct sink *sink = context;
    buffer_append(&sink->buffer, data, length);
    return sink->buffer.length >= FRAME_PART ? sink_flush(sink) : 0;
}

static int serve_read(int socket, int parent, const char *name, const char *path)
{
    struct sink sink = {.socket = socket};
    struct tar_stream stream = {.write = sink_write, .context = &sink};
    const char *as = *path_base(path) ? path_base(path) : "/";
    int result = *path ? tar_pack(&stream, parent, name, as, 0) : tar_pack_contents(&stream, parent, 1);
    if (result < 0) return *stream.problem ? fail_with(socket, errno, stream.problem) : 1;
    /* An incomplete archive gets no end mark: nobody can take it for a whole one. */
    if ((!stream.incomplete && tar_finish(&stream) < 0) || sink_flush(&sink) < 0) return 1;
    if (stream.incomplete) return fail_with(socket, stream.incomplete, stream.problem);
    return fsops_send(socket, FRAME_STDOUT, "", 0) < 0 || send_exit(socket);
}

static int serve_path(int socket, int root, const char *op, const char *path)
{
    char name[NAME_MAX + 2];
    struct stat info;
    struct buffer fields = {0};
    int parent = locate(root, path, name);
    if (parent < 0 || fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) < 0) return fsops_fail(socket, errno, path);
    stat_fields(&fields, parent, name, path, &info);
    if (send_fields(socket, FRAME_OPENED, &fields) < 0) return 1;
    return strcmp(op, "read") ? 0 : serve_read(socket, parent, name, path);
}

/* Bytes from the socket, those already read first. */
static int take(struct source *source, void *data, size_t length)
{
    size_t done = source->pending->length < length ? source->pending->length : length;
    memcpy(data, done ? buffer_head(source->pending) : "", done);
    buffer_consume(source->pending, done);
    while (done < length) {
        ssize_t got = recv(source->socket, (char *)data + done, length - done, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return errno = EPIPE, -1;
        done += (size_t)got;
    }
    return 0;
}

/* Moves on to the next STDIN frame. */
static int next_frame(struct source *source)
{
    char bytes[FRAME_HEADER];
    struct buffer header = {.data = bytes, .length = sizeof bytes, .capacity = sizeof bytes};
    struct frame frame;
    while (!source->left && !source->ended) {
        if (take(source, bytes, sizeof bytes) < 0) return -1;
        if (frame_peek(&header, &frame) < 0 || frame.type != FRAME_STDIN) return errno = EPROTO, -1;
        source->left = frame.length;
        source->ended = !frame.length;
    }
    return 0;
}

static int source_read(void *context, void *data, size_t length)
{
    struct source *source = context;
    for (size_t done = 0; done < length;) {
        if (next_frame(source) < 0) return -1;
        if (source->ended) return errno = done ? EPIPE : 0, -1;
        size_t part = length - done < source->left ? length - done : source->left;
        if (take(source, (char *)data + done, part) < 0) return -1;
        source->left -= (uint32_t)part;
        done += part;
    }
    return 0;
}

/* A client that is still sending would never read our answer if we left now. */
static void drain(struct source *source)
{
    char waste[4096];
    while (!source->ended && next_frame(source) == 0 && !source->ended) {
        size_t part = source->left < sizeof waste ? source->left : sizeof waste;
        if (take(source, waste, part) < 0) return;
        source->left -= (uint32_t)part;
    }
}

static int serve_write(int socket, int root, const char *path, const struct fields *fields, struct buffer *pending)
{
    struct source source = {.socket = socket, .pending = pending};
    struct tar_stream stream = {.read = source_read, .context = &source};
    struct tar_extract options = {
        .root = root,
        .destination = path,
        .keep_dirs = fields_flag(fields, "keepdirs"),
        .uid = fields_number(fields, "uid", -1),
        .gid = fields_number(fields, "gid", -1),
    };
    int folder = resolve(root, path, O_PATH | O_DIRECTORY);
    int result = folder < 0 ? -1 : tar_unpack(&stream, &options), error = errno;
    if (folder < 0) snprintf(stream.problem, sizeof stream.problem, "%.400s: %s", path, strerror(error));
    if (result < 0 && source.ended == 0 && error == EPIPE) return 1;
    drain(&source);
    if (result == 0 && stream.incomplete) return fail_with(socket, stream.incomplete, stream.problem);
    if (result == 0) return send_exit(socket);
    if (!*stream.problem) snprintf(stream.problem, sizeof stream.problem, "the archive cannot be read: %s", strerror(error));
    return fail_with(socket, error, stream.problem);
}

int fsops_identity(int socket, int passwd, int group, const struct fields *process)
{
    struct identity identity;
    struct buffer fields = {0};
    int files[2] = {passwd < 0 ? -1 : reopen_file(passwd, O_RDONLY), group < 0 ? -1 : reopen_file(group, O_RDONLY)};
    if (accounts_resolve(&identity, files[0], files[1], process) < 0) return fail_with(socket, EINVAL, identity.problem);
    field_add_number(&fields, "uid", identity.uid);
    field_add_number(&fields, "gid", identity.gid);
    for (int i = 0; i < identity.group_count; i++) field_add_number(&fields, "group", identity.groups[i]);
    field_add(&fields, "home", identity.home);
    return send_fields(socket, FRAME_OPENED, &fields) < 0;
}

int fsops_knows(const char *op)
{
    return !strcmp(op, "stat") || !strcmp(op, "read") || !strcmp(op, "write") || !strcmp(op, "identity");
}

int fsops_serve(int socket, int root, const char *op, const struct fields *fields, struct buffer *pending)
{
    const char *path = fields_get(fields, "path");
    if (!strcmp(op, "identity"))
        return fsops_identity(socket, resolve(root, "/etc/passwd", O_PATH), resolve(root, "/etc/group", O_PATH), fields);
    if (!path || strlen(path) >= PATH_MAX) return fail_with(socket, EINVAL, "no valid path given");
    umask(0);
    if (!strcmp(op, "write")) return serve_write(socket, root, path, fields, pending);
    return serve_path(socket, root, op, path);
}
