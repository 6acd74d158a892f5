// Which system calls do the seccomp filters of this process admit? Found without executing a single one: a child puts a
// filter of its own in front, which hands every call that carries our mark to this process (SECCOMP_RET_USER_NOTIF), and
// this process answers it with a made-up error. A stricter answer of an older filter wins over ours (seccomp(2): the
// action of highest precedence), so the made-up error means "admitted" and anything else is what the older filter says.

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

// The sixth argument, which next to no call uses; both halves are compared.
#define MARK 0x62657274u
#define ADMITTED 4000
#define TIMEOUT_S 5

const struct syscall_name syscall_names[] = {
#include "syscall-names.inc"
};
const int syscall_count = sizeof syscall_names / sizeof syscall_names[0];

struct answer {
  int index;
  int error;
};

static int install_listener(void) {
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {.len = sizeof program / sizeof program[0], .filter = program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

// Ordinary calls of the child name all six arguments: a register that still holds the mark would make them marked ones.
static void tell(int out, struct answer answer) { syscall(SYS_write, out, &answer, sizeof answer, 0L, 0L, 0L); }

static _Noreturn void leave(void) {
  for (;;) syscall(SYS_exit_group, 0L, 0L, 0L, 0L, 0L, 0L);
}

// The child shares our table of files, so its listener is ours too. It tells its number, then tries call by call.
static _Noreturn void try_calls(int out, int from) {
  int listener = install_listener();
  tell(out, (struct answer){.index = -1, .error = listener < 0 ? -errno : listener});
  if (listener < 0) leave();
  for (int i = from; i < syscall_count; i++) {
    int failed = syscall(syscall_names[i].number, 0L, 0L, 0L, 0L, 0L, (long)MARK) == -1;
    tell(out, (struct answer){.index = i, .error = failed ? errno : 0});
  }
  leave();
}

static void reply(int listener) {
  struct seccomp_notif request;
  memset(&request, 0, sizeof request);
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0) return;
  struct seccomp_notif_resp response = {.id = request.id, .error = -ADMITTED};
  ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

static void report(struct answer tried) {
  const char *name = syscall_names[tried.index].name;
  if (tried.error == ADMITTED) printf("admitted=%s\n", name);
  else printf("denied=%s %d\n", name, tried.error);
}

static void woken(int signal) { (void)signal; }

// Takes what the child told, one answer at a time; false when nothing is waiting.
static int take(int in, int *listener, int *next) {
  struct answer tried;
  if (read(in, &tried, sizeof tried) != sizeof tried) return 0;
  if (tried.index >= 0) {
    report(tried);
    *next = tried.index + 1;
  } else if (tried.error < 0) {
    errno = -tried.error;
    fail("cannot put a seccomp listener in front");
  } else {
    *listener = tried.error;
  }
  return 1;
}

// Serves one child until SIGCHLD tells its end. Returns the index to go on from: past the last call it survived.
static int serve(pid_t child, int in, int from) {
  int listener = -1, next = from, ended = 0;
  const struct timespec limit = {.tv_sec = TIMEOUT_S};
  sigset_t none;
  sigemptyset(&none);
  while (!ended) {
    struct pollfd waits[2] = {{.fd = in, .events = POLLIN}, {.fd = listener, .events = POLLIN}};
    int ready = ppoll(waits, 2, &limit, &none);
    // The listener of an ended child hangs up for ever, and a pending signal may tell of the child before.
    ended = ready == 0 || ((ready < 0 || waits[1].revents & POLLHUP) && waitpid(child, NULL, WNOHANG) == child);
    if (ready > 0 && waits[1].revents & POLLIN) reply(listener);
    while (take(in, &listener, &next)) continue;
  }
  if (listener >= 0) close(listener);
  return next;
}

int print_syscalls(void) {
  sigset_t child_ended;
  sigemptyset(&child_ended);
  sigaddset(&child_ended, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child_ended, NULL);
  signal(SIGCHLD, woken);
  for (int next = 0; next < syscall_count;) {
    int link[2];
    if (pipe2(link, O_CLOEXEC) < 0 || fcntl(link[0], F_SETFL, O_NONBLOCK) < 0) fail("cannot make a pipe");
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (child < 0) fail("cannot fork");
    if (child == 0) try_calls(link[1], next);
    int reached = serve(child, link[0], next);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(link[0]);
    close(link[1]);
    if (reached < syscall_count) printf("denied=%s kill\n", syscall_names[reached++].name);
    next = reached;
  }
  return 0;
}
