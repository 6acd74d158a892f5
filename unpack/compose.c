// The cover of an image: a layer over all others that holds nothing but folders (and whiteouts), for the cases in which
// overlayfs by itself shows something else than the layers mean: a folder that a layer leaves out has the attributes of
// the layers below; a whiteout hides, and is never seen, where there is nothing to hide; a folder that is there for
// whiteouts only is not there at all when no layer has it.
#define _GNU_SOURCE
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

// Names are the only input of strangers here. Each is opened by itself in an open folder, and no link is followed.

// The kernel stacks no more layers.
#define MAX_LAYERS 500
#define MAX_XATTR_BYTES 65536

// The same folder in one layer.
struct part {
	int layer, fd;
	char kind;    // enum folder_kind; 0 for one that the layer describes
	bool content; // overlayfs shows what is in it; otherwise only its attributes may count
};

struct parts {
	struct part at[MAX_LAYERS];
	int count;
};

static struct {
	int count;
	int fds[MAX_LAYERS];
	struct folders lists[MAX_LAYERS];
} layers;

static void *candidates; // all folders of all lists
static size_t made;

static void read_lists(void)
{
	char *line = NULL;
	size_t size = 0, budget = 0;
	ssize_t length;
	int layer = 0;

	while (layer < layers.count && (length = getdelim(&line, &size, 0, stdin)) > 0) {
		struct folders *lists = &layers.lists[layer];
		if (length == 1) {
			layer++;
			continue;
		}
		char kind = line[0];
		if (kind == SEALED)
			continue;
		folder_set(kind == HIDING ? &lists->hiding : &lists->kinds, line + 1, kind, &lists->bytes);
		folder_set(&candidates, line + 1, kind, &budget);
		budget = 0;
	}
	free(line);
}

static bool is_opaque(int fd)
{
	char value;
	return fgetxattr(fd, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

static void parts_close(struct parts *parts)
{
	for (int i = 0; i < parts->count; i++)
		close(parts->at[i].fd);
	parts->count = 0;
}

// The parts of the folder `path`, whose name in its parent (with the parts `above`) is `name`.
static void find_parts(const struct parts *above, const char *name, const char *path, struct parts *found)
{
	bool content = true;

	found->count = 0;
	for (int i = 0; i < above->count; i++) {
		struct stat st;
		if (!above->at[i].content)
			continue;
		if (fstatat(above->at[i].fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
			if (errno == ENOENT)
				continue;
			fail_host(path, "cannot look at it in a layer", errno);
		}
		if (!S_ISDIR(st.st_mode))
			return;
		int fd = openat(above->at[i].fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			fail_host(path, "cannot open it in a layer", errno);
		int layer = above->at[i].layer;
		char kind = folder_kind(&layers.lists[layer].kinds, path);
		found->at[found->count++] = (struct part){layer, fd, kind, content};
		if (!is_opaque(fd))
			continue;
		// A folder that a layer makes anew has nothing of those below; a layer that only empties it keeps its attributes.
		if (kind != IMPLIED && kind != CARRIER)
			return;
		content = false;
	}
}

static void root_parts(struct parts *root)
{
	root->count = 0;
	for (int i = 0; i < layers.count; i++) {
		int fd = fcntl(layers.fds[i], F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			fail_host(".", "cannot open a layer", errno);
		char kind = folder_kind(&layers.lists[i].kinds, ".");
		root->at[root->count++] = (struct part){i, fd, kind, true};
	}
}

// The part that says what the folder is like.
static const struct part *describing(const struct parts *parts)
{
	for (int i = 0; i < parts->count; i++)
		if (parts->at[i].kind != IMPLIED && parts->at[i].kind != CARRIER)
			return &parts->at[i];
	return &parts->at[0];
}

static bool is_real(const struct parts *parts)
{
	for (int i = 0; i < parts->count; i++)
		if (parts->at[i].kind != CARRIER)
			return true;
	return false;
}

static bool shows_whiteouts(const struct parts *parts, const char *path)
{
	if (parts->count > 1 && parts->at[1].content)
		return false;
	return folder_kind(&layers.lists[parts->at[0].layer].hiding, path) != 0;
}

static void copy_attributes(int from, int to, const char *path)
{
	static char names[MAX_XATTR_BYTES], value[MAX_XATTR_BYTES];
	struct stat st;
	ssize_t length = flistxattr(from, names, sizeof names);

	if (fstat(from, &st) != 0 || length < 0)
		fail_host(path, "cannot read the folder's attributes", errno);
	for (char *name = names; name < names + length; name += strlen(name) + 1) {
		if (strncmp(name, "trusted.", strlen("trusted.")) == 0)
			continue;
		ssize_t size = fgetxattr(from, name, value, sizeof value);
		if (size < 0 || fsetxattr(to, name, value, (size_t)size, 0) != 0)
			fail_host(path, "cannot copy the folder's attributes", errno);
	}
	const struct timespec times[2] = {st.st_atim, st.st_mtim};
	if (fchown(to, st.st_uid, st.st_gid) != 0 || fchmod(to, st.st_mode & 07777) != 0 || futimens(to, times) != 0)
		fail_host(path, "cannot set the folder's attributes", errno);
}

// Making an entry changes the time of the folder that it is in.
static void keep_times(int parent, const struct stat *before)
{
	const struct timespec times[2] = {before->st_atim, before->st_mtim};
	futimens(parent, times);
}

// Opens the folder in the cover, made with the attributes that it is to have.
static int cover_folder(int parent, const char *name, const char *path, const struct parts *parts)
{
	struct stat before;

	if (fstat(parent, &before) != 0)
		fail_host(path, "cannot look at the cover", errno);
	bool is_new = mkdirat(parent, name, 0700) == 0;
	if (!is_new && errno != EEXIST)
		fail_host(path, "cannot make the folder", errno);
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		fail_host(path, "cannot open the folder", errno);
	if (is_new) {
		copy_attributes(describing(parts)->fd, fd, path);
		keep_times(parent, &before);
		made++;
	}
	return fd;
}

static void cover_whiteout(int parent, const char *name, const char *path)
{
	struct stat before;

	if (fstat(parent, &before) != 0 || mknodat(parent, name, S_IFCHR, makedev(0, 0)) != 0)
		fail_host(path, "cannot hide it", errno);
	keep_times(parent, &before);
	made++;
}

// Walks to `path` in all layers; with `cover` (the cover's root), makes every folder on the way in it, and the end as
// it is to be. Returns whether the cover needs that.
static bool walk(const char *path, int cover)
{
	static struct parts above, here;
	char part[PATH_MAX];
	bool needed = false;
	int parent = cover < 0 ? -1 : fcntl(cover, F_DUPFD_CLOEXEC, 0);

	root_parts(&above);
	for (const char *at = path; *at != '\0';) {
		const char *end = strchrnul(at, '/');
		snprintf(part, sizeof part, "%.*s", (int)(end - path), path);
		char *name = part + (at - path);
		find_parts(&above, name, part, &here);
		bool is_last = *end == '\0';
		if (here.count == 0 || (!is_last && !is_real(&here)))
			break;
		if (is_last && !is_real(&here)) {
			needed = true;
			if (cover >= 0)
				cover_whiteout(parent, name, path);
		} else if (is_last) {
			needed = describing(&here) != &here.at[0] || shows_whiteouts(&here, path);
		}
		if (cover >= 0 && is_real(&here)) {
			int next = cover_folder(parent, name, part, &here);
			close(parent);
			parent = next;
		}
		parts_close(&above);
		above = here;
		here.count = 0;
		at = is_last ? end : end + 1;
	}
	parts_close(&above);
	parts_close(&here);
	if (parent >= 0)
		close(parent);
	return needed;
}

// The root is in every layer, so that only what it is like may need a cover.
static bool compose_root(int cover, bool is_used)
{
	static struct parts root;

	root_parts(&root);
	const struct part *described = describing(&root);
	bool needed = described != &root.at[0] && described->kind == 0;
	if (is_used || needed)
		copy_attributes(described->fd, cover, ".");
	if (needed && !is_used)
		made++;
	parts_close(&root);
	return needed;
}

static int cover_root = -1;

static void compose_folder(const void *node, VISIT visit, void *unused)
{
	const struct folder *folder = *(struct folder *const *)node;

	(void)unused;
	if ((visit == leaf || visit == postorder) && strcmp(folder->path, ".") != 0 && walk(folder->path, -1))
		walk(folder->path, cover_root);
}

static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

void compose(const char *cover, int count, char *const *folders)
{
	if (count < 1 || count > MAX_LAYERS)
		fail(EXIT_USAGE, NULL, "an image has 1 to %d layers", MAX_LAYERS);
	raise_file_limit();
	layers.count = count;
	for (int i = 0; i < count; i++) {
		layers.fds[i] = open(folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (layers.fds[i] < 0)
			fail_host(folders[i], "cannot open the layer", errno);
	}
	cover_root = open(cover, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cover_root < 0)
		fail_host(cover, "cannot open it", errno);
	read_lists();
	twalk_r(candidates, compose_folder, NULL);
	compose_root(cover_root, made > 0);
	if (syncfs(cover_root) != 0)
		fail_host(NULL, "cannot flush the disk", errno);
	printf("{\"bytes\":0,\"entries\":%zu}\n", made);
	exit(0);
}
