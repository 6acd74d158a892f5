// Fixed amounts of work. The figure is the time by this machine's own monotonic clock; the reader of `begin` and
// `elapsed` can hold his clock against it.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define CPU_ROUNDS 30000000u
#define CALLS 100000
#define OPENS 10000
#define DISK_BLOCK (1 << 20)
#define DISK_BLOCKS 32
#define SYNC_BLOCK 4096
#define SYNCS 32

static volatile uint64_t sink;

// Integer arithmetic in registers: nothing but the processor, or its emulation.
static void job_cpu(void) {
  uint64_t state = 88172645463325252u, sum = 0;
  for (unsigned round = 0; round < CPU_ROUNDS; round++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    sum += state % 1000003u;
  }
  sink = sum;
}

// The shortest calls, then calls that walk a path: the price of entering a kernel, through a filter if there is one.
static void job_syscall(void) {
  for (int i = 0; i < CALLS; i++) sink += (uint64_t)syscall(SYS_getppid);
  for (int i = 0; i < OPENS; i++) {
    struct stat facts;
    int file = open("/", O_RDONLY | O_DIRECTORY);
    if (file < 0 || fstat(file, &facts) < 0) fail("cannot open /");
    close(file);
  }
}

static char block[DISK_BLOCK];

// 32 MiB in one go and a flush, then 32 small writes with a flush each: bandwidth and the wait of a careful program.
static void job_disk(const char *folder) {
  char path[4096];
  snprintf(path, sizeof path, "%s/berth-bench.data", strcmp(folder, "/") == 0 ? "" : folder);
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) fail(path);
  unlink(path);
  for (int i = 0; i < DISK_BLOCKS; i++) {
    block[0] = (char)i;
    if (write(file, block, DISK_BLOCK) != DISK_BLOCK) fail("cannot write");
  }
  if (fsync(file) < 0) fail("cannot flush");
  for (int i = 0; i < SYNCS; i++) {
    if (pwrite(file, block, SYNC_BLOCK, (off_t)i * DISK_BLOCK) != SYNC_BLOCK) fail("cannot write");
    if (fdatasync(file) < 0) fail("cannot flush");
  }
  close(file);
}

int run_job(const char *name, const char *folder, int wait) {
  char byte;
  // Whoever started us may first have to put us into place; end of file will do.
  if (wait && read(0, &byte, 1) < 0) fail("cannot read stdin");
  if (strcmp(name, "disk") == 0) memset(block, 0x5a, sizeof block);
  printf("begin\n");
  uint64_t start = now_ns();
  if (strcmp(name, "cpu") == 0) job_cpu();
  else if (strcmp(name, "syscall") == 0) job_syscall();
  else if (strcmp(name, "disk") == 0) job_disk(folder);
  else if (strcmp(name, "pipe") == 0) job_pipe();
  else if (strcmp(name, "loopback") == 0) job_loopback();
  else {
    printf("error=no job is called %s\n", name);
    return 2;
  }
  printf("elapsed=%llu\n", (unsigned long long)(now_ns() - start));
  return 0;
}
