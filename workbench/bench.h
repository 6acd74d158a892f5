// berth-bench: one static program that measures from the inside, the same on the host, in a container and in a VM.
// It needs nothing of the image: no shell, no library, no file. Every answer is a line `key=value` on stdout.
#ifndef BERTH_BENCH_H
#define BERTH_BENCH_H

#include <stdint.h>

struct syscall_name {
  int number;
  const char *name;
};

// Sorted by nothing in particular; `syscall_count` entries.
extern const struct syscall_name syscall_names[];
extern const int syscall_count;

uint64_t now_ns(void);
// Prints `error=…` with errno's words and exits with 1.
_Noreturn void fail(const char *what);

// Runs one fixed amount of work, if told so once a byte or the end of stdin has come; prints `begin` and `elapsed=NS`.
// Returns an exit code.
int run_job(const char *name, const char *folder, int wait);
void job_pipe(void);
void job_loopback(void);

// Prints what can be seen from here; `token` is looked for in the command lines of all visible processes.
int print_facts(const char *token);

// Prints for each system call whether the filters of this process admit it; executes none of them.
int print_syscalls(void);

// Prints what the seccomp filters of another process admit, by reading its programs. For the host only.
int print_filters(int pid);

#endif
