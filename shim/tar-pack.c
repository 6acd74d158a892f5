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
#include "tar-format.h"

#define MAX_DEPTH 512

/* Where a file with several names went first. */
struct linked {
    dev_t device;
    ino_t inode;
    struct linked *next;
    char name[];
};

struct packer {
    struct tar_stream *stream;
    int one_filesystem, depth;
    dev_t device;
    struct linked *links;
};

static int failed(struct packer *packer, const char *name)
{
    int error = errno;
    snprintf(packer->stream->problem, sizeof packer->stream->problem, "%.400s: %s", name, strerror(error));
    return errno = error, -1;
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

static void add_xattrs(struct buffer *pax, int fd)
{
    char names[4096], value[8192], key[300];
    ssize_t length = flistxattr(fd, names, sizeof names);
    for (char *name = names; length > 0 && name < names + length; name += strlen(name) + 1) {
        if (strcmp(name, "security.capability") && strncmp(name, "user.", 5)) continue;
        ssize_t size = fgetxattr(fd, name, value, sizeof value);
        snprintf(key, sizeof key, "SCHILY.xattr.%.250s", name);
        if (size >= 0) pax_add(pax, key, value, (size_t)size);
    }
}

static char type_of(mode_t mode)
{
    return S_ISDIR(mode) ? '5' : S_ISLNK(mode) ? '2' : S_ISCHR(mode) ? '3' : S_ISBLK(mode) ? '4' : S_ISFIFO(mode) ? '6' : '0';
}

/* Writes the pax header, if one is needed, and the entry's own. `fd` is for extended attributes, or -1. */
static int put_header(struct packer *packer, const char *name, const char *link, char type, const struct stat *info,
                      unsigned long long size, int fd)
{
    struct tar_header header, extended;
    struct buffer pax = {0};
    int result = 0;
    tar_header_fill(&header, &pax, name, link, type, info, size);
    if (fd >= 0) add_xattrs(&pax, fd);
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

/* Exactly `size` bytes, whatever happens to the file meanwhile: the header has been written. */
static int put_content(struct packer *packer, int fd, unsigned long long size)
{
    static char chunk[1 << 16];
    unsigned long long left = size;
    while (left) {
        size_t want = left < sizeof chunk ? (size_t)left : sizeof chunk;
        ssize_t got = read(fd, chunk, want);
        if (got <= 0) memset(chunk, 0, want), got = (ssize_t)want;
        if (put(packer, chunk, (size_t)got) < 0) return -1;
        left -= (unsigned long long)got;
    }
    return pad(packer, size);
}

static const char *known_link(struct packer *packer, const char *name, const struct stat *info)
{
    for (struct linked *link = packer->links; link; link = link->next)
        if (link->inode == info->st_ino && link->device == info->st_dev) return link->name;
    struct linked *link = xmalloc(sizeof *link + strlen(name) + 1);
    link->device = info->st_dev;
    link->inode = info->st_ino;
    link->next = packer->links;
    strcpy(link->name, name);
    packer->links = link;
    return NULL;
}

static int pack_file(struct packer *packer, int parent, const char *name, const char *as, const struct stat *info)
{
    const char *first = info->st_nlink > 1 ? known_link(packer, as, info) : NULL;
    if (first) return put_header(packer, as, first, '1', info, 0, -1);
    int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return failed(packer, as);
    unsigned long long size = (unsigned long long)info->st_size;
    int result = put_header(packer, as, "", '0', info, size, fd) || put_content(packer, fd, size) ? -1 : 0;
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

static int pack(struct packer *packer, int parent, const char *name, const char *as);

static int pack_children(struct packer *packer, int folder, const char *as)
{
    DIR *dir = fdopendir(folder);
    int result = 0;
    if (!dir) return close(folder), failed(packer, as);
    for (struct dirent *entry; !result && (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        char *path = xmalloc(strlen(as) + strlen(entry->d_name) + 2);
        sprintf(path, "%s%s%s", as, *as ? "/" : "", entry->d_name);
        result = pack(packer, dirfd(dir), entry->d_name, path);
        free(path);
    }
    closedir(dir);
    return result;
}

static int pack_folder(struct packer *packer, int parent, const char *name, const char *as, const struct stat *info)
{
    int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? 0 : failed(packer, as);
    char *slashed = xmalloc(strlen(as) + 2);
    sprintf(slashed, "%s/", as);
    int result = put_header(packer, slashed, "", '5', info, 0, fd);
    free(slashed);
    int skip = is_kernels(fd) || (packer->one_filesystem && info->st_dev != packer->device);
    if (result || skip) return close(fd), result;
    if (++packer->depth > MAX_DEPTH) return close(fd), errno = ELOOP, failed(packer, as);
    result = pack_children(packer, fd, as);
    packer->depth--;
    return result;
}

static int pack(struct packer *packer, int parent, const char *name, const char *as)
{
    struct stat info;
    char link[4096] = "";
    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 0 : failed(packer, as);
    if (S_ISDIR(info.st_mode)) return pack_folder(packer, parent, name, as, &info);
    if (S_ISREG(info.st_mode)) return pack_file(packer, parent, name, as, &info);
    if (S_ISSOCK(info.st_mode)) return 0;
    if (S_ISLNK(info.st_mode)) {
        ssize_t length = readlinkat(parent, name, link, sizeof link - 1);
        if (length < 0) return failed(packer, as);
        link[length] = 0;
    }
    return put_header(packer, as, link, type_of(info.st_mode), &info, 0, -1);
}

static int run(struct packer *packer, int parent, const char *name, const char *as)
{
    int result = name ? pack(packer, parent, name, as) : pack_children(packer, parent, "");
    while (packer->links) {
        struct linked *link = packer->links;
        packer->links = link->next;
        free(link);
    }
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
