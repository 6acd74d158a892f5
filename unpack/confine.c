// Confinement: whatever the archive says, and whatever bug it may find in a library, stays inside the target folder.
#include "unpack.h"

#include <errno.h>
#include <iconv.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (1u << (capability))

// Owners, modes, devices for whiteouts, file capabilities and trusted.* attributes (CAP_SYS_ADMIN); nothing else, and
// above all not CAP_SYS_CHROOT, with which one leaves a chroot.
static const unsigned KEPT = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) |
			     BIT(CAP_FSETID) | BIT(CAP_MKNOD) | BIT(CAP_SETFCAP) | BIT(CAP_SYS_ADMIN);

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

void confine(const char *target)
{
	load_charsets();
	umask(022);
	if (chroot(target) != 0)
		fail_host(target, "cannot change the root folder to it", errno);
	if (chdir("/") != 0)
		fail_host(target, "cannot enter it", errno);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		fail_host(NULL, "cannot give up new privileges", errno);
	drop_capabilities();
}
