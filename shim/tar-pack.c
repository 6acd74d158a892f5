#define _GNU_SOURCE
#include "tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "buffer.h"
#include "resolve.h"
#include "tar-format.h"

#define MAX_DEPTH 512
/* The kernel's limits for one object: XATTR_LIST_MAX, XATTR_SIZE_MAX. */
#define MAX_XATTRS 65536

/* Where a file with several names went first. */
struct linked {
    dev_t device;
    ino_t inode;
    char *name;
};

struct packer {
    struct tar_stream *stream;
    int one_filesystem, depth;
    dev_t device;
    /* Open addressing; `slots` is a power of two, and at most half of them are used. */
    struct linked *links;
    size_t slots, used;
    char chunk[1 << 16];
};

static int failed(struct packer *packer, const char *name)
{
    int error = errno;
    snprintf(packer->stream->problem, sizeof packer->stream->problem, "%.400s: %s", name, strerror(error));
    return errno = error, -1;
}

/* Goes on without the object, or with only a part of it; the end will tell. */
static int spoilt(struct packer *packer, const char *name, const char *why, int error)
{
    struct tar_stream *stream = packer->stream;
    if (!stream->incomplete) {
        stream->incomplete = error;
        snprintf(stream->problem, sizeof stream->problem, "%.400s: %s", name, why);
    }
    return 0;
}

static int left_out(struct packer *packer, const char *name)
{
    int error = errno;
    return error == ENOENT ? 0 : spoilt(packer, name, strerror(error), error);
}

static int put(struct packer *packer, const void *data, size_t length)
{
    return packer->stream->write(packer->stream->context, data, length);
}

static int pad(struct packer *packer, unsigned long long size)
{
    static const char zeros[TAR_BLOCK];
    size_t rest = (size_t)(size % TAR_BLOCK);
    return rest ? put(packer, zeros, TAR_BLOCK - rest) : 0;
}

static int add_xattrs(struct packer *packer, struct buffer *pax, const char *as, int fd)
{
    static char names[MAX_XATTRS], value[MAX_XATTRS];
    char key[300];
    ssize_t length = flistxattr(fd, names, sizeof names);
    if (length < 0 && errno != ENOTSUP) return left_out(packer, as);
    for (char *name = names; length > 0 && name < names + length; name += strlen(name) + 1) {
        if (strcmp(name, "security.capability") && strncmp(name, "user.", 5)) continue;
        ssize_t size = fgetxattr(fd, name, value, sizeof value);
        snprintf(key, sizeof key, "SCHILY.xattr.%.255s", name);
        if (size >= 0 && pax->length + (size_t)size > MAX_EXTENSION - sizeof key) {
            errno = E2BIG;
            return left_out(packer, as);
        }
        if (size >= 0) pax_add(pax, key, value, (size_t)size);
        else if (errno != ENODATA) left_out(packer, as);
    }
    return 0;
}

static char type_of(mode_t mode)
{
    return S_ISDIR(mode) ? '5' : S_ISLNK(mode) ? '2' : S_ISCHR(mode) ? '3' : S_ISBLK(mode) ? '4' : S_ISFIFO(mode) ? '6' : '0';
}

static struct linked *slot_of(const struct packer *packer, dev_t device, ino_t inode)
{
    size_t at = ((size_t)inode * 0x9e3779b97f4a7c15u ^ (size_t)device * 0xc2b2ae3d27d4eb4fu) >> 20;
    struct linked *link;
    while ((link = &packer->links[at++ & (packer->slots - 1)])->name)
        if (link->inode == inode && link->device == device) break;
    return link;
}

static void more_slots(struct packer *packer)
{
    struct linked *old = packer->links;
    size_t count = packer->slots;
    packer->slots = count ? count * 2 : 64;
    packer->links = xmalloc(packer->slots * sizeof *packer->links);
    for (size_t i = 0; i < count; i++)
        if (old[i].name) *slot_of(packer, old[i].device, old[i].inode) = old[i];
    free(old);
}

/* The name under which the file went in before; NULL the first time. */
static const char *known_link(struct packer *packer, const struct stat *info)
{
    struct linked *link = packer->slots ? slot_of(packer, info->st_dev, info->st_ino) : NULL;
    return link ? link->name : NULL;
}

static void remember_link(struct packer *packer, const char *name, const struct stat *info)
{
    if (packer->used * 2 >= packer->slots) more_slots(packer);
    *slot_of(packer, info->st_dev, info->st_ino) = (struct linked){info->st_dev, info->st_ino, xstrdup(name)};
    packer->used++;
}

/* Writes the pax header, if one is needed, and the entry's own. `fd` is for extended attributes, or -1. */
static int put_header(struct packer *packer, const char *name, const char *link, char type, const struct stat *info,
                      unsigned long long size, int fd)
{
    struct tar_header header, extended;
    struct buffer pax = {0};
    int result = 0;
    if (info->st_nlink > 1 && type != '1' && type != '5') remember_link(packer, name, info);
    tar_header_fill(&header, &pax, name, link, type, info, size);
    if (fd >= 0) add_xattrs(packer, &pax, name, fd);
    if (pax.length) {
        struct stat plain = {.st_mode = S_IFREG | 0644};
        struct buffer none = {0};
        tar_header_fill(&extended, &none, "././@PaxHeader", "", 'x', &plain, pax.length);
        buffer_free(&none);
        result = put(packer, &extended, sizeof extended) || put(packer, buffer_head(&pax), pax.length)
                 || pad(packer, pax.length);
    }
    buffer_free(&pax);
    return result || put(packer, &header, sizeof header) ? -1 : 0;
}

/* Reads until `size` bytes or the end; fewer than that, and errno (0: the end), when there are no more. */
static size_t read_up_to(int fd, char *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = read(fd, data + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return errno = got < 0 ? errno : 0, done;
        done += (size_t)got;
    }
    return errno = 0, done;
}

static const char *missing(int error) { return error ? strerror(error) : "it became shorter while it was read"; }

/* A file of one chunk is read before its header is written, so that the header tells the size that it really has: one
 * that grows or shrinks is whole all the same, and files of the kernel's, which tell no size, are not empty. */
static int put_small(struct packer *packer, int fd, const char *as, const struct stat *info)
{
    size_t told = (size_t)info->st_size, size = read_up_to(fd, packer->chunk, told ? told : sizeof packer->chunk);
    if (errno) return left_out(packer, as);
    if (size == sizeof packer->chunk && !told) return spoilt(packer, as, "it does not tell its size", EINVAL);
    int result = put_header(packer, as, "", '0', info, size, fd) || put(packer, packer->chunk, size);
    return result || pad(packer, size) ? -1 : 0;
}

/* Exactly as many bytes as the header says, whatever happens to the file meanwhile. */
static int put_large(struct packer *packer, int fd, const char *as, const struct stat *info)
{
    unsigned long long size = (unsigned long long)info->st_size, left = size;
    if (put_header(packer, as, "", '0', info, size, fd) < 0) return -1;
    while (left) {
        size_t want = left < sizeof packer->chunk ? (size_t)left : sizeof packer->chunk;
        size_t got = read_up_to(fd, packer->chunk, want);
        if (got < want) {
            spoilt(packer, as, missing(errno), errno ? errno : EIO);
            memset(packer->chunk + got, 0, want - got);
        }
        if (put(packer, packer->chunk, want) < 0) return -1;
        left -= want;
        /* The part behind a damaged one may still be readable. */
        if (got < want) lseek(fd, (off_t)(size - left), SEEK_SET);
    }
    return pad(packer, size);
}

static int pack_file(struct packer *packer, int file, const char *as, const struct stat *info)
{
    int fd = reopen_file(file, O_RDONLY);
    if (fd < 0) return left_out(packer, as);
    int large = info->st_size > (off_t)sizeof packer->chunk;
    int result = large ? put_large(packer, fd, as, info) : put_small(packer, fd, as, info);
    close(fd);
    return result;
}

/* proc, sysfs, cgroup, cgroup2, devpts, mqueue, debugfs, tracefs, securityfs, bpf, pstore: not anyone's files. */
static int is_kernels(int fd)
{
    static const unsigned long kinds[] = {0x9fa0,     0x62656572, 0x27e0eb,   0x63677270, 0x1cd1,    0x19800202,
                                          0x64626720, 0x74726163, 0x73636673, 0xcafe4a11, 0x6165676c};
    struct statfs info;
    if (fstatfs(fd, &info) < 0) return 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if ((unsigned long)info.f_type == kinds[i]) return 1;
    return 0;
}

/* The name of what is in the folder; with an empty one, the folder's own with a slash behind it. */
static char *below(const char *folder, const char *name)
{
    size_t length = strlen(folder), slash = length && folder[length - 1] != '/';
    char *path = xmalloc(length + strlen(name) + 2);
    sprintf(path, "%s%s%s", folder, slash ? "/" : "", name);
    return path;
}

static int pack(struct packer *packer, int parent, const char *name, const char *as);

static int pack_children(struct packer *packer, int folder, const char *as)
{
    DIR *dir = fdopendir(folder);
    int result = 0;
    if (!dir) return close(folder), left_out(packer, as);
    for (struct dirent *entry; !result && (errno = 0, entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        char *path = below(as, entry->d_name);
        result = pack(packer, dirfd(dir), entry->d_name, path);
        free(path);
    }
    if (!result && errno) left_out(packer, as);
    closedir(dir);
    return result;
}

/* Takes the folder's descriptor over. */
static int pack_folder(struct packer *packer, int folder, const char *as, const struct stat *info)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = errno;
    close(folder);
    if (fd < 0) return errno = error, left_out(packer, as);
    char *slashed = below(as, "");
    int result = put_header(packer, slashed, "", '5', info, 0, fd);
    free(slashed);
    /* Devices that the runtime made in /dev are not the workload's files: even a whole root is packed without them. */
    int is_elsewhere = info->st_dev != packer->device;
    int skip = is_kernels(fd) || (is_elsewhere && (packer->one_filesystem || !strcmp(as, "/dev")));
    if (result || skip) return close(fd), result;
    if (++packer->depth > MAX_DEPTH) return close(fd), errno = ELOOP, failed(packer, as);
    result = pack_children(packer, fd, as);
    packer->depth--;
    return result;
}

/* Packs anything but a folder: the object that the descriptor holds, whatever has taken its name since. */
static int pack_object(struct packer *packer, int fd, const char *as, const struct stat *info)
{
    char link[4096] = "";
    const char *first = info->st_nlink > 1 ? known_link(packer, info) : NULL;
    if (first) return put_header(packer, as, first, '1', info, 0, -1);
    if (S_ISREG(info->st_mode)) return pack_file(packer, fd, as, info);
    if (S_ISSOCK(info->st_mode)) return 0;
    if (S_ISLNK(info->st_mode)) {
        ssize_t length = readlinkat(fd, "", link, sizeof link - 1);
        if (length < 0) return left_out(packer, as);
        link[length] = 0;
    }
    return put_header(packer, as, link, type_of(info->st_mode), info, 0, -1);
}

static int pack(struct packer *packer, int parent, const char *name, const char *as)
{
    struct stat info;
    int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return left_out(packer, as);
    if (fstat(fd, &info) < 0) return close(fd), left_out(packer, as);
    if (S_ISDIR(info.st_mode)) return pack_folder(packer, fd, as, &info);
    int result = pack_object(packer, fd, as, &info);
    close(fd);
    return result;
}

static int run(struct packer *packer, int parent, const char *name, const char *as)
{
    int result = name ? pack(packer, parent, name, as) : pack_children(packer, parent, "");
    for (size_t i = 0; i < packer->slots; i++) free(packer->links[i].name);
    free(packer->links);
    return result;
}

int tar_pack(struct tar_stream *stream, int parent, const char *name, const char *as, int one_filesystem)
{
    struct stat info = {0};
    fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW);
    struct packer packer = {.stream = stream, .one_filesystem = one_filesystem, .device = info.st_dev};
    return run(&packer, parent, name, as);
}

int tar_pack_contents(struct tar_stream *stream, int folder, int one_filesystem)
{
    struct stat info = {0};
    fstat(folder, &info);
    struct packer packer = {.stream = stream, .one_filesystem = one_filesystem, .device = info.st_dev};
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? failed(&packer, "/") : run(&packer, fd, NULL, "");
}

int tar_finish(struct tar_stream *stream)
{
    static const char zeros[2 * TAR_BLOCK];
    return stream->write(stream->context, zeros, sizeof zeros);
}
