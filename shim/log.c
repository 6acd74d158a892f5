#define _GNU_SOURCE
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "buffer.h"
#include "text.h"

#define PIECE 16384

static struct buffer partial[3], entries;
/* `torn`: the file ends in the middle of an entry. */
static int file = -1, failed, torn;
static long long file_size;

void time_now(char text[40])
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t length = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &parts);
    length += (size_t)snprintf(text + length, 40 - length, ".%09ld", now.tv_nsec);
    while (text[length - 1] == '0') length--;
    if (text[length - 1] == '.') length--;
    strcpy(text + length, "Z");
}

static void complain_once(const char *what)
{
    if (!failed) complain("log.json: %s: %s; output is being lost", what, strerror(errno));
    failed = 1;
}

static void open_file(void)
{
    struct stat info;
    char last = '\n';
    file = open("log.json", O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (file < 0) return complain_once("cannot open");
    file_size = fstat(file, &info) ? 0 : info.st_size;
    /* A crash may have cut the last entry, which must not take the next one along. */
    torn = file_size > 0 && pread(file, &last, 1, file_size - 1) == 1 && last != '\n';
}

static void rotate(void)
{
    char from[32], to[32];
    close(file);
    file = -1;
    for (int i = options.log_max_files - 1; i > 0; i--) {
        snprintf(to, sizeof to, "log.json.%d", i);
        snprintf(from, sizeof from, i > 1 ? "log.json.%d" : "log.json", i - 1);
        rename(from, to);
    }
    if (options.log_max_files <= 1) unlink("log.json");
}

static void flush(void)
{
    size_t whole = entries.length;
    if (file < 0) open_file();
    if (torn && file >= 0 && write(file, "\n", 1) == 1) torn = 0, file_size++;
    while (entries.length && file >= 0) {
        ssize_t written = write(file, buffer_head(&entries), entries.length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            complain_once("cannot write");
            torn = torn || entries.length < whole;
            break;
        }
        failed = 0;
        file_size += written;
        buffer_consume(&entries, (size_t)written);
    }
    buffer_consume(&entries, entries.length);
}

static size_t escape_control(char *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    const char *short_form = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '"' ? "\\\"" : c == '\\' ? "\\\\" : NULL;
    if (short_form) return memcpy(out, short_form, 2), 2;
    memcpy(out, "\\u00", 4);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

static int is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

/* Appends a JSON string as Go's encoder writes it: HTML characters escaped, invalid bytes replaced. */
static void append_json(const unsigned char *s, size_t length)
{
    char *out = buffer_reserve(&entries, length * 6 + 2), *begin = out;
    *out++ = '"';
    for (size_t i = 0, step; i < length; i += step) {
        step = 1;
        if (is_plain(s[i])) *out++ = (char)s[i];
        else if (s[i] < 0x80 && s[i] != 0x7f) out += escape_control(out, s[i]);
        else if (!(step = utf8_length(s + i, length - i))) step = 1, memcpy(out, "\\ufffd", 6), out += 6;
        else if (step == 3 && s[i] == 0xe2 && s[i + 1] == 0x80 && (s[i + 2] & 0xfe) == 0xa8)
            memcpy(out, s[i + 2] == 0xa8 ? "\\u2028" : "\\u2029", 6), out += 6;
        else memcpy(out, s + i, step), out += step;
    }
    *out++ = '"';
    buffer_added(&entries, (size_t)(out - begin));
}

static void entry(int stream, const char *line, size_t length)
{
    char tail[96], now[40];
    if (options.log_max_bytes && file_size + (long long)entries.length >= options.log_max_bytes) {
        flush();
        rotate();
        open_file();
    }
    time_now(now);
    buffer_text(&entries, "{\"log\":");
    append_json((const unsigned char *)line, length);
    snprintf(tail, sizeof tail, ",\"stream\":\"%s\",\"time\":\"%s\"}\n", stream == 1 ? "stdout" : "stderr", now);
    buffer_text(&entries, tail);
}

/* The end of a piece of a line that has no room for more: before a character that goes on behind it. */
static size_t piece_end(const char *text, size_t length)
{
    for (size_t back = 1; back <= 3 && back < length; back++) {
        unsigned char c = (unsigned char)text[length - back];
        if (c < 0x80) break;
        if (c < 0xc0) continue;
        size_t needed = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
        return needed > back ? length - back : length;
    }
    return length;
}

void log_write(int stream, const char *data, size_t length)
{
    if (!options.log) return;
    struct buffer *rest = &partial[stream];
    if (file < 0) open_file();
    while (length) {
        const char *newline = memchr(data, '\n', length);
        size_t part = newline ? (size_t)(newline - data) + 1 : length;
        if (rest->length + part > PIECE) part = PIECE - rest->length;
        int line = newline && data + part == newline + 1, whole = line || rest->length + part == PIECE;
        if (whole && !rest->length) {
            part = line ? part : piece_end(data, part);
            entry(stream, data, part);
        } else {
            buffer_append(rest, data, part);
            size_t end = line ? rest->length : piece_end(buffer_head(rest), rest->length);
            if (whole) entry(stream, buffer_head(rest), end);
            if (whole) buffer_consume(rest, end);
        }
        data += part;
        length -= part;
    }
    if (entries.length) flush();
}

void log_end(int stream)
{
    struct buffer *rest = &partial[stream];
    if (!options.log || !rest->length) return;
    entry(stream, buffer_head(rest), rest->length);
    buffer_free(rest);
    flush();
}
