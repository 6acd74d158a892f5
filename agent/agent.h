/* Berth's guest agent: process 1 of a virtual machine. It mounts what the host configured, runs the workload in
 * namespaces of its own, and serves the operations of docs/guest-protocol.md over a virtio port. It never acts on its
 * own account, and nothing that the workload does can end it. */
#ifndef BERTH_AGENT_H
#define BERTH_AGENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../shim/frame.h"
#include "../shim/loop.h"

/* Flow control: payload bytes outstanding per channel and direction. */
#define WINDOW_BYTES (256u << 10)

/* Where the agent mounts things in its own root. */
#define ROOT_PATH "/run/root"
#define LOWER_PATH "/run/lower"
#define WRITABLE_PATH "/run/writable"
#define UPPER_PATH WRITABLE_PATH "/upper"
#define BINDS_PATH "/run/binds"
#define FILES_PATH "/run/files"
#define TERMINALS_PATH "/run/terminals"
#define CGROUP_PATH "/sys/fs/cgroup"
#define WORKLOAD_CGROUP CGROUP_PATH "/workload"

/* What went wrong, ready for a FAIL frame: a BerthError code, a sentence, and 126/127 for the shell convention. */
struct failure {
    char code[24];
    int status;
    char message[512];
};
int fail_with(struct failure *failure, const char *code, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* boot.c */
void boot_early(void);
void boot_load_modules(const char *list);
int boot_open_port(void);
int write_file(const char *path, const char *text);
int make_folders(const char *path, mode_t mode);
/* Does not return. */
void boot_restart(void);

/* link.c: the port to the host. */
void link_open(int fd);
void link_send(uint8_t type, uint32_t channel, const void *payload, size_t length);
/* Sends a control frame and frees the fields. */
void link_send_fields(uint8_t type, uint32_t channel, struct buffer *fields);
void link_opened(uint32_t channel);
void link_fail(uint32_t channel, const struct failure *failure);
void link_window(uint32_t channel, size_t bytes);
/* Waits until all that was sent has left; the loop does not run meanwhile. */
void link_flush(void);
/* Keeps what is sent from now on until the hold is taken off. */
void link_hold(int on);

/* configure.c: what the host said about this guest. */
struct configuration {
    /* The configure frame's fields, kept for the guest's life. */
    struct fields fields;
    int done, namespaces_ready;
};
extern struct configuration configuration;
int configure(const struct fields *fields, struct failure *failure);
/* Opens the disks and runs a process of no effect, so that the first one of the workload finds everything ready. */
int configure_ahead(const struct fields *fields, struct failure *failure);
/* A copy of a configured guest is told who it is; its disks and the workload's view of them stay as they are. */
int configure_anew(const struct fields *fields, struct failure *failure);
/* Sets the clock from the field `time`. */
void configure_clock(const struct fields *fields);

/* network.c: the machine's network interfaces. */
/* Goes to a network namespace that has only a loopback, for good; /proc is there. */
void network_begin(void);
/* The drivers; when they are there already, nothing. */
void network_load(void);
/* SLOT and endpoint: an interface from outside, with all that it is to have. */
int network_plug(const char *text, struct failure *failure);
/* One that is not there is no failure. */
int network_unplug(const char *name, struct failure *failure);
/* Plugs one in and out again, if there is one: the first time takes an emulated processor the longest. */
void network_rehearse(void);
/* Those of the `nic` fields are there, and no other. */
int network_configure(const struct fields *fields, struct failure *failure);

/* storage.c: disks and shared folders, in the agent's own mount namespace. */
/* All that is the same in every guest; a template has it done. */
void storage_prepare(void);
/* The disks alone, for a guest that does not know yet who it is to be; storage_mount does what is left. */
int storage_open(struct failure *failure);
int storage_mount(const struct fields *fields, struct failure *failure);
/* The files that tell who this guest is, written over those that the workload sees. */
int storage_rename(const struct fields *fields, struct failure *failure);
void storage_unmount(void);
/* New limits of the workload's cgroup; memory never goes beyond what the guest has. */
int storage_limit(const struct fields *fields, struct failure *failure);

/* sandbox.c: what the workload sees. Both run in a forked child. */
int sandbox_enter_new(struct failure *failure);
int sandbox_enter_existing(int workload, struct failure *failure);
/* A descriptor for the process whose sandbox is to be entered; taken before the fork, as numbers differ inside. */
int sandbox_open(pid_t pid);

/* identity.c: who the process is; runs in the child, inside the workload's root. */
int identity_assume(const struct fields *process, struct buffer *environment, struct failure *failure);

/* child.c: from fork to execve. Does not return; reports failure through the pipe. */
struct launch {
    const struct fields *process;
    /* `workload`: from sandbox_open, when it is not the main process itself. */
    int is_main, tty, stdio[3], report, cgroup, workload;
    /* The agent's own program, to be run in place of any of the image's; 0 otherwise. */
    int rehearsal;
};
void child_run(const struct launch *launch) __attribute__((noreturn));
void child_hold(const struct launch *launch) __attribute__((noreturn));

/* launch.c */
/* Forks a child that runs as planned; returns the descriptor on which it reports, or -1. */
int launch_begin(struct launch *plan, pid_t *pid, void (*run)(const struct launch *), struct failure *failure);
/* Reads the child's report: 0 when the child has executed its program, -1 with the failure when not. Blocks as the
 * descriptor does. */
int launch_report(int report, struct failure *failure);
/* The process id as the workload's own tools show it. */
int process_inner_pid(pid_t pid);

/* process.c: processes with their stdio. */
void process_start(uint32_t channel, const struct fields *fields, int is_main);
/* The whole way of a main process, from the fork to its end, without any program of the image. */
int process_rehearse(struct failure *failure);
/* A process that holds the workload's view of the file system but runs nothing. */
void process_hold(uint32_t channel);
/* 0 when there is none (yet or any more). */
pid_t process_main(void);
pid_t process_holder(void);
int process_signal_main(int signal_number, struct failure *failure);
int process_resize_main(int rows, int columns, struct failure *failure);
/* Kills and forgets every process but the main one. */
void process_end_others(void);
/* The main process's stdio has a new peer: the windows are whole again. Returns what may be sent to it at once. */
size_t process_main_renew(void);
/* Frames for a channel that a process owns; 0 when none does. */
int process_frame(const struct frame *frame);
/* The memory limit made the kernel kill in the workload: said on the channel of the main process. */
void process_oom(void);
/* The host no longer cares: the process is killed and its channel forgotten. 0 when no process owns the channel. */
int process_cancel(uint32_t channel);

/* files.c: stat, read, write, changes, identity, processes and sync, each by a child of its own: it may have to wait for what the
 * workload owns. */
void files_serve(uint32_t channel, const char *operation, const struct fields *fields);
int files_frame(const struct frame *frame);
void files_cancel(uint32_t channel);
void files_end_all(void);

/* fork.c: the guest at rest, and what follows. Each answers on the channel. */
void fork_freeze(uint32_t channel);
void fork_thaw(uint32_t channel, const struct fields *fields);
void fork_become(uint32_t channel, const struct fields *fields);

/* report.c */
void report_stats(uint32_t channel);
/* The text of a small file, ended by NUL; -1 and empty when it cannot be read. */
ssize_t read_text(const char *path, char *text, size_t size);

/* table.c */
/* Writes the list of processes to the socket of a child. */
void report_processes(int socket);

#endif
