/* What the children of a VM's shim have in common. */
#ifndef BERTH_VM_PROCESS_H
#define BERTH_VM_PROCESS_H

#include "frame.h"

/* In a forked child: joins the instance's cgroups, takes default signals, and dies with the shim. */
void process_begin(const struct fields *machine);
void process_close_from(int fd);

/* vm-errors.c: before children are forked, in each of them, and when all have been. */
void errors_open(void);
void errors_take_over(void);
void errors_forget(void);

#endif
