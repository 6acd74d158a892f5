/* Unit tests of what the C programs share: frames, fields, archives, paths inside a root; and of user files, which
 * units-accounts.c has. Run under the sanitizers, in a folder of its own; prints a line for each and ends with 1 when one
 * fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../shim/frame.h"
#include "../shim/resolve.h"
#include "../shim/tar-entry.h"
#include "../shim/tar-format.h"
#include "units.h"

static int failures;
static const char *at;

void failed(const char *condition, const char *file, int line)
{
    printf("not ok %s: %s:%d: %s\n", at, file, line, condition);
    failures++;
}

/* Archives in memory: written behind, read from `taken` on. */
struct archive {
    struct buffer bytes;
    size_t taken;
};

static int put(void *context, const void *data, size_t length)
{
    buffer_append(&((struct archive *)context)->bytes, data, length);
    return 0;
}

static int take(void *context, void *data, size_t length)
{
    struct archive *archive = context;
    if (archive->bytes.length - archive->taken < length) return errno = 0, -1;
    memcpy(data, buffer_head(&archive->bytes) + archive->taken, length);
    archive->taken += length;
    return 0;
}

static void add_entry(struct archive *archive, char type, const char *name, const void *content, size_t length)
{
    static const char zeros[TAR_BLOCK];
    struct tar_header header;
    struct buffer pax = {0};
    struct stat info = {.st_mode = 0640, .st_uid = 5, .st_gid = 6};
    tar_header_fill(&header, &pax, name, "", type, &info, length);
    put(archive, &header, sizeof header);
    put(archive, content, length);
    if (length % TAR_BLOCK) put(archive, zeros, TAR_BLOCK - length % TAR_BLOCK);
    buffer_free(&pax);
}

/* Reads an entry that these extensions precede. Returns the result of tar_next. */
static int read_with(const char *const *extensions, int count, struct tar_entry *entry)
{
    struct archive archive = {0};
    struct tar_stream stream = {.read = take, .context = &archive};
    for (int i = 0; i < count; i++) add_entry(&archive, 'x', "x", extensions[i], strlen(extensions[i]));
    add_entry(&archive, '0', "name", "", 0);
    int result = tar_next(&stream, entry);
    buffer_free(&archive.bytes);
    return result;
}

static void frames_come_in_pieces(void)
{
    struct buffer out = {0}, in = {0};
    struct frame frame;
    frame_append(&out, FRAME_STDOUT, 0x123456, "hello", 5);
    for (size_t i = 0; i < out.length; i++) {
        expect(frame_peek(&in, &frame) == 0);
        buffer_append(&in, buffer_head(&out) + i, 1);
    }
    expect(frame_peek(&in, &frame) == 1 && frame.type == FRAME_STDOUT && frame.channel == 0x123456);
    expect(frame.length == 5 && !memcmp(frame.payload, "hello", 5) && frame_window(&frame) == 0);
    buffer_free(&out);
    buffer_free(&in);
}

static void frames_have_a_limit(void)
{
    char header[FRAME_HEADER];
    struct buffer in = {0};
    struct frame frame;
    frame_header(header, FRAME_STDIN, 1, FRAME_MAX + 1);
    buffer_append(&in, header, sizeof header);
    expect(frame_peek(&in, &frame) == -1);
    buffer_free(&in);
}

static void fields_end_with_nul(void)
{
    static const char text[] = "op=run\0arg=a\0arg=b\0uid=12\0bad=12x";
    struct frame frame = {.payload = text, .length = sizeof text};
    struct fields fields;
    size_t cursor = 0;
    expect(fields_parse(&fields, &frame) == 0 && !strcmp(fields_get(&fields, "op"), "run"));
    expect(!strcmp(fields_next(&fields, "arg", &cursor), "a") && !strcmp(fields_next(&fields, "arg", &cursor), "b"));
    expect(!fields_next(&fields, "arg", &cursor) && !fields_get(&fields, "o"));
    expect(fields_number(&fields, "uid", -1) == 12 && fields_number(&fields, "bad", -1) == -1);
    frame.length--;
    expect(fields_parse(&fields, &frame) == -1);
}

static void pax_lengths_are_checked(void)
{
    static const char *const wrong[] = {"99 path=x\n",  "3 path=x\n", "\n1 SCHILY.xattr.user.a=v", "-9 path=x\n", " 9 path=x\n",
                                        "0 path=x\n",   "9path=xx\n", "18446744073709551625 path=x\n", "9 path:x\n", "10 path=x"};
    struct tar_entry entry;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) expect(read_with(wrong + i, 1, &entry) == -1);
    static const char *const right[] = {"11 path=xy\n"};
    expect(read_with(right, 1, &entry) == 1 && !strcmp(entry.path, "xy") && entry.uid == 5 && entry.mode == 0640);
    tar_entry_free(&entry);
}

static void pax_numbers_are_checked(void)
{
    static const char *const wrong[] = {"11 uid=-12\n", "9 size=-\n", "20 uid=999999999999\n", "12 size=1e9\n",
                                        "29 size=99999999999999999999\n", "11 mtime=x\n"};
    static const char *const right[] = {"15 mtime=-1.25\n", "15 uid=3000000\n"};
    struct tar_entry entry;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) expect(read_with(wrong + i, 1, &entry) == -1);
    expect(read_with(right, 2, &entry) == 1 && entry.uid == 3000000 && entry.gid == 6);
    expect(entry.mtime.tv_sec == -2 && entry.mtime.tv_nsec == 750000000);
    tar_entry_free(&entry);
}

static void extensions_are_bounded(void)
{
    const char *many[100];
    struct tar_entry entry;
    for (size_t i = 0; i < 100; i++) many[i] = "29 SCHILY.xattr.user.a=value\n";
    expect(read_with(many, 60, &entry) == 1);
    tar_entry_free(&entry);
    expect(read_with(many, 100, &entry) == -1);
}

/* Packs what was made here and reads its entries; `seen` gets their types and names. */
static void pack_here(struct tar_stream *stream, struct archive *archive, char *seen, size_t size)
{
    struct tar_entry entry;
    *stream = (struct tar_stream){.write = put, .read = take, .context = archive};
    expect(tar_pack(stream, AT_FDCWD, "t", "t", 0) == 0 && tar_finish(stream) == 0);
    for (*seen = 0; tar_next(stream, &entry) > 0; tar_entry_free(&entry)) {
        snprintf(seen + strlen(seen), size - strlen(seen), "%c%s>%s ", entry.type, entry.path, entry.link);
        archive->taken += ((size_t)entry.size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
    }
}

static void archives_hold_links_and_old_times(void)
{
    struct archive archive = {0};
    struct tar_stream stream;
    struct timespec times[2] = {{.tv_sec = -1000}, {.tv_sec = -1000}};
    struct stat info;
    char seen[400];
    mkdir("t", 0755);
    close(open("t/a", O_CREAT | O_WRONLY, 0644));
    utimensat(AT_FDCWD, "t/a", times, 0);
    link("t/a", "t/b");
    mkfifo("t/f", 0600);
    pack_here(&stream, &archive, seen, sizeof seen);
    expect(strstr(seen, "0t/a> ") ? strstr(seen, "1t/b>t/a ") != NULL : strstr(seen, "1t/a>t/b ") != NULL);
    expect(strstr(seen, "6t/f> ") && !stream.incomplete);
    struct tar_extract options = {.root = open(".", O_PATH | O_DIRECTORY), .destination = "to", .uid = -1, .gid = -1};
    mkdir("to", 0755);
    archive.taken = 0;
    expect(tar_unpack(&stream, &options) == 0 && !stream.incomplete);
    expect(stat("to/t/a", &info) == 0 && info.st_nlink == 2 && info.st_mtime == -1000);
    expect(lstat("to/t/f", &info) == 0 && S_ISFIFO(info.st_mode));
    close(options.root);
    buffer_free(&archive.bytes);
}

/* Cuts the file that is being packed as soon as its header was written. */
static int put_and_cut(void *context, const void *data, size_t length)
{
    if (truncate("shrinks", 100000) < 0) return -1;
    return put(context, data, length);
}

static void what_cannot_be_read_is_told(void)
{
    struct archive archive = {0};
    struct tar_stream stream = {.write = put_and_cut, .read = take, .context = &archive};
    struct tar_entry entry;
    int fd = open("shrinks", O_CREAT | O_WRONLY, 0644), process = open("/proc/self", O_PATH | O_DIRECTORY);
    expect(ftruncate(fd, 300000) == 0);
    close(fd);
    expect(tar_pack(&stream, AT_FDCWD, "shrinks", "shrinks", 0) == 0 && stream.incomplete == EIO);
    expect(strstr(stream.problem, "shrinks: it became shorter"));
    expect(tar_next(&stream, &entry) == 1 && entry.size == 300000 && archive.bytes.length == 512 + 300032);
    tar_entry_free(&entry);
    buffer_free(&archive.bytes);
    archive = (struct archive){0};
    stream = (struct tar_stream){.write = put, .context = &archive};
    /* Address 0 of a process is not mapped: reading it fails with EIO. */
    expect(tar_pack(&stream, process, "mem", "mem", 0) == 0 && stream.incomplete == EIO && !archive.bytes.length);
    close(process);
}

static void large_numbers_fit(void)
{
    struct archive archive = {0};
    struct tar_stream stream = {.read = take, .context = &archive};
    struct tar_header header, extended;
    struct buffer pax = {0}, none = {0};
    struct tar_entry entry;
    struct stat info = {.st_mode = 0600, .st_uid = 4000000000, .st_gid = 4294967294, .st_mtime = -3000000000};
    tar_header_fill(&header, &pax, "big", "", '0', &info, 1ULL << 40);
    tar_header_fill(&extended, &none, "x", "", 'x', &info, pax.length);
    put(&archive, &extended, sizeof extended);
    put(&archive, buffer_head(&pax), pax.length);
    put(&archive, (char[TAR_BLOCK]){0}, TAR_BLOCK - pax.length % TAR_BLOCK);
    put(&archive, &header, sizeof header);
    expect(tar_next(&stream, &entry) == 1 && entry.size == 1LL << 40 && entry.mtime.tv_sec == -3000000000);
    expect(entry.uid == 4000000000 && entry.gid == 4294967294);
    tar_entry_free(&entry);
    buffer_free(&pax);
    buffer_free(&none);
    buffer_free(&archive.bytes);
}

static void hard_links_of_many_files_are_found(void)
{
    struct archive archive = {0};
    struct tar_stream stream;
    struct tar_entry entry;
    char name[24], other[24];
    int links = 0;
    mkdir("many", 0755);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "many/a%d", i);
        snprintf(other, sizeof other, "many/b%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0644));
        expect(link(name, other) == 0);
    }
    stream = (struct tar_stream){.write = put, .read = take, .context = &archive};
    expect(tar_pack(&stream, AT_FDCWD, "many", "many", 0) == 0);
    for (; tar_next(&stream, &entry) > 0; tar_entry_free(&entry))
        if (entry.type == '1') links += !strcmp(entry.path + 6, entry.link + 6) && entry.path[5] != entry.link[5];
    expect(links == 1000);
    buffer_free(&archive.bytes);
}

static void long_names_are_refused_not_cut(void)
{
    char path[400] = "d/";
    memset(path + 2, 'n', 300);
    expect(strlen(path_base(path)) == NAME_MAX + 1);
    expect(!strcmp(path_base("/a/b//"), "b") && !*path_base("/") && !strcmp(path_base("a/.."), ".."));
    struct archive archive = {0};
    struct tar_stream stream = {.read = take, .context = &archive};
    struct tar_extract options = {.root = open(".", O_PATH | O_DIRECTORY), .destination = "/", .uid = -1, .gid = -1};
    char record[420];
    snprintf(record, sizeof record, "310 path=%s\n", path + 2);
    add_entry(&archive, 'x', "x", record, 310);
    add_entry(&archive, '0', "short", "", 0);
    expect(tar_unpack(&stream, &options) == -1 && errno == ENAMETOOLONG);
    close(options.root);
    buffer_free(&archive.bytes);
}

static void paths_stay_inside_the_root(void)
{
    struct stat outer, inner;
    mkdir("root", 0755);
    mkdir("root/etc", 0755);
    symlink("../../../../etc", "root/up");
    symlink("/etc", "root/absolute");
    int root = open("root", O_PATH | O_DIRECTORY), fd = resolve(root, "up", O_PATH);
    expect(fd >= 0 && fstat(fd, &inner) == 0 && stat("root/etc", &outer) == 0 && inner.st_ino == outer.st_ino);
    close(fd);
    expect((fd = resolve(root, "absolute/../../..", O_PATH)) >= 0 && fstat(fd, &inner) == 0);
    expect(fstat(root, &outer) == 0 && inner.st_ino == outer.st_ino);
    close(fd);
    expect(resolve_plain(root, "up/x") < 0 && errno == ELOOP);
    expect((fd = resolve_parents(root, "absolute/made/here", 0755)) >= 0 && access("root/etc/made", F_OK) == 0);
    close(fd);
    close(root);
}

static void only_regular_files_are_opened(void)
{
    int root = open(".", O_PATH | O_DIRECTORY);
    mkfifo("fifo", 0600);
    symlink("fifo", "to-fifo");
    /* To open a fifo for reading would wait for a writer. */
    expect(resolve_file(root, "fifo") < 0 && errno == ENXIO);
    expect(resolve_file(root, "to-fifo") < 0 && errno == ENXIO);
    expect(resolve_file(root, "root") < 0 && errno == EISDIR);
    int node = mknod("node", S_IFCHR | 0600, makedev(10, 200)) == 0;
    if (node) expect(resolve_file(root, "node") < 0 && errno == ENXIO);
    close(open("regular", O_CREAT | O_WRONLY, 0600));
    int fd = resolve_file(root, "regular");
    expect(fd >= 0);
    close(fd);
    close(root);
}

int main(void)
{
    static const struct {
        const char *title;
        void (*run)(void);
    } tests[] = {
        {"frames come in pieces", frames_come_in_pieces},
        {"frames have a limit", frames_have_a_limit},
        {"fields end with NUL", fields_end_with_nul},
        {"lengths of pax records are checked", pax_lengths_are_checked},
        {"numbers of pax records are checked", pax_numbers_are_checked},
        {"extensions of an entry are bounded", extensions_are_bounded},
        {"archives hold links, fifos and times before 1970", archives_hold_links_and_old_times},
        {"what cannot be read is told", what_cannot_be_read_is_told},
        {"large numbers fit", large_numbers_fit},
        {"hard links of many files are found", hard_links_of_many_files_are_found},
        {"names that are too long are refused, not cut", long_names_are_refused_not_cut},
        {"paths stay inside the root", paths_stay_inside_the_root},
        {"only regular files are opened", only_regular_files_are_opened},
        {"users are found by Docker's rules", users_are_found_by_docker_rules},
        {"account files may be large, within a limit", account_files_may_be_large_within_a_limit},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        int before = failures;
        at = tests[i].title;
        tests[i].run();
        if (failures == before) printf("ok %s\n", at);
    }
    return failures ? 1 : 0;
}
