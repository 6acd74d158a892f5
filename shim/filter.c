#include "filter.h"

#include <linux/audit.h>
#include <sys/prctl.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define FOREIGN_CALLS 0x40000000u
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#define FOREIGN_CALLS ~0u
#else
#error "unknown architecture"
#endif

static void add(struct filter *filter, unsigned short code, unsigned char yes, unsigned char no, unsigned value)
{
    if (filter->length < FILTER_MOST) filter->code[filter->length] = (struct sock_filter){code, yes, no, value};
    filter->length++;
}

static void load(struct filter *filter, size_t offset) { add(filter, BPF_LD | BPF_W | BPF_ABS, 0, 0, (unsigned)offset); }
static void answer(struct filter *filter, unsigned action) { add(filter, BPF_RET | BPF_K, 0, 0, action); }

void filter_begin(struct filter *filter)
{
    filter->length = 0;
    load(filter, offsetof(struct seccomp_data, arch));
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCHITECTURE);
    answer(filter, SECCOMP_RET_KILL_PROCESS);
    load(filter, offsetof(struct seccomp_data, nr));
    add(filter, BPF_JMP | BPF_JGE | BPF_K, 0, 1, FOREIGN_CALLS);
    answer(filter, FILTER_ABSENT);
}

void filter_answer(struct filter *filter, const unsigned short *calls, size_t count, unsigned action)
{
    for (size_t i = 0; i < count; i++) {
        add(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, calls[i]);
        answer(filter, action);
    }
}

void filter_answer_if(struct filter *filter, unsigned short call, int argument, unsigned mask, unsigned value,
                      unsigned action)
{
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 5, call);
    load(filter, offsetof(struct seccomp_data, args) + (size_t)argument * sizeof(__u64));
    add(filter, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value);
    answer(filter, action);
    load(filter, offsetof(struct seccomp_data, nr));
}

int filter_end(struct filter *filter)
{
    answer(filter, FILTER_ABSENT);
    if (filter->length > FILTER_MOST) return errno = E2BIG, -1;
    struct sock_fprog program = {filter->length, filter->code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}
