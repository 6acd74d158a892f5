/* The control group of a supervisor, beside that of its workload: memory that the kernel keeps for it counts as well there. What
 * a client or a capture has written, into a tmpfs say, stays charged to whoever wrote it: it is written by children, and these
 * stand outside. */
#ifndef BERTH_OWN_GROUP_H
#define BERTH_OWN_GROUP_H

#include <sys/types.h>

/* Begins to make the group options.group, if one is named, and to move this process into it. */
void own_group_enter(void);
/* Whether that was begun, and has not failed. */
int own_group_is_entered(void);
/* As fork does, with flags of clone; the child stands outside of the group, in options.outside. */
pid_t fork_outside(int flags);
/* The last call of a supervisor: its group is gone when its connections are closed. */
void own_group_remove(void);

#endif
