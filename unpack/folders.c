// Sets of folders by path, and how they are told to who composes an image of several layers.
#define _GNU_SOURCE
#include "unpack.h"

#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

// A layer that leaves out so many folders is no layer that anybody made to be used.
#define MAX_BYTES ((size_t)16 << 20)

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct folder *)a)->path, ((const struct folder *)b)->path);
}

static struct folder *folder_new(const char *path, char kind)
{
	size_t length = strlen(path) + 1;
	struct folder *folder = malloc(sizeof *folder + length);

	if (folder == NULL)
		fail(EXIT_HOST, path, "out of memory");
	folder->kind = kind;
	memcpy(folder->path, path, length);
	return folder;
}

static struct folder *find(void *const *tree, const char *path)
{
	struct folder *wanted = folder_new(path, 0);
	struct folder **found = tfind(wanted, tree, compare);

	free(wanted);
	return found == NULL ? NULL : *found;
}

char folder_kind(void *const *tree, const char *path)
{
	const struct folder *found = *tree == NULL ? NULL : find(tree, path);
	return found == NULL ? 0 : found->kind;
}

void folder_set(void **tree, const char *path, char kind, size_t *budget)
{
	struct folder *known = find(tree, path);

	if (known != NULL) {
		known->kind = kind;
		return;
	}
	*budget += sizeof(struct folder) + 4 * sizeof(void *) + strlen(path) + 1;
	if (*budget > MAX_BYTES)
		fail(EXIT_BAD_ARCHIVE, path, "too many folders are left out of the layer or hold whiteouts");
	if (tsearch(folder_new(path, kind), tree, compare) == NULL)
		fail(EXIT_HOST, path, "out of memory");
}

void folder_forget(void **tree, const char *path)
{
	struct folder *known = *tree == NULL ? NULL : find(tree, path);

	if (known == NULL)
		return;
	tdelete(known, tree, compare);
	free(known);
}

static void settle(const void *node, VISIT visit, void *unused)
{
	static const struct timespec times[2];
	const struct folder *folder = *(struct folder *const *)node;

	(void)unused;
	if (visit == leaf || visit == postorder)
		utimensat(AT_FDCWD, folder->path, times, AT_SYMLINK_NOFOLLOW);
}

void folders_settle(const struct folders *folders)
{
	twalk_r(folders->kinds, settle, NULL);
}

static void print(const void *node, VISIT visit, void *out)
{
	const struct folder *folder = *(struct folder *const *)node;

	if (visit == leaf || visit == postorder)
		fprintf(out, "%c%s%c", folder->kind, folder->path, 0);
}

void folders_print(const struct folders *folders, FILE *out)
{
	twalk_r(folders->kinds, print, out);
	twalk_r(folders->hiding, print, out);
}
