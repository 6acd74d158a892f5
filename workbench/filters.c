// What the seccomp filters of another process admit, read out by ptrace (PTRACE_SECCOMP_GET_FILTER) and evaluated here for
// every system call with all arguments zero. The process is held for a few milliseconds. For the monitor of a VM, whose
// filter is the border to the host. Classic BPF as in seccomp(2): loads of seccomp_data words, ALU, jumps, returns.

#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "bench.h"

#ifndef PTRACE_SECCOMP_GET_FILTER
#define PTRACE_SECCOMP_GET_FILTER 0x420c
#endif
#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "unknown architecture"
#endif
#define MAX_FILTERS 32

struct program {
  struct sock_filter *code;
  int length;
};

static uint32_t arithmetic(uint16_t code, uint32_t a, uint32_t b) {
  switch (BPF_OP(code)) {
    case BPF_ADD: return a + b;
    case BPF_SUB: return a - b;
    case BPF_MUL: return a * b;
    case BPF_DIV: return b ? a / b : 0;
    case BPF_OR: return a | b;
    case BPF_AND: return a & b;
    case BPF_LSH: return b < 32 ? a << b : 0;
    case BPF_RSH: return b < 32 ? a >> b : 0;
    case BPF_XOR: return a ^ b;
    default: return -a;
  }
}

static int holds(uint16_t code, uint32_t a, uint32_t b) {
  switch (BPF_OP(code)) {
    case BPF_JEQ: return a == b;
    case BPF_JGT: return a > b;
    case BPF_JGE: return a >= b;
    default: return (a & b) != 0;
  }
}

static uint32_t load(const struct sock_filter *at, const struct seccomp_data *data, const uint32_t *memory) {
  uint32_t word = 0;
  switch (BPF_MODE(at->code)) {
    case BPF_IMM: return at->k;
    case BPF_MEM: return memory[at->k & (BPF_MEMWORDS - 1)];
    case BPF_LEN: return sizeof *data;
    default:
      if (at->k + sizeof word <= sizeof *data) memcpy(&word, (const char *)data + at->k, sizeof word);
      return word;
  }
}

static uint32_t evaluate(struct program program, const struct seccomp_data *data) {
  uint32_t a = 0, x = 0, memory[BPF_MEMWORDS] = {0};
  for (int pc = 0; pc < program.length; pc++) {
    const struct sock_filter *at = &program.code[pc];
    uint32_t operand = BPF_SRC(at->code) == BPF_X ? x : at->k;
    switch (BPF_CLASS(at->code)) {
      case BPF_LD: a = load(at, data, memory); break;
      case BPF_LDX: x = load(at, data, memory); break;
      case BPF_ST: memory[at->k & (BPF_MEMWORDS - 1)] = a; break;
      case BPF_STX: memory[at->k & (BPF_MEMWORDS - 1)] = x; break;
      case BPF_ALU: a = arithmetic(at->code, a, operand); break;
      case BPF_JMP:
        if (BPF_OP(at->code) == BPF_JA) pc += (int)at->k;
        else pc += holds(at->code, a, operand) ? at->jt : at->jf;
        break;
      case BPF_RET: return BPF_RVAL(at->code) == BPF_A ? a : at->k;
      default:
        if (BPF_MISCOP(at->code) == BPF_TAX) x = a;
        else a = x;
    }
  }
  return SECCOMP_RET_KILL_PROCESS;
}

// The action of highest precedence is the smallest as a signed number (seccomp(2)).
static int admitted(const struct program *programs, int count, int number) {
  struct seccomp_data data = {.nr = number, .arch = ARCH};
  uint32_t strictest = SECCOMP_RET_ALLOW;
  for (int i = 0; i < count; i++) {
    uint32_t action = evaluate(programs[i], &data) & SECCOMP_RET_ACTION_FULL;
    if ((int32_t)action < (int32_t)strictest) strictest = action;
  }
  return strictest == SECCOMP_RET_ALLOW || strictest == SECCOMP_RET_LOG;
}

static int read_programs(int pid, struct program *programs) {
  int count = 0;
  for (; count < MAX_FILTERS; count++) {
    long length = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, count, NULL);
    if (length < 0 && errno == ENOENT) break;
    if (length < 0) fail("cannot read the filter");
    struct sock_filter *code = calloc((size_t)length, sizeof *code);
    if (!code || ptrace(PTRACE_SECCOMP_GET_FILTER, pid, count, code) < 0) fail("cannot read the filter");
    programs[count] = (struct program){.code = code, .length = (int)length};
  }
  return count;
}

int print_filters(int pid) {
  struct program programs[MAX_FILTERS];
  if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0) fail("cannot trace the process");
  if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || waitpid(pid, NULL, __WALL) < 0) fail("cannot hold the process");
  int count = read_programs(pid, programs);
  ptrace(PTRACE_DETACH, pid, NULL, NULL);
  printf("filters=%d\n", count);
  for (int i = 0; i < syscall_count; i++)
    printf("%s=%s\n", admitted(programs, count, syscall_names[i].number) ? "admitted" : "denied", syscall_names[i].name);
  return 0;
}
