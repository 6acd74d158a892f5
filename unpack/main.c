// berth-unpack [--max-bytes N] [--max-entries N] [--max-depth N] [--sync] [--plain] FOLDER < layer.tar
// Prints {"bytes":N,"entries":N} when all is unpacked, and behind that line the folders that a cover may be needed for
// (folders_print); otherwise one line on stderr that names the entry.
// berth-unpack --compose COVER LAYER... < folders of the layers, uppermost first
// Fills the folder COVER with what belongs over the layers (compose), and prints the same line.
#define _GNU_SOURCE
#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_BYTES (1 << 20)

struct options {
	struct limits limits;
	bool sync, plain, compose;
	const char *target;
	int layer_count;
	char *const *layers;
};

static uint64_t parse_number(const char *text)
{
	char *end;
	errno = 0;
	uint64_t value = strtoull(text, &end, 10);
	if (errno != 0 || *text == '\0' || *text == '-' || *end != '\0')
		fail(EXIT_USAGE, text, "is not a number");
	return value;
}

static struct options parse_options(int argc, char **argv)
{
	static const struct option names[] = {
		{"max-bytes", required_argument, NULL, 'b'}, {"max-entries", required_argument, NULL, 'e'},
		{"max-depth", required_argument, NULL, 'd'}, {"sync", no_argument, NULL, 's'},
		{"plain", no_argument, NULL, 'p'},	      {"compose", no_argument, NULL, 'c'},
		{NULL, 0, NULL, 0},
	};
	struct options options = {.limits = {UINT64_MAX, UINT64_MAX, 512}};
	int name;

	while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (name == 'b')
			options.limits.max_bytes = parse_number(optarg);
		else if (name == 'e')
			options.limits.max_entries = parse_number(optarg);
		else if (name == 'd')
			options.limits.max_depth = (unsigned)parse_number(optarg);
		else if (name == 's')
			options.sync = true;
		else if (name == 'p')
			options.plain = true;
		else if (name == 'c')
			options.compose = true;
		else
			exit(EXIT_USAGE);
	}
	if (options.compose ? optind + 2 > argc : optind + 1 != argc)
		fail(EXIT_USAGE, NULL, "usage: berth-unpack [options] FOLDER < layer.tar");
	options.target = argv[optind];
	options.layer_count = argc - optind - 1;
	options.layers = argv + optind + 1;
	return options;
}

static struct archive *open_input(void)
{
	struct archive *in = archive_read_new();

	archive_read_support_format_tar(in);
	archive_read_support_format_empty(in);
	if (archive_read_open_fd(in, STDIN_FILENO, READ_BYTES) != ARCHIVE_OK)
		fail(EXIT_BAD_ARCHIVE, NULL, "not a tar archive: %s", archive_error_string(in));
	return in;
}

static void unpack(struct unpacker *u, struct archive *in)
{
	struct archive_entry *entry;
	int result;

	while ((result = archive_read_next_header(in, &entry)) != ARCHIVE_EOF) {
		// A warning is a name that is not ASCII: its bytes are taken as they are.
		if (result < ARCHIVE_WARN)
			fail(EXIT_BAD_ARCHIVE, NULL, "the archive is damaged after %" PRIu64 " entries: %s", u->entries,
			     archive_error_string(in) == NULL ? "it ends too early" : archive_error_string(in));
		if (++u->entries > u->limits.max_entries)
			fail(EXIT_BAD_ARCHIVE, archive_entry_pathname(entry),
			     "exceeds the limit of %" PRIu64 " entries", u->limits.max_entries);
		unpack_entry(u, in, entry);
	}
}

// What follows the end mark belongs to the blob's digest: whoever writes to us must be able to finish.
static void drain(void)
{
	static char rest[READ_BYTES];
	while (read(STDIN_FILENO, rest, sizeof rest) > 0)
		;
}

int main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv);
	static struct unpacker u;

	if (options.compose)
		compose(options.target, options.layer_count, options.layers);
	u.limits = options.limits;
	u.plain = options.plain;
	u.root_mode = 0755;
	confine(options.target);
	int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct archive *in = open_input();
	u.disk = archive_write_disk_new();
	archive_write_disk_set_options(u.disk, ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
						       ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
						       (u.plain ? ARCHIVE_EXTRACT_ACL | ARCHIVE_EXTRACT_SPARSE : 0));
	unpack(&u, in);
	if (archive_write_close(u.disk) != ARCHIVE_OK)
		fail_host(NULL, "cannot finish the folders", archive_errno(u.disk));
	folders_settle(&u.folders);
	finish_root(&u);
	archive_read_free(in);
	archive_write_free(u.disk);
	drain();
	if (options.sync && (root < 0 || syncfs(root) != 0))
		fail_host(NULL, "cannot flush the disk", errno);
	printf("{\"bytes\":%" PRIu64 ",\"entries\":%" PRIu64 "}\n", u.bytes, u.entries);
	folders_print(&u.folders, stdout);
	if (!u.plain && !u.has_root)
		printf("%c.%c", IMPLIED, 0);
	if (u.is_sealed)
		printf("%c.%c", SEALED, 0);
	return fflush(stdout) == 0 ? 0 : EXIT_HOST;
}
