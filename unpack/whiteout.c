// OCI whiteouts (".wh.NAME", ".wh..wh..opq") into overlayfs form (a 0/0 character device, trusted.overlay.opaque).
// A whiteout hides what lower layers have; what its own layer has stays, wherever in the archive it stands.
#define _GNU_SOURCE
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PREFIX ".wh."
#define META_PREFIX ".wh..wh."
#define OPAQUE ".wh..wh..opq"

bool is_whiteout(const struct stat *st)
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

// The folder's own path from the root, whatever links the archive's name of it goes through.
static void own_path(const char *folder, char *out)
{
	char real[PATH_MAX];

	if (*folder == '\0') {
		*out = '\0';
		return;
	}
	if (realpath(folder, real) == NULL)
		fail_host(folder, "cannot look at the folder", errno);
	memcpy(out, real + 1, strlen(real));
}

static void note(struct unpacker *u, const char *folder, enum folder_kind kind)
{
	char path[PATH_MAX];

	own_path(folder, path);
	folder_set(&u->folders.kinds, path, (char)kind, &u->folders.bytes);
}

// Makes a folder above an entry. Returns false when the layer deletes that folder and the entry is a whiteout.
static bool make_parent(struct unpacker *u, const char *path, bool is_content)
{
	struct stat st;

	if (lstat(path, &st) != 0) {
		if (errno != ENOENT || mkdir(path, 0755) != 0)
			fail_host(path, "cannot make the folder", errno);
		note(u, path, is_content ? IMPLIED : CARRIER);
		return true;
	}
	if (is_whiteout(&st)) {
		if (!is_content)
			return false;
		whiteout_to_folder(path);
		note(u, path, FRESH);
		return true;
	}
	if (S_ISLNK(st.st_mode) && stat(path, &st) != 0)
		fail(EXIT_BAD_ARCHIVE, path, "is a link to what is not in the layer, and entries are in it");
	if (!S_ISDIR(st.st_mode)) {
		if (unlink(path) != 0 || mkdir(path, 0755) != 0)
			fail_host(path, "cannot make the folder", errno);
		note(u, path, is_content ? IMPLIED : CARRIER);
	} else if (is_content && u->folders.kinds != NULL) {
		char own[PATH_MAX];
		own_path(path, own);
		if (folder_kind(&u->folders.kinds, own) == CARRIER)
			folder_set(&u->folders.kinds, own, IMPLIED, &u->folders.bytes);
	}
	return true;
}

bool make_parents(struct unpacker *u, const char *name, bool is_content)
{
	char path[PATH_MAX];
	const char *last = strrchr(name, '/');
	size_t length = last == NULL ? 0 : (size_t)(last - name);

	if (is_content && length > 0 && strncmp(u->parent, name, length) == 0 && u->parent[length] == '\0')
		return true;
	snprintf(path, sizeof path, "%s", name);
	for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (!make_parent(u, path, is_content))
			return false;
		*slash = '/';
	}
	path[length] = '\0';
	own_path(path, u->inside);
	memcpy(u->parent, path, is_content ? length + 1 : 1);
	if (!is_content)
		u->parent[0] = '\0';
	return true;
}

// The path of an entry whose folder was made sure of last.
static void entry_path(const struct unpacker *u, const char *base, char *out)
{
	if (snprintf(out, PATH_MAX, "%s%s%s", u->inside, *u->inside == '\0' ? "" : "/", base) >= PATH_MAX)
		fail(EXIT_BAD_ARCHIVE, base, "the path is longer than %d bytes", PATH_MAX - 1);
}

bool make_room(struct unpacker *u, const char *name, bool is_folder)
{
	struct stat st;
	char path[PATH_MAX];
	const char *slash = strrchr(name, '/');

	if (!u->plain)
		make_parents(u, name, true);
	if (is_folder && !u->plain) {
		entry_path(u, slash == NULL ? name : slash + 1, path);
		folder_forget(&u->folders.kinds, path);
	}
	if (lstat(name, &st) != 0)
		return false;
	if (S_ISDIR(st.st_mode) && is_folder)
		return false;
	if (S_ISDIR(st.st_mode))
		u->parent[0] = '\0';
	remove_tree(name);
	return is_whiteout(&st);
}

static void hide(struct unpacker *u, const char *name, const char *path)
{
	struct stat st;

	if (lstat(name, &st) == 0) {
		if (!S_ISDIR(st.st_mode))
			return;
		char kind = folder_kind(&u->folders.kinds, path);
		if (kind == IMPLIED)
			folder_set(&u->folders.kinds, path, FRESH, &u->folders.bytes);
		if (kind != CARRIER) {
			set_opaque(name);
			return;
		}
		// The folder holds whiteouts only, and is deleted itself.
		folder_forget(&u->folders.kinds, path);
		remove_tree(name);
		u->parent[0] = '\0';
	} else if (errno != ENOENT) {
		fail_host(name, "cannot look at what is to be hidden", errno);
	}
	if (mknod(name, S_IFCHR, makedev(0, 0)) != 0)
		fail_host(name, "cannot make the whiteout", errno);
	folder_set(&u->folders.hiding, *u->inside == '\0' ? "." : u->inside, HIDING, &u->folders.bytes);
}

bool apply_whiteout(struct unpacker *u, const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash == NULL ? name : slash + 1;
	char path[PATH_MAX], own[PATH_MAX];
	int folder = (int)(base - name);

	if (strncmp(base, PREFIX, strlen(PREFIX)) != 0)
		return false;
	if (strcmp(base, OPAQUE) == 0) {
		if (!make_parents(u, name, false))
			return true;
		u->is_sealed |= *u->inside == '\0';
		if (*u->inside != '\0')
			set_opaque(u->inside);
		return true;
	}
	// Bookkeeping of the aufs driver that never was content.
	if (strncmp(base, META_PREFIX, strlen(META_PREFIX)) == 0)
		return true;
	const char *hidden = base + strlen(PREFIX);
	if (*hidden == '\0' || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
		fail(EXIT_BAD_ARCHIVE, name, "the whiteout names nothing");
	if (!make_parents(u, name, false))
		return true;
	snprintf(path, sizeof path, "%.*s%s", folder, name, hidden);
	entry_path(u, hidden, own);
	hide(u, path, own);
	return true;
}
