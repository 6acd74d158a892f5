/* What the children of a VM's shim have in common. */
#ifndef BERTH_VM_PROCESS_H
#define BERTH_VM_PROCESS_H

#include "frame.h"

#include <sys/types.h>

/* In a forked child: joins the instance's cgroups, takes default signals, and dies with the shim. */
void process_begin(const struct fields *machine);
/* Ends the child if its parent, which holds the other side of the socket `fd`, is gone already. */
void process_check_parent(int fd);
void process_close_from(int fd);

/* vm-errors.c: before children are forked, in each of them, and when all have been. */
void errors_open(void);
void errors_take_over(void);
void errors_forget(void);

/* vm-root.c: leaves the host's files, in a mount namespace of the caller's own. 0, or -1 with errno. */
int root_enter(const char *program, uid_t uid, int kvm);

/* vm-user.c: a user that no other machine has while this process lives, the wanted one if it is free. 0, or -1 with errno. */
int user_take(uid_t wanted, uid_t *user);
/* Gives the user back. No process of that user may run any more. */
void user_release(void);

/* vm-filter.c: admits only the system calls of QEMU from here on. Needs "no new privileges". 0, or -1 with errno. */
int filter_install(void);

#endif
