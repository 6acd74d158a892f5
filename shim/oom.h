/* Kills by the kernel for want of memory, told while the workload goes on; for the shim, and for the agent in a guest. */
#ifndef BERTH_OOM_H
#define BERTH_OOM_H

/* From now on `killed` is called for kills in the group whose counter this file is: memory.events of cgroup version 2, or
 * memory.oom_control of version 1. One call may stand for several. Once only. */
void oom_watch(const char *file, void (*killed)(void));
/* Looks at once: at the end of a process its kill may not have been noticed yet. */
void oom_look(void);
/* Whether the kernel has killed a process of this workload for want of memory. */
int oom_killed(void);
/* Counts all kills so far as those of another workload. */
void oom_forget(void);
/* The number of OOM kills that the kernel counts in `file`; -1 when the file cannot be read. */
long long oom_kills(const char *file);

#endif
