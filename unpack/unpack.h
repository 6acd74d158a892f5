// berth-unpack: unpacks one layer (an uncompressed tar on standard input) into a folder, in overlayfs form; or, plainly,
// any tar as it is.
// Owns the translation of OCI whiteouts and every check of what a layer may contain. Never decompresses, never
// looks a user name up, and never resolves a path outside the target: it chroots into it before reading a byte.
#ifndef BERTH_UNPACK_H
#define BERTH_UNPACK_H

#include <archive.h>
#include <archive_entry.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
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

// Folders that later steps must know of: those that the layer leaves out although something is in them, whose
// attributes are those of the layers below, and those that hold whiteouts. Both by their path from the root.
struct folders {
	void *kinds;  // a tree of struct folder
	void *hiding; // a tree of struct folder
	size_t bytes;
};

enum folder_kind {
	IMPLIED = 'i', // the layer has something in the folder, and not the folder
	CARRIER = 'c', // as IMPLIED, but all that is in it are whiteouts
	FRESH = 'n',   // as IMPLIED, and the layer deletes what the layers below have of this name
	HIDING = 'w',  // at least one whiteout is in the folder
	SEALED = 'o',  // said of the root only: nothing of the layers below is left
};

struct folder {
	char kind; // enum folder_kind
	char path[];
};

struct unpacker {
	struct limits limits;
	struct archive *disk;
	uint64_t bytes;   // content written so far
	uint64_t entries; // headers read so far
	bool plain;       // no layer: whiteout names mean nothing, devices and all attributes are allowed
	struct folders folders;
	char parent[PATH_MAX]; // the folder that was last made sure of, as the archive names it; empty when none is
	char inside[PATH_MAX]; // the same folder by its own path, without links; "" for the root
	bool is_sealed;   // whether the layer empties the root, which overlayfs takes from all layers
	bool has_root;    // whether the archive describes the root folder itself, as follows
	mode_t root_mode; // 0755 unless it does
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
// need.
void confine(const char *target);

// filter.c
// 0, or -1 with errno.
int filter_unpacking(void);

// whiteout.c
// Handles the entry if its name is a whiteout's; false when it is an ordinary entry.
bool apply_whiteout(struct unpacker *u, const char *name);
// Makes room for an entry: what is in its way is removed. True when a whiteout was, so that a new folder is opaque.
bool make_room(struct unpacker *u, const char *name, bool is_folder);
bool is_whiteout(const struct stat *st);
void set_opaque(const char *folder);
// Makes the folders above the entry that the layer has not described so far. False, and nothing is made, when a
// whiteout (`is_content` false) would be in a folder that the layer deletes.
bool make_parents(struct unpacker *u, const char *name, bool is_content);

// folders.c
// The kind of the folder in one of the trees, 0 when it is not there.
char folder_kind(void *const *tree, const char *path);
// Puts the folder into the tree or changes its kind; `budget` counts the bytes that the trees take.
void folder_set(void **tree, const char *path, char kind, size_t *budget);
void folder_forget(void **tree, const char *path);
// Gives the folders that the layer left out a time that is the same whenever the layer is unpacked.
void folders_settle(const struct folders *folders);
// Writes a byte for the kind, the path and a zero byte for each folder.
void folders_print(const struct folders *folders, FILE *out);

// compose.c
// Fills the folder `cover` with what has to lie over the layers (uppermost first), so that overlayfs shows what the
// layers mean together; standard input has what folders_print told of each, every list ended by an empty path.
// Exits with 0, and prints how many entries the cover has.
_Noreturn void compose(const char *cover, int count, char *const *layers);

// entry.c
void unpack_entry(struct unpacker *u, struct archive *in, struct archive_entry *entry);
// Gives the root folder its owner, mode and time, after everything that would change them again.
void finish_root(const struct unpacker *u);

#endif
