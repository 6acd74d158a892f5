// Names of entries, and the one line that tells what is wrong with one.
#include "unpack.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_name(const char *name)
{
	size_t shown = 0;
	for (const unsigned char *c = (const unsigned char *)name; *c != '\0'; c++) {
		if (shown++ == 240) {
			fputs("...", stderr);
			return;
		}
		// Bytes from 0x80 on are left as they are: names are mostly UTF-8.
		if (*c < 0x20 || *c == 0x7f)
			fprintf(stderr, "\\x%02x", *c);
		else
			fputc(*c, stderr);
	}
}

void fail(int status, const char *entry, const char *format, ...)
{
	va_list args;
	fputs("berth-unpack: ", stderr);
	if (entry != NULL) {
		print_name(entry);
		fputs(": ", stderr);
	}
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

void fail_host(const char *entry, const char *doing, int error)
{
	bool full = error == ENOSPC || error == EDQUOT;
	fail(full ? EXIT_NO_SPACE : EXIT_HOST, entry, "%s: %s", doing, strerror(error));
}

void clean_name(const struct unpacker *u, const char *raw, const char *what, char *out)
{
	size_t length = 0;
	unsigned depth = 0;
	const char *at = raw;

	for (;;) {
		while (*at == '/')
			at++;
		if (*at == '\0')
			break;
		size_t part = strcspn(at, "/");
		if (part == 2 && at[0] == '.' && at[1] == '.')
			fail(EXIT_BAD_ARCHIVE, raw, "%s leads out of the layer (\"..\" is not allowed)", what);
		if (part > NAME_MAX)
			fail(EXIT_BAD_ARCHIVE, raw, "%s has a part longer than %d bytes", what, NAME_MAX);
		if (part == 1 && at[0] == '.') {
			at += part;
			continue;
		}
		if (++depth > u->limits.max_depth)
			fail(EXIT_BAD_ARCHIVE, raw, "%s is more than %u folders deep", what, u->limits.max_depth);
		if (length + part + 2 > PATH_MAX)
			fail(EXIT_BAD_ARCHIVE, raw, "%s is longer than %d bytes", what, PATH_MAX - 1);
		if (length > 0)
			out[length++] = '/';
		memcpy(out + length, at, part);
		length += part;
		at += part;
	}
	if (length == 0)
		out[length++] = '.';
	out[length] = '\0';
}
