// One entry of the archive: what is allowed, and its way to disk.
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

struct xattr_copy {
	char *name;
	void *value;
	size_t size;
	struct xattr_copy *next;
};

static bool is_allowed_xattr(const char *name)
{
	return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0;
}

// Drops attributes that a layer must not set, trusted.overlay.* above all: they would steer overlayfs.
static void filter_xattrs(struct archive_entry *entry)
{
	struct xattr_copy *kept = NULL;
	const char *name;
	const void *value;
	size_t size;
	bool dropped = false;

	if (archive_entry_xattr_count(entry) == 0)
		return;
	archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		if (!is_allowed_xattr(name)) {
			dropped = true;
			continue;
		}
		struct xattr_copy *copy = malloc(sizeof *copy);
		char *copied_name = strdup(name);
		void *copied = malloc(size + 1);
		if (copy == NULL || copied_name == NULL || copied == NULL)
			fail_host(archive_entry_pathname(entry), "cannot keep its attributes", ENOMEM);
		*copy = (struct xattr_copy){copied_name, copied, size, kept};
		memcpy(copied, value, size);
		kept = copy;
	}
	if (dropped)
		archive_entry_xattr_clear(entry);
	while (kept != NULL) {
		struct xattr_copy *next = kept->next;
		if (dropped)
			archive_entry_xattr_add_entry(entry, kept->name, kept->value, kept->size);
		free(kept->name);
		free(kept->value);
		free(kept);
		kept = next;
	}
}

// What went wrong is the archive's fault unless the disk write failed for a reason of the host's.
_Noreturn static void fail_disk(struct unpacker *u, const char *name)
{
	int error = archive_errno(u->disk);
	const char *text = archive_error_string(u->disk);

	if (error == ENOSPC || error == EDQUOT)
		fail_host(name, "cannot write", error);
	fail(error == EIO || error == EROFS || error == ENOMEM ? EXIT_HOST : EXIT_BAD_ARCHIVE, name, "%s",
	     text == NULL ? "cannot write" : text);
}

_Noreturn static void fail_read(struct archive *in, const char *name)
{
	const char *text = archive_error_string(in);
	fail(EXIT_BAD_ARCHIVE, name, "the archive is damaged: %s", text == NULL ? "unreadable" : text);
}

// Devices are made as the layer says and never opened. False when the entry is to be left out.
static bool check_device(struct archive_entry *entry, const char *name)
{
	mode_t type = archive_entry_filetype(entry);

	if (type == S_IFSOCK)
		return false;
	if (type == S_IFCHR && archive_entry_rdevmajor(entry) == 0 && archive_entry_rdevminor(entry) == 0)
		fail(EXIT_BAD_ARCHIVE, name,
		     "is an overlayfs whiteout device; an image layer marks deletions by .wh. names");
	return true;
}

static void check_size(const struct unpacker *u, struct archive_entry *entry, const char *name)
{
	int64_t size = archive_entry_size(entry);

	if (!archive_entry_size_is_set(entry))
		return;
	if (size < 0 || size > MAX_FILE_BYTES)
		fail(EXIT_BAD_ARCHIVE, name, "has the absurd size of %lld bytes", (long long)size);
	if (archive_entry_sparse_count(entry) == 0 && (uint64_t)size > u->limits.max_bytes - u->bytes)
		fail(EXIT_BAD_ARCHIVE, name, "exceeds the limit of %llu unpacked bytes",
		     (unsigned long long)u->limits.max_bytes);
}

static void copy_content(struct unpacker *u, struct archive *in, const char *name)
{
	const void *block;
	size_t size;
	int64_t offset;
	int result;

	while ((result = archive_read_data_block(in, &block, &size, &offset)) == ARCHIVE_OK) {
		if (size > u->limits.max_bytes - u->bytes)
			fail(EXIT_BAD_ARCHIVE, name, "exceeds the limit of %llu unpacked bytes",
			     (unsigned long long)u->limits.max_bytes);
		u->bytes += size;
		if (archive_write_data_block(u->disk, block, size, offset) < ARCHIVE_OK)
			fail_disk(u, name);
	}
	if (result != ARCHIVE_EOF)
		fail_read(in, name);
}

static void write_entry(struct unpacker *u, struct archive *in, struct archive_entry *entry, const char *name)
{
	int result = archive_write_header(u->disk, entry);

	if (result < ARCHIVE_WARN)
		fail_disk(u, name);
	if (archive_entry_size(entry) > 0)
		copy_content(u, in, name);
	int finished = archive_write_finish_entry(u->disk);
	// Attributes that a symbolic link cannot have are the one thing that may be lost.
	if (finished < ARCHIVE_WARN || (finished == ARCHIVE_WARN && archive_entry_filetype(entry) != S_IFLNK))
		fail_disk(u, name);
}

static void note_root(struct unpacker *u, struct archive_entry *entry)
{
	const char *name;
	const void *value;
	size_t size;

	if (archive_entry_hardlink(entry) != NULL || archive_entry_filetype(entry) != S_IFDIR)
		fail(EXIT_BAD_ARCHIVE, archive_entry_pathname(entry), "the root of the layer is not a folder");
	u->has_root = true;
	u->root_mode = archive_entry_perm(entry);
	u->root_uid = (uid_t)archive_entry_uid(entry);
	u->root_gid = (gid_t)archive_entry_gid(entry);
	u->root_mtime.tv_sec = archive_entry_mtime(entry);
	u->root_mtime.tv_nsec = archive_entry_mtime_nsec(entry);
	if (u->plain)
		return;
	filter_xattrs(entry);
	archive_entry_xattr_reset(entry);
	while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK)
		if (setxattr(".", name, value, size, 0) != 0)
			fail_host(".", "cannot set the root folder's attributes", errno);
}

void finish_root(const struct unpacker *u)
{
	const struct timespec times[2] = {u->root_mtime, u->root_mtime};

	if (u->plain && !u->has_root)
		return;
	if (chown(".", u->root_uid, u->root_gid) != 0 || chmod(".", u->root_mode) != 0 ||
	    utimensat(AT_FDCWD, ".", times, 0) != 0)
		fail_host(".", "cannot set the root folder's attributes", errno);
}

void unpack_entry(struct unpacker *u, struct archive *in, struct archive_entry *entry)
{
	char name[PATH_MAX], target[PATH_MAX];
	const char *raw = archive_entry_pathname(entry);
	const char *link = archive_entry_hardlink(entry);

	if (raw == NULL)
		fail(EXIT_BAD_ARCHIVE, NULL, "entry %llu has no name", (unsigned long long)u->entries);
	clean_name(u, raw, "the name", name);
	if (strcmp(name, ".") == 0) {
		note_root(u, entry);
		return;
	}
	if (link != NULL) {
		clean_name(u, link, "the target of the hard link", target);
		struct stat st;
		if (lstat(target, &st) != 0)
			fail(EXIT_BAD_ARCHIVE, name, "is a hard link to %s, which is not in the layer", target);
		if (strcmp(target, name) == 0)
			return;
	}
	if (!u->plain && apply_whiteout(u, name))
		return;
	if (!u->plain && link == NULL && !check_device(entry, name))
		return;
	check_size(u, entry, name);
	if (!u->plain)
		filter_xattrs(entry);
	bool is_folder = link == NULL && archive_entry_filetype(entry) == S_IFDIR;
	bool was_hidden = make_room(u, name, is_folder);
	archive_entry_copy_pathname(entry, name);
	if (link != NULL)
		archive_entry_copy_hardlink(entry, target);
	write_entry(u, in, entry, name);
	if (was_hidden && is_folder)
		set_opaque(name);
}
