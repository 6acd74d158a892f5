/* An archive unpacked into a folder of a temporary file system, from which nothing may lead out: shim/tar-unpack.c,
 * shim/resolve.c. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tar-source.h"

static int outside, root;
static struct stat before;

static void remove_below(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    must(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") || unlinkat(fd, entry->d_name, 0) == 0) continue;
        int child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        must(child >= 0);
        remove_below(child);
        close(child);
        must(unlinkat(fd, entry->d_name, AT_REMOVEDIR) == 0);
    }
    closedir(dir);
}

static void clean_up(void)
{
    remove_below(outside);
    char path[64], place[512];
    snprintf(path, sizeof path, "/proc/self/fd/%d", outside);
    ssize_t length = readlink(path, place, sizeof place - 1);
    place[length < 0 ? 0 : length] = 0;
    rmdir(place);
}

static void prepare(void)
{
    char place[] = "/dev/shm/berth-fuzz-XXXXXX";
    must(mkdtemp(place) && (outside = open(place, O_PATH | O_DIRECTORY)) >= 0);
    must(mkdirat(outside, "root", 0755) == 0 && mkdirat(outside, "victim", 0700) == 0);
    must((root = openat(outside, "root", O_PATH | O_DIRECTORY)) >= 0);
    must(fstatat(outside, "victim", &before, 0) == 0);
    umask(0);
    atexit(clean_up);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source source = source_of(data, size);
    struct tar_stream stream = {.read = source_read, .context = &source};
    struct tar_extract options = {.root = -1, .destination = "d", .keep_dirs = size && data[0] & 8, .uid = -1, .gid = -1};
    struct stat after;
    if (!outside) prepare();
    options.root = root;
    mkdirat(root, "d", 0755);
    /* A victim that a link may name, and a link that the workload has made already. */
    symlinkat("../../victim", root, "d/link");
    must(tar_unpack(&stream, &options) == 0 || *stream.problem || source.left == 0);
    must(fstatat(outside, "victim", &after, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(after.st_mode) && after.st_mode == before.st_mode);
    must(after.st_uid == before.st_uid && after.st_mtim.tv_sec == before.st_mtim.tv_sec && after.st_nlink == before.st_nlink);
    must(after.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
    remove_below(root);
    return 0;
}
