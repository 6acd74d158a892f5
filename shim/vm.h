/* What the files of the VM back-end share. The machine and the guest are described by three files of NUL-ended fields
 * in DIR (src/drivers/vm/config.ts): vm.machine, vm.guest, vm.main. */
#ifndef BERTH_VM_H
#define BERTH_VM_H

#include "backend.h"

/* Descriptor numbers agreed with the command line of QEMU (src/qemu/machine.ts). */
enum machine_fd {
    FD_LINK = 10,
    FD_QMP,
    FD_CONSOLE,
    FD_KERNEL,
    FD_INITRD,
    FD_IMAGE,
    FD_WRITABLE,
    FD_SHARES,
    FD_MEMORY,
    FD_STATE,
    FD_NIC,
    FD_NIC_LAST = FD_NIC + 3,
    FD_END,
};
#define MOST_NICS (FD_END - FD_NIC)
#define FD_COUNT (FD_END - FD_LINK)

/* The kernel has no process with a higher number. */
#define MOST_PID (1 << 22)

#define CHANNEL_LINK 0u
#define CHANNEL_MAIN 1u
#define WINDOW_BYTES (256u << 10)

/* vm-greet.c. The agent is there: tell it who it is and what to run (NULL: nothing, hold), in one go. */
void greet_guest(const struct fields *guest, const struct fields *process, const struct fields *asked);
/* A guest that does not know yet who it is to be: make everything ready. */
void greet_ahead(void);
/* A guest that was somebody else until now. */
void greet_anew(const struct fields *guest, const struct fields *asked);
/* The time and 64 bytes of randomness are for the guest to set its clock and generator by. */
void greet_add_time(struct buffer *fields);
/* Reads a file of fields whole; 0, or -1 with errno. The fields live for ever. */
int vm_read_fields(const char *path, struct fields *fields);

/* vm-machine.c: QEMU, what it needs around it, and their end. `arguments` is the field with the command line; `fds` has
 * what is open already by number less FD_LINK, and -1 for what is to be opened by its field or left out. */
int machine_start(const struct fields *machine, const char *arguments, const int fds[FD_COUNT]);
/* Sockets for what QEMU speaks on: its ends by number in `fds`, ours in the same order. 0, or -1. */
int machine_connect(int fds[FD_COUNT], int ours[3]);
pid_t machine_pid(void);
/* How much rather than others the host is to kill the process when it runs out of memory; if the user said so. */
void machine_set_oom_score(const struct fields *machine, pid_t pid);
/* Ends everything at once and waits until it is gone. 0, or -1 when the kernel does not let go of it in time. */
int machine_kill(void);
/* To be called before the machine's last end: to remove a tap the kernel waits some 20 ms for what it has under way; with
 * descriptors of ours that is done when this process ends, which nobody waits for. */
void machine_hold_taps(void);
/* Afterwards: the cgroups. */
void machine_remove(const struct fields *machine);
/* Whether the host killed a process of the machine for the memory limit of its cgroup. */
int machine_oom_kills(const struct fields *machine);
/* Called by the loop when QEMU, or a helper without which the guest cannot go on, has ended with this wait status. */
void vm_machine_ended(const char *what, int status);

/* vm-network.c. Each returns NULL, or what went wrong. */
/* Taps for the endpoints of a start, plugged in, among the descriptors of the machine that is to be started. */
const char *taps_open(const struct fields *machine, const struct fields *request, int fds[FD_COUNT]);
/* The same for a machine that is there. */
const char *taps_plug_all(const struct fields *machine, const struct fields *request);
/* Taps for all other interfaces, in QEMU's process that is to be, after it has a network namespace. 0, or -1. */
int taps_make_free(const struct fields *machine);
/* Fields for the guest. */
void taps_tell(const struct fields *request, struct buffer *fields);
/* plug and unplug of a guest that runs. -1: not one of these. */
int taps_operation(struct conn *conn, const char *op, const struct fields *machine, const struct fields *fields);

/* vm-shares.c: host folders for the guest. Returns the connected socket, or -1 after complaining; *pid is the helper. */
int shares_start(const struct fields *machine, pid_t *pid);

/* vm-channel.c: operations of clients, each on a channel of its own. */
/* How the agent answers an operation: by one frame, or by frames up to EXIT or FAIL. */
enum answers { ANSWERS_NOTHING, ANSWERS_ONCE, ANSWERS_STREAM };
enum answers link_answers(const char *op);
/* Opens a channel for an operation and relays between it and the connection; NULL: nobody wants to know. */
void link_relay(struct conn *conn, const struct fields *fields, enum answers answers);
/* A frame of the agent. 0, or -1 when it is none that the agent may send. */
int channel_frame(const struct frame *frame);
/* Fails an operation that a guest which stands still cannot answer. */
void link_refuse_paused(struct conn *conn);
/* The guest stands still: does so for all that are under way, and has the guest forget them. */
void channels_paused(void);
/* The machine has ended, and with it every process and operation in it: their clients are told so. */
void channels_killed(void);

/* vm-main.c: channel 1. */
/* Content of a FAIL frame of the guest, reduced to the codes and texts that a guest may send. */
struct refusal {
    char code[24], message[1024];
    int status;
};
void refusal_read(const struct fields *fields, struct refusal *refusal);
/* A new machine, of which a process is to be started or nothing but the files held. */
void main_channel_reset(int holding);
/* The process of a copy, which runs already, is this one's now and has room for so much input. */
void main_channel_taken_over(size_t room);
/* `is_copy`: its process runs although nobody has said so yet. 0, or -1 when the guest may not say that. */
int main_channel_frame(const struct frame *frame, int is_copy);
size_t main_channel_input(const char *data, size_t length);
void main_channel_resume(void);
void main_channel_resize(unsigned rows, unsigned columns);
/* vm.c: the main channel reports the process's start, its end, or a refusal of the guest. */
void vm_main_started(void);
void vm_main_ended(int code, int oom);
void vm_refused(const struct refusal *refusal);

/* vm-link.c: frames to and from the agent. */
void link_open(int fd);
void link_send(uint8_t type, uint32_t channel, const void *payload, size_t length);
/* Whether more waits for the guest than may wait. */
int link_is_behind(void);
/* Keeps what is sent from now on; then sends it, behind what is sent first. */
void link_hold(void);
void link_release(uint8_t type, uint32_t channel, const void *payload, size_t length);
/* Gives back what the agent may send on a channel. */
void link_credit(uint32_t channel, size_t bytes);
/* Waits for a frame on channel 0, dropping all others; 0, or -1 when it did not come in time. */
int link_await(uint8_t type, int milliseconds);
/* The frames of channels 0 and 1. 0, or -1 when the guest may not say that. */
int vm_link_frame(const struct frame *frame);

/* The machine must not go on, and why. */
void vm_give_up(const char *message);
/* How long a guest or QEMU may take to answer what it was asked, or be silent when it is to speak. */
int vm_patience_ms(void);

/* vm-throttle.c: limits of the disks, from fields `disk_*`. A new machine's, if it has any: before its workload starts;
 * QEMU's refusal ends it. */
void throttle_begin(const struct fields *machine);
/* A running one's; answers on the connection. */
void throttle_change(struct conn *conn, const struct fields *fields);

/* vm-qmp.c: QEMU's monitor. */
void qmp_open(int fd);
/* Stops or resumes the guest; answers on the connection when QEMU did, if there is one. */
void qmp_pause(struct conn *conn, int paused);
/* Whether the guest stands still by that, or is about to. */
int qmp_pausing(void);
/* Has it go on if so. */
void qmp_wake(void);
/* The guest runs again: its clock stood still meanwhile. */
void vm_resumed(void);
/* The guest stands still. */
void vm_stopped(void);
/* Sends a command whose arguments are the members of a JSON object, with a descriptor unless that is -1. `done` is called
 * with NULL or what QEMU says is wrong. */
void qmp_run(const char *name, int fd, void (*done)(const char *failure), const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Saves the state of the devices of a machine that is stopped to a descriptor open for nothing but writing. */
void qmp_save(int state, void (*done)(const char *failure));
/* Restores it from FD_STATE; vm_restored tells the end: NULL, or what failed. */
void qmp_restore(void);
void vm_restored(const char *failure);
/* Forget a machine that is gone: another one is to be started in its place. */
void qmp_close(void);
void link_close(void);
void console_close(void);

/* vm-template.c: a machine saved when its agent is ready, kept in files that nobody can change any more. */
int template_files(const struct fields *machine, int fds[FD_COUNT]);
void template_frame(const struct frame *frame);
/* In place of booting: memory and state come from the files of a checkpoint. */
void template_load(const struct fields *machine);

/* vm-memory.c: the memory of a machine, that of QEMU's process. All return 0, or -1 with errno. */
/* For a machine that boots: a file of its own, in which it is found when it is to be captured. */
int memory_make(const struct fields *machine, int fds[FD_COUNT]);
/* What cannot change any more of what it began with; no need to stop it for that. */
int memory_copy_origin(pid_t qemu, int to);
/* All the rest; it must be stopped. */
int memory_copy(pid_t qemu, int to);

/* vm-checkpoint.c: a running machine is captured and goes on. */
void checkpoint_begin(struct conn *conn, const struct fields *fields, const struct fields *machine);
/* Whether the frame belongs to it. */
int checkpoint_frame(const struct frame *frame);
/* The event of QEMU: NULL, or why it failed. */
void checkpoint_disk_copied(const char *failure);
int checkpoint_under_way(void);

/* vm-pool.c: a machine that waits for an instance goes over to one: DIR becomes another folder. 0, or -1 and answered. */
int pool_become(struct conn *conn, const struct fields *fields);
void pool_join(const struct fields *machine);

/* vm-fork.c: the files of a template, opened and checked. 0, or -1 and why. */
int fork_open(const struct fields *machine, int fds[FD_COUNT], char *why, size_t size);

/* vm-errors.c: takes what is left of what the machine said is wrong. */
void errors_finish(void);

/* vm-console.c: the guest kernel's console, kept in console.log, its panics noticed. */
void console_open(int fd);
/* Takes what is left to be read. */
void console_finish(void);
/* The kernel's panic line, or NULL. */
const char *console_panic(void);
/* The panic was just printed. */
void vm_panicked(void);

#endif
