// What can be seen from here. Nothing is changed: files are opened and closed, one device node is made and removed.

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

// The first line of a file, or an empty text.
static const char *line_of(const char *path) {
  static char line[4096];
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = file < 0 ? 0 : read(file, line, sizeof line - 1);
  if (file >= 0) close(file);
  line[got > 0 ? got : 0] = 0;
  line[strcspn(line, "\n")] = 0;
  return line;
}

static void kernel(void) {
  struct utsname names;
  if (uname(&names) == 0)
    printf("release=%s\nversion=%s\nmachine=%s\n", names.release, names.version, names.machine);
  printf("boot_id=%s\n", line_of("/proc/sys/kernel/random/boot_id"));
  printf("cpus=%ld\n", sysconf(_SC_NPROCESSORS_ONLN));
  printf("memory_kib=%ld\n", sysconf(_SC_PHYS_PAGES) / 1024 * sysconf(_SC_PAGESIZE));
}

// Of process 1, which is the workload's own in a container and the agent in a VM, and of this process.
static void status(const char *who, const char *path) {
  char line[256];
  FILE *file = fopen(path, "re");
  while (file && fgets(line, sizeof line, file)) {
    char *colon = strchr(line, ':');
    if (!colon) continue;
    *colon = 0;
    const char *wanted[] = {"Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Seccomp_filters"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
      if (strcmp(line, wanted[i]) == 0) printf("%s.%s=%s", who, line, colon + 1 + strspn(colon + 1, " \t"));
  }
  if (file) fclose(file);
}

static int holds(const char *data, size_t length, const char *token) {
  size_t size = strlen(token);
  for (size_t i = 0; size > 0 && i + size <= length; i++)
    if (memcmp(data + i, token, size) == 0) return 1;
  return 0;
}

static int has_token(const char *pid, const char *token) {
  char path[300], data[4096];
  snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t got = read(file, data, sizeof data);
  close(file);
  return got > 0 && atoi(pid) != getpid() && holds(data, (size_t)got, token);
}

static void processes(const char *token) {
  DIR *folder = opendir("/proc");
  int count = 0, found = 0;
  for (struct dirent *entry; folder && (entry = readdir(folder));) {
    if (!isdigit((unsigned char)entry->d_name[0])) continue;
    count++;
    found += has_token(entry->d_name, token);
  }
  if (folder) closedir(folder);
  printf("processes=%d\ntoken_seen=%d\n", count, found);
}

// A node for the device, made and opened for reading: what the device filter answers, not merely what /dev shows.
static const char *open_device(int major, int minor) {
  const char *path = "/berth-bench.node";
  unlink(path);
  if (mknod(path, S_IFBLK | 0600, makedev((unsigned)major, (unsigned)minor)) < 0) return "no-node";
  int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const char *answer = file >= 0 ? "opened" : errno == EPERM ? "denied" : "failed";
  if (file >= 0) close(file);
  unlink(path);
  return answer;
}

static void block_devices(void) {
  DIR *folder = opendir("/sys/block");
  for (struct dirent *entry; folder && (entry = readdir(folder));) {
    char path[300];
    int major, minor;
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/sys/block/%s/size", entry->d_name);
    long sectors = atol(line_of(path));
    snprintf(path, sizeof path, "/sys/block/%s/dev", entry->d_name);
    // Loop and RAM disks without a file behind them are names, not devices.
    if (sectors == 0 || sscanf(line_of(path), "%d:%d", &major, &minor) != 2) continue;
    printf("block=%s %ld %s\n", entry->d_name, sectors * 512, open_device(major, minor));
  }
  if (folder) closedir(folder);
}

static void device_nodes(void) {
  DIR *folder = opendir("/dev");
  int count = 0, blocks = 0;
  for (struct dirent *entry; folder && (entry = readdir(folder));) {
    struct stat facts;
    if (fstatat(dirfd(folder), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) < 0) continue;
    count += S_ISBLK(facts.st_mode) || S_ISCHR(facts.st_mode);
    blocks += S_ISBLK(facts.st_mode);
  }
  if (folder) closedir(folder);
  printf("dev_nodes=%d\ndev_blocks=%d\n", count, blocks);
}

static int sysctls, writable;

static int count_sysctl(const char *path, const struct stat *facts, int kind, struct FTW *at) {
  (void)at;
  if (kind != FTW_F) return 0;
  sysctls++;
  writable += (facts->st_mode & S_IWUSR) && access(path, W_OK) == 0;
  return 0;
}

// Whether a file can be opened; `masked` when another file has been put over it, as runtimes do with /dev/null.
static const char *reach(const char *path, int mode) {
  struct stat facts;
  if (stat(path, &facts) < 0) return errno == ENOENT ? "absent" : "denied";
  if (S_ISCHR(facts.st_mode)) return "masked";
  int file = open(path, mode | O_CLOEXEC);
  if (file < 0) return errno == EROFS ? "read-only" : "denied";
  close(file);
  return "open";
}

int print_facts(const char *token) {
  kernel();
  status("init", "/proc/1/status");
  status("self", "/proc/self/status");
  processes(token);
  device_nodes();
  block_devices();
  nftw("/proc/sys", count_sysctl, 16, FTW_PHYS);
  printf("sysctls=%d\nsysctls_writable=%d\n", sysctls, writable);
  printf("kcore=%s\n", reach("/proc/kcore", O_RDONLY));
  printf("sysrq=%s\n", reach("/proc/sysrq-trigger", O_WRONLY));
  printf("root_writable=%s\n", access("/", W_OK) == 0 ? "yes" : "no");
  return 0;
}
