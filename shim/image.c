#define _GNU_SOURCE
#include "image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "own-mounts.h"
#include "read-only.h"
#include "resolve.h"

/* What linux/loop.h says, which musl's headers do not have. */
#define LOOP_SET_FD 0x4C00
#define LOOP_CLR_FD 0x4C01
#define LOOP_SET_STATUS64 0x4C04
#define LOOP_GET_STATUS64 0x4C05
#define LOOP_CONFIGURE 0x4C0A
#define LOOP_CTL_GET_FREE 0x4C82
#define LO_FLAGS_AUTOCLEAR 4
/* And linux/fs.h. */
#define FITRIM _IOWR('X', 121, struct trim_range)

struct trim_range {
    uint64_t start, length, least;
};

struct loop_info64 {
    uint64_t device, inode, rdevice, offset, sizelimit;
    uint32_t number, encrypt_type, encrypt_key_size, flags;
    uint8_t file_name[64], crypt_name[64], encrypt_key[32];
    uint64_t init[2];
};

struct loop_config {
    uint32_t fd, block_size;
    struct loop_info64 info;
    uint64_t reserved[8];
};

static int open_device(int number, char path[32])
{
    snprintf(path, 32, "/dev/loop%d", number);
    return open(path, O_RDWR | O_CLOEXEC);
}

/* The device that has this file already. While we hold it open, it stays. */
static int find_device(const struct stat *file, char path[32])
{
    DIR *folder = opendir("/sys/block");
    int found = -1, number;
    if (!folder) return -1;
    for (struct dirent *entry; found < 0 && (entry = readdir(folder));) {
        char backing[64];
        struct loop_info64 info;
        if (sscanf(entry->d_name, "loop%d", &number) != 1) continue;
        snprintf(backing, sizeof backing, "/sys/block/loop%d/loop", number);
        if (access(backing, F_OK) < 0) continue;
        int fd = open_device(number, path);
        if (fd < 0) continue;
        int same = !ioctl(fd, LOOP_GET_STATUS64, &info) && info.device == file->st_dev && info.inode == file->st_ino;
        if (same) found = fd;
        else close(fd);
    }
    closedir(folder);
    return found;
}

static int attach(int device, int file)
{
    struct loop_config config = {.fd = (uint32_t)file, .info = {.flags = LO_FLAGS_AUTOCLEAR}};
    if (!ioctl(device, LOOP_CONFIGURE, &config)) return 0;
    /* Before Linux 5.8 in two steps. */
    if (errno != EINVAL && errno != ENOTTY) return -1;
    if (ioctl(device, LOOP_SET_FD, file) < 0) return -1;
    if (!ioctl(device, LOOP_SET_STATUS64, &config.info)) return 0;
    int error = errno;
    ioctl(device, LOOP_CLR_FD, 0);
    return errno = error, -1;
}

static int new_device(int file, char path[32])
{
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0) return -1;
    for (int tries = 0;; tries++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        int fd = number < 0 ? -1 : open_device(number, path);
        if (fd >= 0 && attach(fd, file) == 0) return close(control), fd;
        int error = errno;
        if (fd >= 0) close(fd);
        /* EBUSY: someone else was quicker to take it. */
        if (error != EBUSY || tries > 100) return close(control), errno = error, -1;
    }
}

/* What was deleted in the last moment before an unmount is not given back: so it is when much of that has gathered. */
static void give_back(const char *target, const struct stat *file)
{
    struct statfs fs;
    struct trim_range all = {.length = UINT64_MAX};
    if (statfs(target, &fs) < 0) return;
    long long used = (long long)(fs.f_blocks - fs.f_bfree) * fs.f_bsize, most = 64 << 20;
    long long slack = file->st_size / 8 < most ? file->st_size / 8 : most;
    if (file->st_blocks * 512LL <= used + slack) return;
    int fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) ioctl(fd, FITRIM, &all), close(fd);
}

static int mount_locked(const char *image, const char *target)
{
    char path[32];
    struct stat info;
    int file = open(image, O_RDWR | O_CLOEXEC);
    if (file < 0 || fstat(file, &info) < 0) return -1;
    int device = find_device(&info, path);
    if (device < 0) device = new_device(file, path);
    close(file);
    if (device < 0) return -1;
    /* Discarding gives the host back what is deleted inside. */
    int result = mount(path, target, "ext4", 0, "discard");
    int error = errno;
    close(device);
    if (result == 0) give_back(target, &info);
    return errno = error, result;
}

int image_mount(const char *image, const char *target)
{
    /* Two devices over one file would be two file systems that know nothing of each other: one at a time looks for a
     * device and makes it. A description of its own, as the device keeps that which it is given. */
    int lock = open(image, O_RDONLY | O_CLOEXEC);
    if (lock < 0) return -1;
    int result = flock(lock, LOCK_EX) < 0 ? -1 : mount_locked(image, target);
    int error = errno;
    close(lock);
    return errno = error, result;
}

static int open_part(const char *root, const char *subpath)
{
    int top = open(root, O_PATH | O_CLOEXEC);
    if (top < 0 || !*subpath) return top;
    int part = resolve(top, subpath, O_PATH);
    int error = errno;
    close(top);
    return errno = error, part;
}

static int bind_part(const char *root, const char *subpath, const char *target)
{
    char path[64];
    struct stat info;
    int part = open_part(root, subpath);
    if (part < 0 || fstat(part, &info) < 0) return -1;
    int made = S_ISDIR(info.st_mode) ? mkdir(target, 0755) : mknod(target, S_IFREG | 0644, 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", part);
    /* By the descriptor: whatever is renamed meanwhile, it is what was found. */
    int result = made < 0 ? -1 : mount(path, target, NULL, MS_BIND | MS_REC, NULL);
    int error = errno;
    close(part);
    return errno = error, result;
}

static int bind_found(const char *scratch, const char *image, const char *root, const char *subpath, const char *target)
{
    char data[4096];
    if (!*image) return bind_part(root, subpath, target);
    if (mkdir(scratch, 0700) < 0) return -1;
    int result = image_mount(image, scratch), error = errno;
    if (result == 0) {
        snprintf(data, sizeof data, "%s/data", scratch);
        result = bind_part(data, subpath, target);
        error = errno;
        umount2(scratch, MNT_DETACH);
    }
    rmdir(scratch);
    return errno = error, result;
}

int source_bind(const char *scratch, const struct source *source, const char *target)
{
    if (bind_found(scratch, source->image, source->root, source->subpath, target) < 0) return -1;
    return bind_restrict(target, source->access);
}

int source_next(const struct fields *fields, size_t *cursor, struct source *source)
{
    const char *number = fields_next(fields, "source", cursor);
    if (!number) return 0;
    source->number = atoi(number);
    source->image = fields_next(fields, "source", cursor);
    source->root = fields_next(fields, "source", cursor);
    source->subpath = fields_next(fields, "source", cursor);
    source->access = fields_next(fields, "source", cursor);
    return source->access ? 1 : -1;
}
