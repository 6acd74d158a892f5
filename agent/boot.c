#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"

int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t written = write(fd, text, strlen(text));
    int saved = errno;
    close(fd);
    errno = saved;
    return written < 0 ? -1 : 0;
}

int make_folders(const char *path, mode_t mode)
{
    char partial[4096];
    if (strlen(path) >= sizeof partial) return errno = ENAMETOOLONG, -1;
    strcpy(partial, path);
    for (char *slash = partial + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        if (mkdir(partial, 0755) < 0 && errno != EEXIST && errno != EROFS) return -1;
        *slash = '/';
    }
    if (mkdir(path, mode) == 0) return 0;
    int saved = errno;
    struct stat status;
    if (stat(path, &status) == 0) return S_ISDIR(status.st_mode) ? 0 : (errno = ENOTDIR, -1);
    errno = saved;
    return -1;
}

/* A complaint on the console, where the host's console.log keeps it. */
static void complain(const char *what, const char *name)
{
    fprintf(stderr, "berth-agent: %s %s: %s\n", what, name, strerror(errno));
}

void boot_early(void)
{
    umask(022);
    mkdir("/proc", 0755);
    mkdir("/sys", 0755);
    mkdir("/dev", 0755);
    mkdir("/run", 0755);
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    /* What is mounted here shows the network of whoever mounts it. */
    network_begin();
    mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
    /* Whatever runs short of memory, it is not the agent that goes. */
    write_file("/proc/self/oom_score_adj", "-1000");
}

static void load_module(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return complain("cannot open", path);
    if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST) complain("cannot load", path);
    close(fd);
    /* The file has done its work: give its memory to the workload. */
    unlink(path);
}

void boot_load_modules(const char *list)
{
    char path[256];
    FILE *file = fopen(list, "re");
    if (!file) return complain("cannot open", list);
    while (fgets(path, sizeof path, file)) {
        path[strcspn(path, "\n")] = 0;
        if (*path) load_module(path);
    }
    fclose(file);
}

/* Opens the port. -1 when there is none yet; *seen tells whether its node is there already. */
static int find_port(int *seen)
{
    DIR *folder = opendir("/dev");
    int fd = -1;
    *seen = 0;
    for (struct dirent *entry; fd < 0 && folder && (entry = readdir(folder));)
        if (!strncmp(entry->d_name, "vport", 5)) {
            *seen = 1;
            fd = openat(dirfd(folder), entry->d_name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        }
    if (folder) closedir(folder);
    return fd;
}

int boot_open_port(void)
{
    char events[4096];
    int fd, seen, watch = inotify_init1(IN_CLOEXEC);
    inotify_add_watch(watch, "/dev", IN_CREATE);
    /* The port appears when host and guest driver have shaken hands, some time after the driver was loaded. Its node
     * does so a moment before the driver will open it, and of that moment's end nobody tells. */
    while ((fd = find_port(&seen)) < 0)
        if (seen) usleep(200);
        else if (read(watch, events, sizeof events) < 0 && errno != EINTR) break;
    close(watch);
    return fd;
}

void boot_restart(void)
{
    /* The machine runs with -no-reboot: a restart ends it, and sooner than switching it off. */
    reboot(RB_AUTOBOOT);
    for (;;) pause();
}
