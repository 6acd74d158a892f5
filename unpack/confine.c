// Confinement: whatever the archive says, and whatever bug it may find in a library, stays inside the target folder.
#define _GNU_SOURCE
#include "unpack.h"
#include "../shim/own-mounts.h"

#include <errno.h>
#include <iconv.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIT(capability) (1u << (capability))

// Owners, modes, devices for whiteouts, file capabilities and trusted.* attributes (CAP_SYS_ADMIN); nothing else, and
// above all not CAP_DAC_READ_SEARCH, with which one opens any file of the file system by its number.
static const unsigned KEPT = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_MKNOD) |
			     BIT(CAP_SETFCAP) | BIT(CAP_SYS_ADMIN);

// Limits beyond what an honest archive needs. A sparse file may be larger than what it holds.
static const struct {
	int resource;
	rlim_t most;
} LIMITS[] = {
	{RLIMIT_CORE, 0},
	{RLIMIT_NPROC, 1},
	{RLIMIT_NOFILE, 64},
	{RLIMIT_AS, 1 << 30},
	{RLIMIT_CPU, 3600},
	{RLIMIT_FSIZE, (rlim_t)MAX_FILE_BYTES},
};

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	if (syscall(SYS_capget, &header, data) != 0)
		fail_host(NULL, "cannot read capabilities", errno);
	data[0].effective &= KEPT;
	data[0].permitted &= KEPT;
	data[0].inheritable = 0;
	data[1].effective = data[1].permitted = data[1].inheritable = 0;
	if (syscall(SYS_capset, &header, data) != 0)
		fail_host(NULL, "cannot drop capabilities", errno);
}

// libarchive converts names with iconv, whose tables glibc reads from disk at first use: that must happen while "/" is
// still the host's, not a folder that an archive fills.
static void load_charsets(void)
{
	iconv_t to = iconv_open("ANSI_X3.4-1968", "UTF-8");
	iconv_t from = iconv_open("UTF-8", "ANSI_X3.4-1968");
	if (to != (iconv_t)-1)
		iconv_close(to);
	if (from != (iconv_t)-1)
		iconv_close(from);
}

static void set_limits(void)
{
	// A file that is too large is an error of its entry.
	signal(SIGXFSZ, SIG_IGN);
	for (size_t i = 0; i < sizeof LIMITS / sizeof *LIMITS; i++) {
		struct rlimit limit = {LIMITS[i].most, LIMITS[i].most};
		if (setrlimit(LIMITS[i].resource, &limit) != 0)
			fail_host(NULL, "cannot limit what unpacking may use", errno);
	}
}

// Ends as the child did.
_Noreturn static void follow(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			_exit(EXIT_HOST);
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		kill(getpid(), WTERMSIG(status));
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_HOST);
}

// Goes on in a child that sees no process, network or mount of the host.
static void leave_host(void)
{
	if (unshare(CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
		fail_host(NULL, "cannot make namespaces", errno);
	pid_t child = fork();
	if (child < 0)
		fail_host(NULL, "cannot start a process", errno);
	if (child > 0)
		follow(child);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		fail_host(NULL, "cannot bind its life to the caller's", errno);
}

// The folder becomes the only mount there is: nothing in it is a device, or runs.
static void enter(const char *target)
{
	const unsigned long harmless = MS_NODEV | MS_NOSUID | MS_NOEXEC;

	if (own_mounts() != 0)
		fail_host(NULL, "cannot make a mount namespace", errno);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount(target, target, NULL, MS_BIND, NULL) != 0 ||
	    mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | harmless, NULL) != 0)
		fail_host(target, "cannot mount it", errno);
	if (chdir(target) != 0)
		fail_host(target, "cannot enter it", errno);
	if (own_mounts_root() != 0)
		fail_host(target, "cannot change the root folder to it", errno);
}

void confine(const char *target)
{
	// The caller may have left files open.
	syscall(SYS_close_range, 3u, ~0u, 0u);
	load_charsets();
	umask(022);
	leave_host();
	enter(target);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		fail_host(NULL, "cannot give up new privileges", errno);
	drop_capabilities();
	set_limits();
	if (filter_unpacking() != 0)
		fail_host(NULL, "cannot install the filter of system calls", errno);
}
