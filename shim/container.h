/* What the files of the container back-end share. */
#ifndef BERTH_CONTAINER_H
#define BERTH_CONTAINER_H

#include "backend.h"

#define MAX_LAYERS 512
#define MAX_CGROUPS 32
#define MAX_SHARED 64

struct container {
    /* The OCI runtime: its name, the file to execute, the folder of its state. */
    const char *runtime, *runtime_binary, *runtime_root;
    /* Lowest first. */
    const char *layers[MAX_LAYERS];
    size_t layer_count;
    /* Folders of our cgroup in every hierarchy. */
    const char *cgroups[MAX_CGROUPS];
    size_t cgroup_count;
    /* The file that counts OOM kills, or NULL. */
    const char *oom_file;
    /* A hybrid host's unified hierarchy, to be hidden from the runtime, or NULL. */
    const char *cover;
    /* What is bound so that mounts made in it reach the host: found at run/shared.NUMBER. */
    const char *shared[MAX_SHARED];
    size_t shared_count;
    /* The image file of a writable layer that has a size limit, or NULL. */
    const char *layer_image;
    /* Nothing in the writable layer need survive: skip all syncing. */
    int ephemeral;
    /* Its first process is our init. */
    int init;
    /* The container has a network of its own. */
    int network;
};

extern struct container container;

/* mounts.c: everything lies in a mount namespace of ours, so that it vanishes with us:
 *   run/          a small tmpfs, the bundle: config.json, state of the runtime, files bound into the container
 *   run/runtime   the runtime, bound read-only: what its own guard against being overwritten from inside wants
 *   rootfs        the overlay
 * NULL, or what went wrong. */
const char *mounts_prepare(void);
/* Binds what the `source` fields tell of (image.h) to run/source.NUMBER. Done once; NULL, or what went wrong. */
const char *mounts_sources(const struct fields *request);
const char *mounts_targets(const struct fields *request);
/* Lets go of them, and so of their loop devices, before anyone is told that we are gone. */
void mounts_release(void);
/* Binds a host path into rootfs, for a stopped instance. Links in `target` are resolved inside the root. */
const char *mounts_bind(const char *source, const char *target, int read_only);

/* cgroups.c */
void cgroups_warm_up(void);
void cgroups_kill(void);
void cgroups_remove(void);

/* exec.c: one more process. Answers on the connection. */
void exec_open(struct conn *conn, const struct fields *fields);
/* The container has ended, and with it every process in it: their clients are told so. */
void execs_killed(void);

/* files.c: stat, read, write, changes, identity. -1: not one of these. */
int files_operation(struct conn *conn, const char *op, const struct fields *fields);
/* Kills all children that look at files. */
void files_stop(void);
/* Watches such a child; `ended` may be NULL. */
void files_worker(pid_t pid, void (*ended)(void *context), void *context);
/* In a child: keeps this descriptor, as 3, and nothing else of ours. Were the listening socket still open here after the shim
 * was killed, the next daemon would wait for an answer from it. Returns 3. */
int files_only_socket(int fd);

/* identity.c: who a process would be, by the user and group files that the main process sees, or is going to. */
void identity_open(struct conn *conn, const struct fields *fields);

/* Writes a file whole; 0, or -1 with errno. */
int write_file(const char *path, const char *text, size_t length);

#endif
