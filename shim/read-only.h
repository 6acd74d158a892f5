/* Binds that the workload may only read. */
#ifndef BERTH_READ_ONLY_H
#define BERTH_READ_ONLY_H

/* Makes the bind at `target`, which nobody else uses yet, as its access says (src/core/spec.ts): "rw" as it is, "ro"
 * read-only with every mount below, and its top alone where the kernel cannot do more (before Linux 5.12), "ro-all" the
 * same or not at all, "ro-top" its top alone. 0, or -1 with errno. */
int bind_restrict(const char *target, const char *access);

/* The user's text for an errno of `bind_restrict`. */
const char *bind_problem(int error);

#endif
