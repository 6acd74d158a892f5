/* The system calls of QEMU: all others do not exist for it, and those that only an intruder makes end it. The list is what
 * strace saw QEMU 7.2 do on every way of coming up, under load, while it is saved, and with KVM, and what older C libraries
 * need instead; QEMU 10.0 runs with it, too. QEMU's own -sandbox takes execve away when it has started. */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/syscall.h>

#include "filter.h"
#include "vm-process.h"

/* Newer than some headers; the numbers are the same on all architectures. */
#define NUMBER_RSEQ_X86 334
#define NUMBER_RSEQ_OTHERS 293
#define NUMBER_OPEN_TREE 428
#define NUMBER_MOVE_MOUNT 429
#define NUMBER_FSOPEN 430
#define NUMBER_FSMOUNT 432
#define NUMBER_PIDFD_GETFD 438

static const unsigned short admitted[] = {
    /* The most frequent ones first. */
    SYS_futex, SYS_ppoll, SYS_read, SYS_write, SYS_ioctl, SYS_mprotect, SYS_madvise, SYS_recvmsg, SYS_sendmsg,
    SYS_readv, SYS_writev, SYS_preadv, SYS_pwritev, SYS_pread64, SYS_pwrite64, SYS_fdatasync, SYS_fsync, SYS_fallocate,
    FILTER_VDSO, SYS_clock_nanosleep, SYS_nanosleep, SYS_restart_syscall, SYS_sched_yield, SYS_membarrier,
    SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_eventfd2, SYS_signalfd4, SYS_pipe2, SYS_dup, SYS_dup3,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_rt_sigpending, SYS_sigaltstack,
    SYS_tgkill, SYS_mmap, SYS_munmap, SYS_mremap, SYS_brk, SYS_memfd_create, SYS_ftruncate,
    SYS_openat, SYS_close, SYS_lseek, SYS_newfstatat, SYS_fstat, SYS_statx, SYS_fstatfs, SYS_statfs, SYS_faccessat,
    SYS_readlinkat, SYS_getdents64, SYS_fadvise64, SYS_fcntl, SYS_fchdir, SYS_getcwd,
    SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt, SYS_socketpair, SYS_shutdown,
    SYS_exit, SYS_exit_group, SYS_gettid, SYS_getpid, SYS_getuid, SYS_geteuid, SYS_set_tid_address, SYS_set_robust_list,
    SYS_sched_getaffinity, SYS_prctl, SYS_prlimit64, SYS_sysinfo, SYS_uname, SYS_getrandom, SYS_seccomp, SYS_execve,
#ifdef __x86_64__
    SYS_poll, SYS_epoll_wait, SYS_access, SYS_readlink, SYS_arch_prctl, NUMBER_RSEQ_X86,
#else
    NUMBER_RSEQ_OTHERS,
#endif
};

static const unsigned short deadly[] = {
    SYS_execveat, NUMBER_OPEN_TREE, NUMBER_MOVE_MOUNT, NUMBER_FSOPEN, NUMBER_FSMOUNT, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, NUMBER_PIDFD_GETFD, SYS_setns, SYS_unshare,
    SYS_chroot, SYS_pivot_root, SYS_mount, SYS_umount2, SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_add_key,
    SYS_keyctl, SYS_request_key, SYS_open_by_handle_at, SYS_init_module, SYS_finit_module, SYS_delete_module,
    SYS_kexec_load, SYS_reboot, SYS_swapon, SYS_mknodat, SYS_setuid, SYS_setresuid, SYS_setreuid, SYS_capset,
};

int filter_install(void)
{
    static struct filter filter;
    filter_begin(&filter);
    filter_answer(&filter, admitted, sizeof admitted / sizeof *admitted, SECCOMP_RET_ALLOW);
    /* Threads, no processes. (By clone3, whose flags no filter sees, there are none either: libraries fall back.) */
    filter_answer_if(&filter, SYS_clone, 0, CLONE_THREAD, CLONE_THREAD, SECCOMP_RET_ALLOW);
    filter_answer(&filter, deadly, sizeof deadly / sizeof *deadly, SECCOMP_RET_KILL_PROCESS);
    return filter_end(&filter);
}
