/* Filters of system calls (seccomp): a list of rules, the first that fits answers. Used by the shim and berth-unpack. */
#ifndef BERTH_FILTER_H
#define BERTH_FILTER_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

#define FILTER_MOST 400

struct filter {
    struct sock_filter code[FILTER_MOST];
    unsigned short length;
};

/* A call that does not exist: libraries fall back as on an older kernel. */
#define FILTER_ABSENT (SECCOMP_RET_ERRNO | ENOSYS)
#define FILTER_REFUSED (SECCOMP_RET_ERRNO | EPERM)

/* The vDSO answers these without the kernel, but not on hosts whose clock programs cannot read (HPET, ACPI timer). */
#ifdef __x86_64__
#define FILTER_VDSO SYS_clock_gettime, SYS_gettimeofday, SYS_getcpu, SYS_time
#else
#define FILTER_VDSO SYS_clock_gettime, SYS_gettimeofday, SYS_getcpu
#endif

/* Calls of other architectures end the process, those of other ABIs of this one do not exist. */
void filter_begin(struct filter *filter);
/* The answer to each of the calls in the list. */
void filter_answer(struct filter *filter, const unsigned short *calls, size_t count, unsigned action);
/* The answer to one call if bits of its argument (its lower half) are as given: (argument & mask) == value. */
void filter_answer_if(struct filter *filter, unsigned short call, int argument, unsigned mask, unsigned value,
                      unsigned action);
/* Puts the filter in force: all other calls do not exist. Needs "no new privileges" or CAP_SYS_ADMIN. Returns 0, or -1
 * with errno. */
int filter_end(struct filter *filter);

#endif
