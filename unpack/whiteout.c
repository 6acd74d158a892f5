// OCI whiteouts (".wh.NAME", ".wh..wh..opq") into overlayfs form (a 0/0 character device, trusted.overlay.opaque).
// A whiteout hides what lower layers have; what its own layer has stays, wherever in the archive it stands.
#define _GNU_SOURCE
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PREFIX ".wh."
#define META_PREFIX ".wh..wh."
#define OPAQUE ".wh..wh..opq"

static bool is_whiteout(const struct stat *st)
{
	return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

void set_opaque(const char *folder)
{
	if (setxattr(folder, "trusted.overlay.opaque", "y", 1, 0) != 0)
		fail_host(folder, "cannot mark the folder opaque", errno);
}

static void remove_tree(const char *name)
{
	char *const roots[] = {(char *)name, NULL};
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	FTSENT *node;

	if (tree == NULL)
		fail_host(name, "cannot replace", errno);
	while ((node = fts_read(tree)) != NULL) {
		if (node->fts_info == FTS_D)
			continue;
		if (node->fts_info == FTS_DNR || node->fts_info == FTS_ERR)
			fail_host(name, "cannot replace", node->fts_errno);
		int failed = node->fts_info == FTS_DP ? rmdir(node->fts_accpath) : unlink(node->fts_accpath);
		if (failed != 0)
			fail_host(name, "cannot replace", errno);
	}
	fts_close(tree);
}

// Replaces a whiteout by an empty opaque folder: the same to lower layers, and it can hold entries.
static void whiteout_to_folder(const char *name)
{
	if (unlink(name) != 0 || mkdir(name, 0755) != 0)
		fail_host(name, "cannot make the folder", errno);
	set_opaque(name);
}

static void make_parents(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof path, "%s", name);
	for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (lstat(path, &st) != 0) {
			if (errno != ENOENT || mkdir(path, 0755) != 0)
				fail_host(path, "cannot make the folder", errno);
		} else if (is_whiteout(&st)) {
			whiteout_to_folder(path);
		}
		*slash = '/';
	}
}

bool make_room(struct unpacker *u, const char *name, bool is_folder)
{
	struct stat st;

	if (u->whiteouts)
		make_parents(name);
	if (lstat(name, &st) != 0)
		return false;
	if (S_ISDIR(st.st_mode) && is_folder)
		return false;
	remove_tree(name);
	return is_whiteout(&st);
}

static void hide(const char *name)
{
	struct stat st;

	if (lstat(name, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			set_opaque(name);
		return;
	}
	if (errno != ENOENT || mknod(name, S_IFCHR, makedev(0, 0)) != 0)
		fail_host(name, "cannot make the whiteout", errno);
}

bool apply_whiteout(struct unpacker *u, const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash == NULL ? name : slash + 1;
	char path[PATH_MAX];
	int folder = (int)(base - name);

	if (strncmp(base, PREFIX, strlen(PREFIX)) != 0)
		return false;
	if (strcmp(base, OPAQUE) == 0) {
		u->whiteouts = true;
		make_parents(name);
		snprintf(path, sizeof path, "%.*s", folder, name);
		set_opaque(folder == 0 ? "." : path);
		return true;
	}
	// Bookkeeping of the aufs driver that never was content.
	if (strncmp(base, META_PREFIX, strlen(META_PREFIX)) == 0)
		return true;
	const char *hidden = base + strlen(PREFIX);
	if (*hidden == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
		fail(EXIT_BAD_ARCHIVE, name, "the whiteout names nothing");
	u->whiteouts = true;
	make_parents(name);
	snprintf(path, sizeof path, "%.*s%s", folder, name, hidden);
	hide(path);
	return true;
}
