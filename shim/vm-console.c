#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vm.h"

#define KEPT_BYTES (64 << 10)
#define LINE_BYTES 400
#define READ_BYTES 4096

static struct watch console;
static int file = -1;
static size_t written;
static char line[LINE_BYTES], panic_line[LINE_BYTES];
static size_t line_length;

const char *console_panic(void) { return *panic_line ? panic_line : NULL; }

/* Keeps the end of the file when it has grown to twice what is to be kept. */
static void trim(void)
{
    static char tail[KEPT_BYTES];
    ssize_t length = pread(file, tail, sizeof tail, (off_t)(written - sizeof tail));
    if (length < 0 || ftruncate(file, 0) < 0 || pwrite(file, tail, (size_t)length, 0) < 0) return;
    written = (size_t)length;
}

static void keep(const char *data, size_t length)
{
    if (file < 0) return;
    ssize_t done = pwrite(file, data, length, (off_t)written);
    if (done > 0) written += (size_t)done;
    if (written > 2 * KEPT_BYTES) trim();
}

static void line_ended(void)
{
    static const char mark[] = "Kernel panic - not syncing";
    line[line_length] = 0;
    line_length = 0;
    char *panic = strstr(line, mark);
    if (!panic || *panic_line) return;
    snprintf(panic_line, sizeof panic_line, "%s", panic);
    vm_panicked();
}

static void scan(const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (data[i] == '\n') line_ended();
        else if (data[i] != '\r' && line_length < sizeof line - 1) line[line_length++] = data[i];
}

/* 1 when something was read. */
static int take(void)
{
    char data[READ_BYTES];
    ssize_t length = console.fd < 0 ? 0 : read(console.fd, data, sizeof data);
    if (length <= 0) {
        if (length == 0 || (errno != EAGAIN && errno != EINTR)) loop_close(&console);
        return 0;
    }
    keep(data, (size_t)length);
    scan(data, (size_t)length);
    return 1;
}

static void ready(struct watch *watch, uint32_t events)
{
    (void)watch;
    (void)events;
    take();
}

void console_open(int fd)
{
    file = open("console.log", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    console = (struct watch){.fd = fd, .ready = ready};
    loop_watch(&console, EPOLLIN);
}

void console_finish(void)
{
    /* More than is kept need not be read; and who still has the other end might write for ever. */
    for (size_t reads = 0; reads < 2 * KEPT_BYTES / READ_BYTES && take(); reads++) continue;
}

void console_close(void)
{
    loop_close(&console);
    if (file >= 0) close(file);
    file = -1;
    written = line_length = 0;
    *panic_line = 0;
}
