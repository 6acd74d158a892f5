/* The VM back-end: QEMU below, the guest agent inside. The main process is the agent's channel 1. */
#define _GNU_SOURCE
#include "vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a guest or QEMU may take to answer (`patience_ms` of vm.machine), and what all other limits are parts of: to boot
 * and say hello twice as long; to start the main process, once told to, as long; to be restored or to shut down a third; to
 * end after signal 9 a sixth. */
#define PATIENCE_MS 60000
#define BOOT_DEADLINE_MS (patience_ms * 2)
#define START_DEADLINE_MS patience_ms
#define RESTORE_DEADLINE_MS (patience_ms / 3)
#define SHUTDOWN_DEADLINE_MS (patience_ms / 3)
#define KILL_DEADLINE_MS (patience_ms / 6)
#define PANIC_DEADLINE_MS 3000
#define EXIT_LOST 255

static struct fields machine, guest, process;
static struct buffer request;
static int holding, greeted, launched, over, boot_timer, kill_timer, patience_ms;
/* The guest owes an answer on the channel of the link itself. */
static int link_asked;
/* A fork that has not been configured yet can still be replaced by a machine that boots, unnoticed by anyone. */
static int is_template, tried_fork, restoring, replacing;
/* A machine that waits, stopped, for the instance it is to be; and one that has become it. */
static int pooled, claimed;
/* A copy of a machine whose workload runs: there is nothing that could take its place. */
static int resumed;

static int prepare(void)
{
    if (vm_read_fields("vm.machine", &machine) == 0 && vm_read_fields("vm.guest", &guest) == 0 &&
        vm_read_fields("vm.main", &process) == 0)
        return is_template = fields_flag(&machine, "template"), pooled = fields_flag(&machine, "pooled"),
               resumed = fields_flag(&machine, "resumed"),
               patience_ms = (int)fields_number(&machine, "patience_ms", PATIENCE_MS), 0;
    complain("the machine's description: %s", strerror(errno));
    return -1;
}

int vm_patience_ms(void) { return patience_ms; }

static void launch(void), greet(void);

static void replace_due(void *context)
{
    (void)context;
    if (over) return;
    if (machine_kill() < 0) complain("the machine that failed cannot be killed");
    link_close();
    qmp_close();
    console_close();
    replacing = greeted = 0;
    launch();
}

/* Whether the machine was a fork that could not be made: then one that boots takes its place. */
static int replace(const char *why)
{
    if (!restoring || pooled || resumed) return replacing;
    complain("the fork failed, the machine boots instead: %s", why);
    main_note("fork_failure", why);
    loop_cancel(boot_timer);
    restoring = 0;
    replacing = 1;
    /* Not from within what may be reading from the old machine. */
    loop_after(0, replace_due, NULL);
    return 1;
}

/* The machine is of no more use. Reports it once, by what is known. */
static void give_up_for(int code, int oom, const char *reason, const char *message)
{
    if (over || replace(message)) return;
    over = 1;
    loop_cancel(boot_timer);
    loop_cancel(kill_timer);
    /* QEMU has ended before its end is reported. */
    machine_hold_taps();
    if (machine_kill() < 0) message = "QEMU was killed, but the kernel does not let go of it; see dmesg";
    if (main_state() == MAIN_RUNNING || main_state() == MAIN_PAUSED) {
        main_ending();
        main_exited(code, oom, reason, message);
    } else main_failed("unavailable", 0, message);
}

static void give_up(int code, const char *reason, const char *message) { give_up_for(code, 0, reason, message); }

void vm_machine_ended(const char *what, int status)
{
    char message[256];
    console_finish();
    errors_finish();
    if (console_panic()) return give_up(EXIT_LOST, "guest-panic", console_panic());
    if (machine_oom_kills(&machine)) {
        snprintf(message, sizeof message, "%s was killed for the memory limit of its cgroup", what);
        return give_up_for(128 + 9, 1, "monitor-died", message);
    }
    if (!WIFSIGNALED(status)) {
        snprintf(message, sizeof message, "%s ended with status %d; see shim.err", what, WEXITSTATUS(status));
        return give_up(EXIT_LOST, "monitor-died", message);
    }
    snprintf(message, sizeof message, "%s was killed by signal %d%s", what, WTERMSIG(status),
             WTERMSIG(status) == SIGSYS ? ": it made a system call that its filter refuses" : "");
    give_up(128 + WTERMSIG(status), "monitor-died", message);
}

void vm_give_up(const char *message) { give_up(EXIT_LOST, "monitor-died", message); }

static void panic_due(void *context)
{
    (void)context;
    give_up(EXIT_LOST, "guest-panic", console_panic());
}

/* The guest's kernel restarts, which ends QEMU, when it has printed where it was. If it cannot even do that: */
void vm_panicked(void) { loop_after(PANIC_DEADLINE_MS, panic_due, NULL); }

static void boot_due(void *context)
{
    (void)context;
    give_up(EXIT_LOST, "start-failed",
            greeted ? "the guest did not start its main process in time; its console is in console.log"
                    : "the guest did not answer in time; its console is in console.log");
}

static void set_deadline(int milliseconds)
{
    loop_cancel(boot_timer);
    boot_timer = loop_after(milliseconds, boot_due, NULL);
}

static void abort_start(void)
{
    /* No cold boot replaces a machine whose start was killed. */
    restoring = replacing = 0;
    give_up(128 + 9, "start-failed", "the VM was killed while it was being started");
}

/* Where the machine comes from: a template, if there is one that can be used. */
static int choose_origin(int fds[FD_COUNT])
{
    char why[256];
    if (is_template) return template_files(&machine, fds);
    if (restoring || !fields_get(&machine, "fork") || tried_fork) return memory_make(&machine, fds);
    tried_fork = 1;
    if (fork_open(&machine, fds, why, sizeof why) == 0) return restoring = 1, 0;
    if (resumed) return complain("%s", why), -1;
    complain("the fork failed, the machine boots instead: %s", why);
    main_note("fork_failure", why);
    return memory_make(&machine, fds);
}

static void launch(void)
{
    int fds[FD_COUNT], ours[3];
    memset(fds, -1, sizeof fds);
    struct fields asked = {buffer_head(&request), request.length};
    const char *problem = taps_open(&machine, &asked, fds);
    if (!problem && (machine_connect(fds, ours) < 0 || choose_origin(fds) < 0))
        problem = "no sockets or files for the machine; see shim.err";
    if (problem) return give_up(EXIT_LOST, "start-failed", problem);
    int started = machine_start(&machine, restoring ? "fork" : "qemu", fds);
    for (int i = 0; i < FD_COUNT; i++)
        if (fds[i] >= 0 && !is_template) close(fds[i]);
        else if (i < 3) close(fds[i]);
    if (started < 0) return give_up(EXIT_LOST, "start-failed", "the machine could not be started; see shim.err");
    main_channel_reset(holding);
    link_asked = !restoring;
    link_open(ours[FD_LINK - FD_LINK]);
    qmp_open(ours[FD_QMP - FD_LINK]);
    console_open(ours[FD_CONSOLE - FD_LINK]);
    if (restoring) qmp_restore();
    set_deadline(restoring ? RESTORE_DEADLINE_MS : BOOT_DEADLINE_MS);
}

static void begin(const struct fields *fields, int hold)
{
    holding = hold;
    if (is_template && fields_get(&machine, "saved_memory")) return template_load(&machine);
    if (fields) buffer_append(&request, fields->data, fields->length);
    if (machine_pid() <= 0) return launch();
    /* It is all there, and has only to be told. */
    set_deadline(RESTORE_DEADLINE_MS);
    main_channel_reset(holding);
    qmp_pause(NULL, 0);
    const char *problem = fields ? taps_plug_all(&machine, fields) : NULL;
    if (problem) return give_up(EXIT_LOST, "start-failed", problem);
    greet();
}

static void start(const struct fields *fields) { begin(fields, 0); }
static void hold(const struct fields *fields) { begin(fields, 1); }

static void greet(void)
{
    link_asked = greeted = 1;
    if (pooled) return greet_ahead();
    throttle_begin(&machine);
    struct fields asked = {buffer_head(&request), request.length};
    if (resumed) return greet_anew(&guest, &asked);
    if (!restoring) set_deadline(START_DEADLINE_MS);
    greet_guest(&guest, holding ? NULL : &process, &asked);
}

void vm_refused(const struct refusal *refusal)
{
    if (over) return;
    over = 1;
    loop_cancel(boot_timer);
    main_failed(refusal->code, refusal->status, refusal->message);
}

/* Handles a FAIL of the guest on channel 0. Once the workload runs, it concerns a single request and ends nothing. */
static void link_refused(const struct fields *fields)
{
    struct refusal refusal;
    refusal_read(fields, &refusal);
    if (!launched && !replace(refusal.message)) vm_refused(&refusal);
}

void vm_main_started(void)
{
    launched = 1;
    loop_cancel(boot_timer);
    if (holding) main_held();
    else main_started(machine_pid());
}

void vm_main_ended(int code, int oom)
{
    if (over) return;
    over = 1;
    loop_cancel(kill_timer);
    main_ending();
    main_exited(code, oom, NULL, NULL);
}

/* The agent of a fork has said its hello long ago. */
void vm_restored(const char *failure)
{
    if (!restoring || greeted) return;
    if (failure) return give_up(EXIT_LOST, "start-failed", failure);
    greet();
}

/* Its process runs already: only who watches it is new. */
static int taken_over(const struct fields *fields)
{
    long long room = fields_number(fields, "window", -1);
    if (room < 0 || room > (long long)WINDOW_BYTES) return -1;
    restoring = 0;
    main_channel_taken_over((size_t)room);
    main_note("boot", "restore");
    vm_main_started();
    return 0;
}

/* From here on the guest is this one, and none other can take its place. */
static void configured(void)
{
    if (pooled) return qmp_pause(NULL, 1);
    if (!restoring) return;
    restoring = 0;
    set_deadline(START_DEADLINE_MS);
    main_note("boot", claimed ? "pool" : "fork");
}

void vm_stopped(void)
{
    if (!pooled || main_state() != MAIN_STARTING) return;
    loop_cancel(boot_timer);
    main_held();
}

/* An instance takes this machine: its description is in the new folder. */
static void become(struct conn *conn, const struct fields *fields)
{
    if (pool_become(conn, fields) < 0) return;
    if (prepare() < 0) return conn_fail(conn, "internal", 0, "the instance's description cannot be read");
    pool_join(&machine);
    /* As with any fork, a boot can still take its place until it has been configured. */
    claimed = 1;
    restoring = 1;
    conn_opened(conn);
}

/* An answer that nobody waits for any more, of a capture that was given up, is nothing bad. */
static int link_frame(const struct frame *frame)
{
    struct fields fields;
    if (fields_parse(&fields, frame) < 0) return -1;
    if (frame->type == FRAME_FAIL) return link_refused(&fields), 0;
    if (frame->type != FRAME_OPENED) return -1;
    if (!link_asked) return 0;
    link_asked = 0;
    if (greeted && resumed) return taken_over(&fields);
    if (greeted) configured();
    else greet();
    return 0;
}

int vm_link_frame(const struct frame *frame)
{
    struct fields fields;
    struct refusal refusal;
    if (replacing || over || checkpoint_frame(frame)) return 0;
    if (is_template) {
        loop_cancel(boot_timer);
        if (frame->type != FRAME_FAIL) return template_frame(frame), 0;
        if (fields_parse(&fields, frame) < 0) return -1;
        refusal_read(&fields, &refusal);
        return vm_refused(&refusal), 0;
    }
    if (frame->channel == CHANNEL_LINK) return link_frame(frame);
    return main_channel_frame(frame, resumed);
}

static void kill_due(void *context)
{
    (void)context;
    kill_timer = 0;
    give_up(128 + 9, NULL, "the guest did not answer the signal; its machine was ended");
}

static void signal_main(struct conn *conn, int number)
{
    struct buffer fields = {0};
    field_add(&fields, "op", "signal");
    field_add_number(&fields, "signal", number);
    struct fields asked = {buffer_head(&fields), fields.length};
    /* A stopped guest cannot die. */
    if (number == 9 || number == 15) qmp_wake();
    if (number == 9 && !kill_timer) kill_timer = loop_after(KILL_DEADLINE_MS, kill_due, NULL);
    /* A guest that is paused takes it when it goes on; whoever sent it waits for no guest. */
    if (conn) conn_opened(conn);
    link_relay(NULL, &asked, ANSWERS_ONCE);
    buffer_free(&fields);
}

static int operation(struct conn *conn, const char *op, const struct fields *fields)
{
    enum answers answers = link_answers(op);
    int plugging = !strcmp(op, "plug") || !strcmp(op, "unplug");
    int pausing = !strcmp(op, "pause") || !strcmp(op, "resume"), capturing = !strcmp(op, "checkpoint");
    if (pooled && !strcmp(op, "become")) return become(conn, fields), 0;
    if (!strcmp(op, "throttle")) return throttle_change(conn, fields), 0;
    if (!pausing && !capturing && !plugging && answers == ANSWERS_NOTHING) return -1;
    enum main_state state = main_state();
    if (state != MAIN_RUNNING && state != MAIN_PAUSED && (state != MAIN_HELD || pausing || capturing || plugging))
        return conn_fail(conn, "invalid-state", 0, "the instance is not running"), 0;
    if (pausing && checkpoint_under_way())
        return conn_fail(conn, "conflict", 0, "a checkpoint is being made of the instance; try again"), 0;
    if (pausing && kill_timer) return conn_fail(conn, "invalid-state", 0, "the instance has just been killed"), 0;
    if (pausing) return qmp_pause(conn, !strcmp(op, "pause")), 0;
    if (state == MAIN_PAUSED || (capturing && qmp_pausing())) return link_refuse_paused(conn), 0;
    if (plugging) return taps_operation(conn, op, &machine, fields);
    if (capturing) return checkpoint_begin(conn, fields, &machine), 0;
    link_relay(conn, fields, answers);
    return 0;
}

static void cleanup(void)
{
    machine_hold_taps();
    if (machine_pid() > 0 && greeted && !pooled && !console_panic()) {
        qmp_wake();
        /* The disk is to be whole before the next start, and EXIT has been told already. */
        link_send(FRAME_OPEN, CHANNEL_LINK, "op=shutdown", sizeof "op=shutdown");
        if (link_await(FRAME_EXIT, SHUTDOWN_DEADLINE_MS) < 0) complain("the guest did not shut down in time");
    }
    if (machine_kill() < 0) complain("QEMU was killed, but the kernel does not let go of it");
    channels_killed();
    console_finish();
    errors_finish();
    machine_remove(&machine);
}

static int option(const char *name, const char *value) { return (void)name, (void)value, -1; }

const struct backend vm_backend = {
    .name = "vm",
    .option = option,
    .prepare = prepare,
    .start = start,
    .hold = hold,
    .abort = abort_start,
    .signal = signal_main,
    .resize = main_channel_resize,
    .input = main_channel_input,
    .output_resume = main_channel_resume,
    .operation = operation,
    .cleanup = cleanup,
};
