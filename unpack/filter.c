// The system calls that unpacking makes; all others do not exist. Devices are made as an archive says, in a mount where
// none can be opened. Those that lead out of the folder, which the capabilities
// that are kept would allow, end the process.
#define _GNU_SOURCE
#include "unpack.h"

#include "../shim/filter.h"

#include <sys/syscall.h>

#define SYS_FCHMODAT2 452
#define LENGTH(list) (sizeof(list) / sizeof *(list))

static const unsigned short admitted[] = {
	SYS_read, SYS_readv, SYS_write, SYS_writev, SYS_pwrite64, SYS_lseek, SYS_openat, SYS_close, SYS_fcntl, SYS_dup,
	SYS_newfstatat, SYS_fstat, SYS_statx, SYS_fstatfs, SYS_statfs, SYS_getdents64, SYS_readlinkat, SYS_faccessat,
	SYS_umask, SYS_utimensat, SYS_fchown, SYS_fchownat, SYS_fchmod, SYS_fchmodat, SYS_FCHMODAT2, SYS_ftruncate,
	SYS_mkdirat, SYS_mknodat, SYS_symlinkat, SYS_linkat, SYS_unlinkat, SYS_chdir, SYS_fchdir, SYS_getcwd, SYS_syncfs, SYS_fsync,
	SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr, SYS_flistxattr,
	SYS_llistxattr, SYS_fremovexattr, SYS_lremovexattr,
	SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_brk, SYS_futex, SYS_getrandom,
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_restart_syscall, SYS_exit, SYS_exit_group,
	SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getpid, SYS_gettid, SYS_tgkill, FILTER_VDSO,
#ifdef __x86_64__
	SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_chown, SYS_lchown, SYS_chmod, SYS_mkdir, SYS_rmdir, SYS_symlink,
	SYS_link, SYS_unlink, SYS_mknod,
#endif
};

static const unsigned short deadly[] = {
	SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_setns, SYS_unshare, SYS_open_by_handle_at, SYS_ptrace,
	SYS_bpf, SYS_execve, SYS_execveat, SYS_clone, SYS_socket, SYS_init_module, SYS_finit_module, SYS_swapon, SYS_reboot,
	SYS_perf_event_open, SYS_userfaultfd, SYS_keyctl,
};

int filter_unpacking(void)
{
	static struct filter filter;

	filter_begin(&filter);
	filter_answer(&filter, admitted, LENGTH(admitted), SECCOMP_RET_ALLOW);
	filter_answer(&filter, deadly, LENGTH(deadly), SECCOMP_RET_KILL_PROCESS);
	return filter_end(&filter);
}
