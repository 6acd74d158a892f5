// berth-unpack: unpacks one layer (an uncompressed tar on standard input) into a folder, in overlayfs form; or, plainly,
// any tar as it is.
// Owns the translation of OCI whiteouts and every check of what a layer may contain. Never decompresses, never
// looks a user name up, and never resolves a path outside the target: it chroots into it before reading a byte.
#ifndef BERTH_UNPACK_H
#define BERTH_UNPACK_H

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum {
	EXIT_BAD_ARCHIVE = 1, // the archive breaks a rule; stderr names the entry
	EXIT_USAGE = 2,
	EXIT_HOST = 3,     // the host cannot do it, e.g. an I/O error
	EXIT_NO_SPACE = 4, // the disk or quota is full
};

// Larger than any file system of ours can hold; a sparse file may say so without having the content.
#define MAX_FILE_BYTES ((int64_t)1 << 44)

struct limits {
	uint64_t max_bytes;
	uint64_t max_entries;
	unsigned max_depth;
};

struct unpacker {
	struct limits limits;
	struct archive *disk;
	uint64_t bytes;   // content written so far
	uint64_t entries; // headers read so far
	bool plain;       // no layer: whiteout names mean nothing, devices and all attributes are allowed
	bool whiteouts;   // whether any whiteout was made, so that parents need a look
	bool has_root;    // whether the archive describes the root folder itself, as follows
	mode_t root_mode;
	uid_t root_uid;
	gid_t root_gid;
	struct timespec root_mtime;
};

// names.c
// Prints "berth-unpack: ENTRY: message" as one line of printable characters and exits.
_Noreturn void fail(int status, const char *entry, const char *format, ...) __attribute__((format(printf, 3, 4)));
// As fail, with a status that tells a full disk from other troubles of the host.
_Noreturn void fail_host(const char *entry, const char *doing, int error);
// Puts the name relative to the root into `out` (PATH_MAX bytes; "." is the root itself); exits if it is not allowed.
void clean_name(const struct unpacker *u, const char *raw, const char *what, char *out);

// confine.c
// Makes `target` the root, in namespaces of its own, and gives up every privilege and system call that unpacking does not
// need. `devices`: whether the archive may hold some.
void confine(const char *target, bool devices);

// filter.c
// 0, or -1 with errno.
int filter_unpacking(bool devices);

// whiteout.c
// Handles the entry if its name is a whiteout's; false when it is an ordinary entry.
bool apply_whiteout(struct unpacker *u, const char *name);
// Makes room for an entry: what is in its way is removed. True when a whiteout was, so that a new folder is opaque.
bool make_room(struct unpacker *u, const char *name, bool is_folder);
void set_opaque(const char *folder);

// entry.c
void unpack_entry(struct unpacker *u, struct archive *in, struct archive_entry *entry);
// Gives the root folder its owner, mode and time, after everything that would change them again.
void finish_root(const struct unpacker *u);

#endif
