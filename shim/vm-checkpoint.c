/* A running machine is captured: memory, device state and disk as they are at one moment, while it goes on. What does not
 * change, or is known to have changed since, is copied ahead. Then the guest comes to rest by itself (agent/fork.c), QEMU
 * stops, its memory is copied, and a job of QEMU begins that copies what was written to the disk meanwhile, as it is
 * now; then all go on, and what was copied is handed over or written down. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "own-group.h"
#include "vm-store.h"
#include "vm.h"

#define REST_LIMIT_MS 5000
/* For QEMU to copy what was written to the disk while its memory was. */
#define COPY_LIMIT_MS 600000
#define FD_COPY 40
#define DISK_NAME "disk.ext4"
/* As <linux/fs.h> has it, which musl has not. */
#define FICLONE 0x40049409

static struct {
    int active;
    /* Who asked; NULL once it has gone: then what was begun is undone. */
    struct conn *conn;
    char folder[4096];
    int durable;
    struct store store;
    int state_out, disk, writable;
    /* Where it stands: what the guest has been asked, and how many answers of QEMU are to come. */
    int freezing, thawing, awaited, copying, timer, copy_timer;
    long long began_ns, paused_ns;
    char failure[400];
} capture = {.store = {-1, -1}};

int checkpoint_under_way(void) { return capture.active; }

static long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* The first thing that goes wrong is what is told. */
static void note_failure(const char *what, const char *why)
{
    if (!*capture.failure) snprintf(capture.failure, sizeof capture.failure, "%s: %s", what, why);
}

static void disk_path(char path[4200]) { snprintf(path, 4200, "%s/" DISK_NAME, capture.folder); }

static void close_store(void)
{
    if (capture.store.memory >= 0) close(capture.store.memory);
    if (capture.store.state >= 0) close(capture.store.state);
    capture.store = (struct store){-1, -1};
    unlink(STORE_MEMORY);
    unlink(STORE_STATE);
}

/* Whoever was given the files has let go of them, or nobody wants them any more. */
static void client_closed(struct conn *conn)
{
    (void)conn;
    capture.conn = NULL;
    if (!capture.active) close_store();
}

static const struct conn_handler client = {.closed = client_closed};

static void end(void)
{
    char path[4200];
    disk_path(path);
    /* The client may remove the folder once it is answered: the files in it are closed before. */
    if (capture.disk >= 0) close(capture.disk);
    if (capture.state_out >= 0) close(capture.state_out);
    if (capture.writable >= 0) close(capture.writable);
    if (!capture.conn || *capture.failure) {
        unlink(path);
        close_store();
    }
    if (capture.conn && *capture.failure) {
        conn_take(capture.conn, NULL, NULL);
        conn_fail(capture.conn, strstr(capture.failure, "No space left") ? "exhausted" : "unavailable", 0, "%s",
                  capture.failure);
        capture.conn = NULL;
    }
    loop_cancel(capture.timer);
    loop_cancel(capture.copy_timer);
    capture.active = 0;
}

static struct buffer answer;
static void tell(const char *key, const char *value) { field_add(&answer, key, value); }

static void add_pause(void)
{
    field_add_number(&answer, "pause_us", capture.paused_ns / 1000);
}

static void hand_over(void)
{
    if (store_publish(&capture.store, tell) < 0) note_failure("the copy cannot be kept", strerror(errno));
    if (*capture.failure || !capture.conn) return buffer_free(&answer), end();
    add_pause();
    conn_send_fields(capture.conn, FRAME_OPENED, &answer);
    end();
}

/* In a child. Returns an errno. */
static int write_down(void) { return store_write_down(&capture.store, capture.disk, capture.folder); }

static void written(void *context, int status)
{
    (void)context;
    if (WIFEXITED(status) && WEXITSTATUS(status)) note_failure("the checkpoint cannot be written", strerror(WEXITSTATUS(status)));
    else if (!WIFEXITED(status)) note_failure("the checkpoint cannot be written", "its writer was killed");
    close_store();
    if (capture.conn && !*capture.failure) {
        add_pause();
        conn_send_fields(capture.conn, FRAME_OPENED, &answer);
    }
    end();
}

/* What takes long, in a child that ends with this shim. */
static int run_beside(int (*work)(void), void (*done)(void *context, int status))
{
    pid_t pid = fork_outside(0);
    if (pid == 0) {
        loop_forget_signals();
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        _exit(work());
    }
    if (pid > 0) return loop_child(pid, done, NULL), 0;
    note_failure("the machine cannot be copied", strerror(errno));
    return -1;
}

static void persist(void)
{
    if (run_beside(write_down, written) < 0) end();
}

static void conclude(void)
{
    if (!capture.active || capture.freezing || capture.thawing || capture.awaited || capture.copying) return;
    if (*capture.failure || !capture.conn) return end();
    if (capture.durable) persist();
    else hand_over();
}

static void let_go(const char *failure)
{
    if (failure) complain("the copy of the disk: %s", failure);
    capture.awaited--;
    conclude();
}

/* QEMU closes the copy; only then is all of it there. */
static void release_disk(void)
{
    capture.awaited += 3;
    qmp_run("block-dirty-bitmap-remove", -1, let_go, "\"node\":\"writable\",\"name\":\"copy\"");
    qmp_run("blockdev-del", -1, let_go, "\"node-name\":\"copy\"");
    qmp_run("remove-fd", -1, let_go, "\"fdset-id\":%d", FD_COPY);
}

void checkpoint_disk_copied(const char *failure)
{
    if (!capture.active || !capture.copying) return;
    loop_cancel(capture.copy_timer);
    capture.copying = 0;
    if (failure) note_failure("the disk cannot be copied", failure);
    release_disk();
}

static void state_saved(const char *failure)
{
    if (failure) note_failure("the state of the devices cannot be saved", failure);
    capture.awaited--;
    conclude();
}

static void copy_begun(const char *failure)
{
    capture.awaited--;
    if (failure && capture.copying) checkpoint_disk_copied(failure);
    conclude();
}

static void going_on(const char *failure)
{
    if (failure) complain("the machine does not go on: %s", failure);
    capture.awaited--;
    conclude();
}

static void copy_due(void *context)
{
    (void)context;
    checkpoint_disk_copied("QEMU did not copy it in time");
}

/* The guest does not say that it goes on: it may hang, which is no reason to wait for it. */
static void thaw_due(void *context)
{
    (void)context;
    note_failure("the guest cannot be captured", "it did not go on in time");
    capture.thawing = 0;
    conclude();
}

static void thaw(void)
{
    struct buffer fields = {0};
    field_add(&fields, "op", "thaw");
    greet_add_time(&fields);
    capture.thawing = 1;
    capture.timer = loop_after(vm_patience_ms(), thaw_due, NULL);
    link_release(FRAME_OPEN, CHANNEL_LINK, buffer_head(&fields), fields.length);
    buffer_free(&fields);
    capture.paused_ns = now_ns() - capture.began_ns;
}

static void stopped(const char *failure)
{
    capture.awaited--;
    if (failure) note_failure("QEMU does not stop", failure);
    else {
        capture.awaited += 3;
        capture.copying = 1;
        capture.copy_timer = loop_after(COPY_LIMIT_MS, copy_due, NULL);
        qmp_save(capture.state_out, state_saved);
        qmp_run("blockdev-backup", -1, copy_begun,
                "\"job-id\":\"copy\",\"device\":\"writable\",\"target\":\"copy\",\"sync\":\"bitmap\",\"bitmap\":\"copy\",\"bitmap-mode\":\"never\"");
        if (memory_copy(machine_pid(), capture.store.memory) < 0)
            note_failure("the memory cannot be copied", strerror(errno));
        qmp_run("cont", -1, going_on, "");
    }
    thaw();
    if (failure) release_disk();
}

static void at_rest(void)
{
    loop_cancel(capture.timer);
    capture.freezing = 0;
    capture.awaited++;
    qmp_run("stop", -1, stopped, "");
}

/* The guest is asked no more; whatever it does yet, the host goes on. */
static void rest_due(void *context)
{
    (void)context;
    note_failure("the guest cannot be captured", "it did not come to rest in time");
    capture.freezing = capture.thawing = 0;
    link_release(FRAME_OPEN, CHANNEL_LINK, "op=thaw", sizeof "op=thaw");
    release_disk();
}

int checkpoint_frame(const struct frame *frame)
{
    struct fields fields;
    if (frame->channel != CHANNEL_LINK || !capture.active || !(capture.freezing || capture.thawing)) return 0;
    if (capture.thawing) {
        loop_cancel(capture.timer);
        capture.thawing = 0;
        conclude();
        return 1;
    }
    if (frame->type == FRAME_OPENED) return at_rest(), 1;
    const char *why = fields_parse(&fields, frame) == 0 ? fields_get(&fields, "message") : NULL;
    note_failure("the guest cannot be captured", why ? why : "it refused");
    loop_cancel(capture.timer);
    capture.freezing = 0;
    thaw();
    release_disk();
    return 1;
}

static void ask_to_rest(void)
{
    static const char freeze[] = "op=freeze";
    capture.timer = loop_after(REST_LIMIT_MS, rest_due, NULL);
    capture.began_ns = now_ns();
    capture.freezing = 1;
    link_send(FRAME_OPEN, CHANNEL_LINK, freeze, sizeof freeze);
    link_hold();
}

/* In a child, while the machine runs. Returns an errno. */
static int copy_ahead(void)
{
    unsigned long long sum;
    struct stat info;
    errno = 0;
    if (memory_copy_origin(machine_pid(), capture.store.memory) < 0) return errno ? errno : EIO;
    /* A file system that can shares the blocks of both. */
    if (ioctl(capture.disk, FICLONE, capture.writable) == 0) return 0;
    if (fstat(capture.writable, &info) < 0 || store_copy(capture.writable, capture.disk, info.st_size, &sum) < 0)
        return errno ? errno : ENOSPC;
    return 0;
}

static void copied_ahead(void *context, int status)
{
    (void)context;
    if (WIFEXITED(status) && !WEXITSTATUS(status)) return ask_to_rest();
    note_failure("the machine cannot be copied", WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "its copier was killed");
    release_disk();
}

static void begun(const char *failure)
{
    if (failure) note_failure("the disk cannot be copied", failure);
}

static void ready_to_copy(const char *failure)
{
    begun(failure);
    capture.awaited--;
    if (!*capture.failure && run_beside(copy_ahead, copied_ahead) == 0) return;
    release_disk();
}

static int open_files(const struct fields *machine)
{
    char path[4200];
    struct stat info;
    const char *writable = fields_get(machine, "writable");
    capture.writable = writable ? open(writable, O_RDONLY | O_CLOEXEC) : -1;
    disk_path(path);
    capture.store.memory = store_make("berth-fork", fields_number(machine, "memory_bytes", 0));
    capture.store.state = store_make("berth-fork-state", 0);
    capture.disk = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (capture.store.memory < 0 || capture.store.state < 0 || capture.disk < 0 ||
        fstat(capture.writable, &info) < 0 || ftruncate(capture.disk, info.st_size) < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", capture.store.state);
    return capture.state_out = open(path, O_WRONLY | O_CLOEXEC);
}

void checkpoint_begin(struct conn *conn, const struct fields *fields, const struct fields *machine)
{
    const char *folder = fields_get(fields, "dir");
    if (capture.active || capture.store.memory >= 0)
        return conn_fail(conn, "conflict", 0, "a checkpoint of the instance is being made already; try again");
    if (fields_get(machine, "source"))
        return conn_fail(conn, "unsupported", 0, "a machine that shares folders of the host cannot be captured");
    if (!folder) return conn_fail(conn, "invalid-argument", 0, "dir is needed");
    memset(&capture, 0, sizeof capture);
    capture.store = (struct store){-1, -1};
    capture.disk = capture.state_out = capture.writable = -1;
    capture.active = 1;
    capture.conn = conn;
    capture.durable = fields_flag(fields, "durable");
    snprintf(capture.folder, sizeof capture.folder, "%s", folder);
    conn_take(conn, &client, NULL);
    buffer_free(&answer);
    if (open_files(machine) < 0) {
        note_failure("the files of the copy cannot be made", strerror(errno));
        return end();
    }
    capture.awaited = 1;
    qmp_run("add-fd", capture.disk, begun, "\"fdset-id\":%d", FD_COPY);
    qmp_run("blockdev-add", -1, begun,
            "\"driver\":\"file\",\"node-name\":\"copy\",\"filename\":\"/dev/fdset/%d\",\"locking\":\"off\",\"discard\":\"unmap\"",
            FD_COPY);
    qmp_run("block-dirty-bitmap-add", -1, ready_to_copy, "\"node\":\"writable\",\"name\":\"copy\"");
}
