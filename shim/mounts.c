#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "container.h"
#include "image.h"
#include "own-mounts.h"
#include "place.h"
#include "read-only.h"
#include "resolve.h"
#include "upper.h"

static char problem[1024];

static const char *failed(const char *what)
{
    snprintf(problem, sizeof problem, "%s: %s", what, strerror(errno));
    return problem;
}

static int shared[MAX_SHARED];

/* Copies that stay peers of the host's mounts, which is over for all that is in our namespace when it becomes slave. */
static const char *take_shared(void)
{
    for (size_t i = 0; i < container.shared_count; i++) {
        unsigned flags = OPEN_TREE_CLONE | AT_RECURSIVE | O_CLOEXEC;
        shared[i] = (int)syscall(SYS_open_tree, AT_FDCWD, container.shared[i], flags);
        if (shared[i] < 0) return failed(container.shared[i]);
    }
    return NULL;
}

static const char *place_shared(void)
{
    char target[64];
    struct stat info;
    for (size_t i = 0; i < container.shared_count; i++) {
        snprintf(target, sizeof target, "run/shared.%zu", i);
        if (fstat(shared[i], &info) < 0) return failed(container.shared[i]);
        int made = S_ISDIR(info.st_mode) ? mkdir(target, 0755) : mknod(target, S_IFREG | 0644, 0);
        if (made < 0 || syscall(SYS_move_mount, shared[i], "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
            return failed(container.shared[i]);
        close(shared[i]);
    }
    return NULL;
}

static const char *uppermost(void)
{
    return container.layer_count ? container.layers[container.layer_count - 1] : NULL;
}

static int make_folders(void)
{
    static const char *const names[] = {"run", "work", "rootfs"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (mkdir(names[i], i ? 0755 : 0700) < 0 && errno != EEXIST) return -1;
    return upper_make("upper", uppermost());
}

static int bind_read_only(const char *source, const char *target)
{
    if (mount(source, target, NULL, MS_BIND, NULL) < 0) return -1;
    return mount("", target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID, NULL);
}

static int mount_run(void)
{
    if (mount("tmpfs", "run", "tmpfs", MS_NOSUID | MS_NODEV, "size=8m,nr_inodes=4k,mode=700") < 0) return -1;
    if (write_file("run/runtime", "", 0) < 0 || bind_read_only(container.runtime_binary, "run/runtime") < 0) return -1;
    if (mkdir("run/state", 0700) < 0 || mkdir("run/empty", 0755) < 0) return -1;
    if (!container.cover) return 0;
    return mkdir("run/cover", 0755) < 0 ? -1 : mount("run/cover", container.cover, NULL, MS_BIND, NULL);
}

/* Where upper and work lie: in the instance's folder, or in a file system of limited size. For who asks what changed,
 * the former is to be found in its place all the same. */
static const char *mount_layer(void)
{
    if (!container.layer_image) return "";
    if (mkdir("run/layer", 0700) < 0 || image_mount(container.layer_image, "run/layer") < 0) return NULL;
    if (upper_make("run/layer/upper", uppermost()) < 0) return NULL;
    if (mkdir("run/layer/work", 0755) < 0 && errno != EEXIST) return NULL;
    return mount("run/layer/upper", "upper", NULL, MS_BIND, NULL) < 0 ? NULL : "run/layer/";
}

/* A volatile overlay leaves this mark, by which the kernel refuses the layer ever after: its data may have been lost
 * with the host's power. Whoever asked for an ephemeral layer has agreed to that. */
static void forget_volatile(const char *where)
{
    static const char *const marks[] = {"/volatile/dirty", "/volatile", ""};
    char path[128];
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        snprintf(path, sizeof path, "%swork/work/incompat%s", where, marks[i]);
        remove(path);
    }
}

/* Layers are named by links in run/, or many long names would not fit into the one page that mount takes. */
static int mount_rootfs(const char *where)
{
    struct buffer data = {0};
    char link[32];
    buffer_text(&data, "lowerdir=");
    for (size_t i = container.layer_count; i-- > 0;) {
        snprintf(link, sizeof link, "run/%zu", i);
        if (symlink(container.layers[i], link) < 0) return -1;
        buffer_text(&data, link);
        if (i) buffer_text(&data, ":");
    }
    if (!container.layer_count) buffer_text(&data, "run/empty");
    buffer_text(&data, ",upperdir=");
    buffer_text(&data, where);
    buffer_text(&data, "upper,workdir=");
    buffer_text(&data, where);
    buffer_text(&data, "work");
    if (!access("/sys/module/overlay/parameters/index", F_OK)) buffer_text(&data, ",index=off");
    /* A layer of its own is another file system than the image: inode numbers of both must not meet. */
    if (*where && !access("/sys/module/overlay/parameters/xino_auto", F_OK)) buffer_text(&data, ",xino=on");
    if (container.ephemeral) buffer_text(&data, ",volatile");
    buffer_append(&data, "", 1);
    int result = mount("overlay", "rootfs", "overlay", 0, buffer_head(&data));
    buffer_free(&data);
    return result;
}

const char *mounts_prepare(void)
{
    if (make_folders() < 0) return failed("cannot make the instance's folders");
    const char *broken = take_shared();
    if (broken) return broken;
    if (own_mounts() < 0) return failed("cannot make a mount namespace");
    if (mount_run() < 0) return failed("cannot mount the supervisor's folder");
    if ((broken = place_shared())) return broken;
    const char *where = mount_layer();
    if (!where) return failed("cannot mount the writable layer");
    forget_volatile(where);
    if (mount_rootfs(where) < 0) return failed("cannot mount the root file system (overlay)");
    return NULL;
}

static int sources;

const char *mounts_sources(const struct fields *request)
{
    static int done;
    size_t cursor = 0;
    char path[64];
    struct source source;
    for (int found; !done && (found = source_next(request, &cursor, &source));) {
        if (found < 0) return "incomplete source";
        snprintf(path, sizeof path, "run/source.%d", source.number);
        sources = source.number + 1;
        if (source_bind("run/image", &source, path) == 0) continue;
        int part = *source.subpath != 0;
        snprintf(problem, sizeof problem, "cannot mount %s%s%s: %s",
                 part ? source.subpath : *source.image ? source.image : source.root, part ? " of the volume " : "",
                 part ? source.root : "", bind_problem(errno));
        return problem;
    }
    done = 1;
    return NULL;
}

void mounts_release(void)
{
    char path[64];
    if (!sources && !container.layer_image) return;
    umount2("rootfs", MNT_DETACH);
    umount2("upper", MNT_DETACH);
    umount2("run/layer", MNT_DETACH);
    for (int i = 0; i < sources; i++) {
        snprintf(path, sizeof path, "run/source.%d", i);
        umount2(path, MNT_DETACH);
    }
}

static const char *make_target(int root, const char *target, int is_folder)
{
    if (!place_dangles(root, target)) return NULL;
    int fd = place_make(root, target, is_folder);
    if (fd < 0) return failed(target);
    close(fd);
    return NULL;
}

/* Makes what mounts are to be put over where their targets are links that lead nowhere: runtimes refuse those. */
const char *mounts_targets(const struct fields *request)
{
    static const char *const own[] = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"};
    size_t cursor = 0;
    const char *source, *broken = NULL;
    int root = open("rootfs", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; !broken && i < sizeof own / sizeof *own; i++) broken = make_target(root, own[i], 0);
    while (!broken && (source = fields_next(request, "mount", &cursor))) {
        struct stat info;
        const char *target = fields_next(request, "mount", &cursor);
        if (!fields_next(request, "mount", &cursor)) broken = "incomplete mount";
        /* A source that is not there is the runtime's to refuse. */
        else if (stat(source, &info) == 0) broken = make_target(root, target, S_ISDIR(info.st_mode));
    }
    close(root);
    return broken;
}

const char *mounts_bind(const char *source, const char *target, int read_only)
{
    struct stat info;
    char path[64];
    int root = open("rootfs", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || stat(source, &info) < 0) return failed(source);
    int fd = place_make(root, target, S_ISDIR(info.st_mode));
    close(root);
    if (fd < 0) return failed(target);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int result = mount(source, path, NULL, MS_BIND | MS_REC, NULL);
    close(fd);
    if (result < 0) return failed(target);
    if (!read_only) return NULL;
    root = open("rootfs", O_PATH | O_DIRECTORY | O_CLOEXEC);
    fd = resolve(root, target, O_PATH);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    /* The mounts below are so already, if they are to be. */
    result = bind_restrict(path, "ro-top");
    close(fd);
    close(root);
    return result < 0 ? failed(target) : NULL;
}
