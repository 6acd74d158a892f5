/* What the children of a VM's shim have in common. */
#ifndef BERTH_VM_PROCESS_H
#define BERTH_VM_PROCESS_H

#include "frame.h"

/* In a forked child: joins the instance's cgroups, takes default signals, and dies with the shim. */
void process_begin(const struct fields *machine);
void process_close_from(int fd);

#endif
