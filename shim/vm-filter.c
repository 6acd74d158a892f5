/* The system calls of QEMU: all others do not exist for it, and those that only an intruder makes end it. The list is what
 * strace saw QEMU 7.2 and 10.0 do on every way of coming up, under load and while they are saved, and what KVM and older C
 * libraries need instead. QEMU's own -sandbox takes execve away when it has started. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vm-process.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define FOREIGN_CALLS 0x40000000u
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#define FOREIGN_CALLS ~0u
#else
#error "unknown architecture"
#endif

/* Newer than some headers; the numbers are the same on all architectures. */
#define NUMBER_RSEQ_X86 334
#define NUMBER_RSEQ_OTHERS 293
#define NUMBER_OPEN_TREE 428
#define NUMBER_PIDFD_GETFD 438
#define NUMBER_LAST_OF_MOUNTING 433

static const unsigned short admitted[] = {
    /* The most frequent ones first. */
    SYS_futex, SYS_ppoll, SYS_read, SYS_write, SYS_ioctl, SYS_mprotect, SYS_madvise, SYS_recvmsg, SYS_sendmsg,
    SYS_readv, SYS_writev, SYS_preadv, SYS_pwritev, SYS_pread64, SYS_pwrite64, SYS_fdatasync, SYS_fsync, SYS_fallocate,
    SYS_clock_gettime, SYS_clock_nanosleep, SYS_nanosleep, SYS_restart_syscall, SYS_sched_yield, SYS_membarrier,
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
    SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, NUMBER_PIDFD_GETFD, SYS_setns, SYS_unshare,
    SYS_chroot, SYS_pivot_root, SYS_mount, SYS_umount2, SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_add_key,
    SYS_keyctl, SYS_request_key, SYS_open_by_handle_at, SYS_init_module, SYS_finit_module, SYS_delete_module,
    SYS_kexec_load, SYS_reboot, SYS_swapon, SYS_mknodat, SYS_setuid, SYS_setresuid, SYS_setreuid, SYS_capset,
};

#define MOST_INSTRUCTIONS (2 * (sizeof admitted / sizeof *admitted + sizeof deadly / sizeof *deadly) + 24)

struct program {
    struct sock_filter code[MOST_INSTRUCTIONS];
    unsigned short length;
};

static void add(struct program *program, unsigned short code, unsigned char yes, unsigned char no, unsigned value)
{
    program->code[program->length++] = (struct sock_filter){code, yes, no, value};
}

static void load(struct program *program, size_t offset) { add(program, BPF_LD | BPF_W | BPF_ABS, 0, 0, (unsigned)offset); }
static void answer(struct program *program, unsigned action) { add(program, BPF_RET | BPF_K, 0, 0, action); }

static void answer_if(struct program *program, unsigned number, unsigned action)
{
    add(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number);
    answer(program, action);
}

/* Threads, no processes. (By clone3, whose flags no filter sees, there are none either: libraries fall back.) */
static void admit_threads(struct program *program)
{
    add(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, SYS_clone);
    load(program, offsetof(struct seccomp_data, args[0]));
    add(program, BPF_JMP | BPF_JSET | BPF_K, 0, 1, CLONE_THREAD);
    answer(program, SECCOMP_RET_ALLOW);
    answer(program, SECCOMP_RET_ERRNO | EPERM);
}

int filter_install(void)
{
    static struct program program;
    load(&program, offsetof(struct seccomp_data, arch));
    add(&program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCHITECTURE);
    answer(&program, SECCOMP_RET_KILL_PROCESS);
    load(&program, offsetof(struct seccomp_data, nr));
    add(&program, BPF_JMP | BPF_JGE | BPF_K, 0, 1, FOREIGN_CALLS);
    answer(&program, SECCOMP_RET_ERRNO | ENOSYS);
    for (size_t i = 0; i < sizeof admitted / sizeof *admitted; i++) answer_if(&program, admitted[i], SECCOMP_RET_ALLOW);
    admit_threads(&program);
    for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) answer_if(&program, deadly[i], SECCOMP_RET_KILL_PROCESS);
    for (unsigned number = NUMBER_OPEN_TREE; number <= NUMBER_LAST_OF_MOUNTING; number++)
        answer_if(&program, number, SECCOMP_RET_KILL_PROCESS);
    answer(&program, SECCOMP_RET_ERRNO | ENOSYS);
    struct sock_fprog filter = {program.length, program.code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}
