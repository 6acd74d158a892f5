/* QEMU's root: the programs and libraries of the host, read-only, and the devices it needs; no home, no settings, no sockets
 * and no state of the host. It is built over /dev, a folder that every host has. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "own-mounts.h"
#include "vm-process.h"

#define ROOT "/dev"
#define SEALED (MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)

static int make_folders(char *path)
{
    for (char *slash = path + sizeof ROOT; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        int made = mkdir(path, 0755);
        *slash = '/';
        if (made < 0 && errno != EEXIST) return -1;
    }
    return 0;
}

/* The same file, folder or link at the same place. What the host does not have is left out. */
static int show(const char *path)
{
    char target[4096], link[256] = "";
    struct stat info;
    if (lstat(path, &info) < 0) return errno == ENOENT ? 0 : -1;
    if (snprintf(target, sizeof target, ROOT "%s", path) >= (int)sizeof target) return errno = ENAMETOOLONG, -1;
    if (make_folders(target) < 0) return -1;
    if (S_ISLNK(info.st_mode)) return readlink(path, link, sizeof link - 1) < 0 ? -1 : symlink(link, target);
    int made = S_ISDIR(info.st_mode) ? mkdir(target, 0755) : mknod(target, S_IFREG | 0600, 0);
    if (made < 0 && errno != EEXIST) return -1;
    return mount(path, target, NULL, MS_BIND, NULL) < 0 ? -1 : mount(NULL, target, NULL, SEALED, NULL);
}

/* Local programs and sources are nobody's business, unless QEMU is one of them. */
static int hide(const char *path, const char *program)
{
    char target[64];
    size_t length = strlen(path);
    snprintf(target, sizeof target, ROOT "%s", path);
    if (access(target, F_OK) < 0 || (!strncmp(program, path, length) && program[length] == '/')) return 0;
    return mount("berth", target, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "size=4k,mode=755");
}

static int make_devices(uid_t uid, int kvm)
{
    static const struct {
        const char *path;
        int major, minor;
    } nodes[] = {{ROOT "/dev/null", 1, 3}, {ROOT "/dev/zero", 1, 5}, {ROOT "/dev/random", 1, 8}, {ROOT "/dev/urandom", 1, 9}};
    if (mkdir(ROOT "/dev", 0755) < 0) return -1;
    umask(0);
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
        if (mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0) return -1;
    umask(022);
    if (!kvm) return 0;
    return mknod(ROOT "/dev/kvm", S_IFCHR | 0600, makedev(10, 232)) < 0 ? -1 : chown(ROOT "/dev/kvm", uid, uid);
}

/* Its own processes and nothing of the kernel's settings, where the kernel can show so little (Linux 5.8). */
static int show_processes(void)
{
    const unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mkdir(ROOT "/proc", 0755) < 0) return -1;
    if (mount("proc", ROOT "/proc", "proc", safe, "subset=pid,hidepid=2") == 0) return 0;
    return mount("proc", ROOT "/proc", "proc", safe, "hidepid=2");
}

int root_enter(const char *program, uid_t uid, int kvm)
{
    static const char *const shown[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
                                        "/etc/ld.so.cache", "/etc/alternatives"};
    if (mount("berth", ROOT, "tmpfs", MS_NOSUID, "size=256k,mode=755") < 0) return -1;
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (show(shown[i]) < 0) return -1;
    if (hide("/usr/local", program) < 0 || hide("/usr/src", program) < 0) return -1;
    if (strncmp(program, "/usr/", 5) && show(program) < 0) return -1;
    if (make_devices(uid, kvm) < 0 || show_processes() < 0 || chdir(ROOT) < 0 || own_mounts_root() < 0) return -1;
    return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL);
}
