//! The seccomp filter of the network process.
//!
//! The permitted socket types, options and flags of the network process.
//!
//! Landlock checks the TCP port of `bind` and `connect`, and only for sockets of plain TCP. So other
//! protocols are forbidden, and so are calls that connect in another way.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Reasons why no filter could be installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilterError {
    /// The filter does not compile.
    #[error("cannot build the system call filter: {0}")]
    Build(#[from] seccompiler::BackendError),
    /// The kernel rejects it.
    #[error("cannot install the system call filter: {0}. The kernel needs CONFIG_SECCOMP_FILTER")]
    Install(#[from] seccompiler::Error),
}

/// Refuses, with EPERM, every system call except those listed here.
///
/// An error instead of a kill: a C library that tries a new call must not lock out the clients.
pub(crate) fn restrict() -> Result<(), FilterError> {
    // Filters cannot see the flags of clone3 (they are in memory). Only on ENOSYS does the C library fall
    // back to clone. If two filters match, the kernel uses the one that does not allow.
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    // This filter first: the other one refuses seccomp(2) itself.
    install(clone3, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))?;

    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> =
        CALLS.iter().map(|call| (*call, Vec::new())).collect();
    rules.extend(socket_rules()?);
    rules.insert(libc::SYS_clone, threads()?);
    rules.insert(libc::SYS_ioctl, requests()?);
    rules.insert(libc::SYS_fcntl, commands()?);
    // Without flags: RENAME_WHITEOUT leaves a device node behind.
    rules.insert(libc::SYS_renameat2, vec![argument(4, SeccompCmpOp::Eq, 0)?]);
    // Our own limits only (pid 0).
    rules.insert(libc::SYS_prlimit64, vec![argument(0, SeccompCmpOp::Eq, 0)?]);
    // A panic may end our own threads only.
    rules.insert(libc::SYS_tgkill, vec![argument(0, SeccompCmpOp::Eq, std::process::id().into())?]);
    // The standard library names threads.
    rules.insert(libc::SYS_prctl, vec![argument(0, SeccompCmpOp::Eq, libc::PR_SET_NAME as u64)?]);
    install(rules, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)
}

fn install(
    rules: BTreeMap<c_long, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> Result<(), FilterError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, otherwise, listed, architecture)?;
    Ok(seccompiler::apply_filter_all_threads(&BpfProgram::try_from(filter)?)?)
}

/// ioctl requests of the standard library and the resolver. Not TIOCSTI: a server started in a terminal
/// shares it with us, and Landlock does not cover inherited descriptors.
fn requests() -> Result<Vec<SeccompRule>, FilterError> {
    let known = [libc::FIONBIO, libc::FIONREAD, libc::FIOCLEX, libc::FIONCLEX, libc::TCGETS];
    known.into_iter().map(|known| argument(1, SeccompCmpOp::Eq, known)).collect()
}

/// fcntl commands: no signals by descriptors, no leases, no resizing of pipes. Those would affect other
/// processes that share the open file.
fn commands() -> Result<Vec<SeccompRule>, FilterError> {
    let known = [
        libc::F_DUPFD,
        libc::F_DUPFD_CLOEXEC,
        libc::F_GETFD,
        libc::F_SETFD,
        libc::F_GETFL,
        libc::F_GETLK,
        libc::F_SETLK,
        libc::F_SETLKW,
        libc::F_OFD_GETLK,
        libc::F_OFD_SETLK,
        libc::F_OFD_SETLKW,
    ];
    let known = known.into_iter().map(|known| argument(1, SeccompCmpOp::Eq, unsigned(known)));
    let mut rules = known.collect::<Result<Vec<_>, _>>()?;
    // Only O_NONBLOCK: O_ASYNC would cause signals.
    let all_else = !unsigned(libc::O_NONBLOCK | libc::O_ACCMODE) & u64::from(u32::MAX);
    rules.push(SeccompRule::new(vec![
        condition(1, SeccompCmpOp::Eq, unsigned(libc::F_SETFL))?,
        condition(2, SeccompCmpOp::MaskedEq(all_else), 0)?,
    ])?);
    Ok(rules)
}

/// clone for threads, not for processes.
fn threads() -> Result<Vec<SeccompRule>, FilterError> {
    let thread = libc::CLONE_THREAD as u64;
    Ok(vec![argument(0, SeccompCmpOp::MaskedEq(thread), thread)?])
}

/// The lower half of an argument, which is all that is compared.
fn unsigned(number: libc::c_int) -> u64 {
    number.cast_unsigned().into()
}

fn argument(index: u8, compare: SeccompCmpOp, value: u64) -> Result<SeccompRule, FilterError> {
    Ok(SeccompRule::new(vec![condition(index, compare, value)?])?)
}

fn condition(
    index: u8,
    compare: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, FilterError> {
    Ok(SeccompCondition::new(index, SeccompCmpArgLen::Dword, compare, value)?)
}

/// The system calls of threads, timers, sockets and the state directory. No exec, ptrace, mount, namespaces,
/// modules, keyrings, bpf, or signals to other processes; no folders, links, devices or file modes.
const CALLS: &[c_long] = &[
    // memory
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // threads and time
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_membarrier,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    // signals, for a panic and for thread start
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // waiting
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_pipe2,
    // sockets; see `socket_rules`
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_shutdown,
    // files; Landlock restricts which
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fallocate,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_renameat,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_unlinkat,
    libc::SYS_write,
    libc::SYS_writev,
    // own ids, and random numbers
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getrandom,
    libc::SYS_getuid,
    // older forms of calls above, which newer architectures lack
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_pipe,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
];

/// The system calls that make sockets, set options and send.
fn socket_rules() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, FilterError> {
    Ok(BTreeMap::from([
        (libc::SYS_socket, sockets()?),
        (libc::SYS_socketpair, pairs()?),
        (libc::SYS_setsockopt, options()?),
        (libc::SYS_sendto, vec![flags(3)?]),
        (libc::SYS_sendmsg, vec![flags(2)?]),
        (libc::SYS_sendmmsg, vec![flags(3)?]),
    ]))
}

/// TCP and UDP to DNS and web servers, and streams and datagrams to the local name service. No raw, packet
/// or netlink socket, no multipath TCP, SCTP, SMC or UDP-Lite.
fn sockets() -> Result<Vec<SeccompRule>, FilterError> {
    let (stream, datagram) = (unsigned(libc::SOCK_STREAM), unsigned(libc::SOCK_DGRAM));
    let (tcp, udp) = (unsigned(libc::IPPROTO_TCP), unsigned(libc::IPPROTO_UDP));
    let mut rules = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6].map(unsigned) {
        for (kind, protocol) in [(stream, 0), (stream, tcp), (datagram, 0), (datagram, udp)] {
            rules.push(socket(family, kind, protocol)?);
        }
    }
    for kind in [stream, datagram] {
        rules.push(socket(unsigned(libc::AF_UNIX), kind, 0)?);
    }
    Ok(rules)
}

/// Socket pairs, by which threads wake each other.
fn pairs() -> Result<Vec<SeccompRule>, FilterError> {
    Ok(vec![socket(unsigned(libc::AF_UNIX), unsigned(libc::SOCK_STREAM), 0)?])
}

fn socket(family: u64, kind: u64, protocol: u64) -> Result<SeccompRule, FilterError> {
    Ok(SeccompRule::new(vec![
        condition(0, SeccompCmpOp::Eq, family)?,
        // The upper bits are SOCK_CLOEXEC and SOCK_NONBLOCK.
        condition(1, SeccompCmpOp::MaskedEq(0xf), kind)?,
        condition(2, SeccompCmpOp::Eq, protocol)?,
    ])?)
}

/// Permitted flags of sending calls; they are argument `index`. `MSG_FASTOPEN` is excluded because with it a
/// send connects.
fn flags(index: u8) -> Result<SeccompRule, FilterError> {
    let known = unsigned(libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT);
    argument(index, SeccompCmpOp::MaskedEq(!known & u64::from(u32::MAX)), 0)
}

/// Options that answers, web clients and resolvers set. No socket filters: the next process reads the same
/// knock sockets. Not `TCP_FASTOPEN_CONNECT`, with which a later send connects.
fn options() -> Result<Vec<SeccompRule>, FilterError> {
    let known = [
        (libc::SOL_SOCKET, libc::SO_REUSEADDR),
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
        (libc::IPPROTO_TCP, libc::TCP_NODELAY),
        (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE),
        (libc::IPPROTO_TCP, libc::TCP_KEEPINTVL),
        (libc::IPPROTO_TCP, libc::TCP_KEEPCNT),
        (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT),
        (libc::IPPROTO_IP, libc::IP_RECVERR),
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    ];
    let both = |(level, option)| {
        Ok(SeccompRule::new(vec![
            condition(1, SeccompCmpOp::Eq, unsigned(level))?,
            condition(2, SeccompCmpOp::Eq, unsigned(option))?,
        ])?)
    };
    known.into_iter().map(both).collect()
}
