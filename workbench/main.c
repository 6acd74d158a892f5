// Entry: one word chooses what to do.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

_Noreturn void fail(const char *what) {
  printf("error=%s: %s\n", what, strerror(errno));
  fflush(stdout);
  exit(1);
}

static void leave(int signal) {
  (void)signal;
  _exit(0);
}

// Waits for nothing until it is asked to end; as process 1 it must name the signals it obeys.
static int idle(void) {
  signal(SIGTERM, leave);
  signal(SIGINT, leave);
  signal(SIGCHLD, SIG_IGN);
  if (write(1, "ready\n", 6) < 0) return 1;
  for (;;) pause();
}

// Panics the kernel it runs on, unless that is the kernel whose boot id was given: the host's own.
static int panic_kernel(const char *host_boot_id) {
  char own[64] = "";
  int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
  ssize_t got = file < 0 ? -1 : read(file, own, sizeof own - 1);
  if (got < 36) fail("cannot read this kernel's boot id, so nothing was done");
  own[36] = 0;
  if (strlen(host_boot_id) != 36 || strcmp(own, host_boot_id) == 0) {
    printf("error=this is the host's kernel: refused\n");
    return 1;
  }
  int trigger = open("/proc/sysrq-trigger", O_WRONLY);
  if (trigger < 0) fail("cannot open /proc/sysrq-trigger");
  if (write(1, "begin\n", 6) < 0 || write(trigger, "c", 1) < 0) fail("cannot write /proc/sysrq-trigger");
  return 0;
}

int main(int count, char **words) {
  setvbuf(stdout, NULL, _IOLBF, 4096);
  const char *verb = count > 1 ? words[1] : "";
  if (strcmp(verb, "idle") == 0) return idle();
  if (strcmp(verb, "true") == 0) return 0;
  if (strcmp(verb, "job") == 0 && count > 2) {
    int wait = count > 4 && strcmp(words[4], "wait") == 0;
    return run_job(words[2], count > 3 ? words[3] : "/", wait);
  }
  if (strcmp(verb, "facts") == 0) return print_facts(count > 2 ? words[2] : "");
  if (strcmp(verb, "syscalls") == 0) return print_syscalls();
  if (strcmp(verb, "filters") == 0 && count > 2) return print_filters(atoi(words[2]));
  if (strcmp(verb, "panic") == 0 && count > 2) return panic_kernel(words[2]);
  fprintf(stderr, "usage: berth-bench idle|true|job NAME [FOLDER [wait]]|facts [TOKEN]|syscalls|filters PID|panic BOOT-ID\n");
  return 2;
}
