//! The system calls the keeper is made of, each behind one safe function.

use crate::model::ExitStatus;
use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

/// Turns the kernel's -1 into the error it means.
pub(super) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Takes ownership of a descriptor that a system call has just returned.
fn own(result: libc::c_int) -> io::Result<OwnedFd> {
    let fd = check(result)?;
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Nanoseconds of the monotonic clock: the keeper imports no clock of ours.
pub(super) fn now_ns() -> u64 {
    let time = clock(libc::CLOCK_MONOTONIC);
    time.0.saturating_mul(1_000_000_000).saturating_add(time.1)
}

/// Milliseconds since the Unix epoch, for exit records.
pub(super) fn wall_ms() -> u64 {
    let time = clock(libc::CLOCK_REALTIME);
    time.0.saturating_mul(1_000).saturating_add(time.1 / 1_000_000)
}

fn clock(id: libc::clockid_t) -> (u64, u64) {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; a failure leaves it zero.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// A connected pair of datagram sockets that keep the order and tell the end, both non-blocking.
pub(super) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: `fds` has room for the two descriptors.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
    Ok((own(fds[0])?, own(fds[1])?))
}

/// Whether a descriptor is a socket of the kind that [`socket_pair`] makes.
pub(super) fn is_seqpacket(fd: BorrowedFd<'_>) -> bool {
    let mut kind: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `kind` and `length` are valid to write to and agree in size.
    let result = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TYPE,
            (&raw mut kind).cast(),
            &raw mut length,
        )
    };
    result == 0 && kind == libc::SOCK_SEQPACKET
}

/// The two ends of an output pipe: ours (reading, non-blocking) and the child's (read and write, blocking).
///
/// The child's end is opened anew through `/proc`: it then has its own blocking mode, and because it can read too,
/// the pipe has a reader as long as the child lives: nobody's death sends it SIGPIPE.
pub(super) fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    // SAFETY: `fds` has room for the two descriptors.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
    let (read, write) = (own(fds[0])?, own(fds[1])?);
    let path = format!("/proc/self/fd/{}\0", write.as_raw_fd());
    // SAFETY: `path` is a C string that outlives the call.
    let child = own(unsafe { libc::open(path.as_ptr().cast(), libc::O_RDWR | libc::O_CLOEXEC) })?;
    Ok((read, child))
}

/// Asks for a larger pipe; a refusal (the user's share of pipe memory is spent) changes nothing.
pub(super) fn grow_pipe(fd: BorrowedFd<'_>, bytes: libc::c_int) {
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) };
}

/// Bytes that wait in a pipe.
pub(super) fn waiting(fd: BorrowedFd<'_>) -> u64 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: `bytes` is a valid int to write to.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
    if result < 0 { 0 } else { u64::try_from(bytes).unwrap_or(0) }
}

/// Reads what is there. 0: nobody can write any more.
pub(super) fn read_some(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        // SAFETY: the buffer is ours, and the kernel writes at most its length.
        let read = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        match usize::try_from(read) {
            Ok(read) => return Ok(read),
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
}

/// Moves up to `len` bytes from a pipe into a file at `offset`, which moves along. 0: nobody can write any more.
pub(super) fn splice(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    offset: &mut u64,
    len: usize,
) -> io::Result<u64> {
    loop {
        let mut at = i64::try_from(*offset).unwrap_or(i64::MAX);
        // SAFETY: both descriptors are open and `at` is a valid offset to read and write.
        let moved = unsafe {
            libc::splice(
                from.as_raw_fd(),
                ptr::null_mut(),
                to.as_raw_fd(),
                &raw mut at,
                len,
                libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE,
            )
        };
        if let Ok(moved) = u64::try_from(moved) {
            *offset += moved;
            return Ok(moved);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// A descriptor that means this very process for ever.
pub(super) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is involved.
    own(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as libc::c_int)
}

/// Signals the process behind a descriptor.
pub(super) fn pidfd_signal(fd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a null siginfo is allowed.
    let result = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, ptr::null::<libc::siginfo_t>(), 0)
    };
    check(result as libc::c_int).map(drop)
}

/// Signals a process group; signal 0 asks whether anybody is in it.
pub(super) fn kill_group(group: i32, signal: i32) -> io::Result<()> {
    if group <= 1 {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // SAFETY: no memory is involved.
    check(unsafe { libc::kill(-group, signal) }).map(drop)
}

/// A child that has ended but is not reaped yet, if there is one. Error: there are no children.
pub(super) fn peek_ended() -> io::Result<Option<i32>> {
    let (pid, _) = wait(libc::P_ALL, 0, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)?;
    Ok((pid != 0).then_some(pid))
}

/// Reaps a child that has ended; nothing when it still runs. A child that somebody else reaped ended in a way that
/// nobody will know.
pub(super) fn reap(pid: i32) -> Option<ExitStatus> {
    match wait(libc::P_PID, u32::try_from(pid).unwrap_or(0), libc::WEXITED | libc::WNOHANG) {
        Ok((0, _)) => None,
        Ok((_, status)) => Some(status),
        Err(_) => Some(ExitStatus::Unknown),
    }
}

/// Waits until this child has ended, and reaps it.
pub(super) fn wait_for(pid: i32) -> ExitStatus {
    let found = wait(libc::P_PID, u32::try_from(pid).unwrap_or(0), libc::WEXITED);
    found.map_or(ExitStatus::Unknown, |(_, status)| status)
}

fn wait(kind: libc::idtype_t, id: u32, options: libc::c_int) -> io::Result<(i32, ExitStatus)> {
    loop {
        // SAFETY: all zeroes is a valid siginfo_t.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is valid to write to.
        match check(unsafe { libc::waitid(kind, id, &raw mut info, options) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) => {
                // SAFETY: waitid fills these fields for a child, and leaves zeroes when there is none.
                let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
                let status = match info.si_code {
                    libc::CLD_EXITED => ExitStatus::Code(status),
                    libc::CLD_KILLED => ExitStatus::Signal { number: status, core: false },
                    libc::CLD_DUMPED => ExitStatus::Signal { number: status, core: true },
                    _ => ExitStatus::Unknown,
                };
                return Ok((pid, status));
            }
        }
    }
}

/// Blocks every signal that can be blocked, and gives the descriptor at which SIGCHLD arrives.
///
/// A child knows our process id as its parent's, and `kill -USR1 $PPID` is how many say that they are ready: nobody but the
/// daemon ends us, by the socket. A fault of our own (SIGSEGV) ends us all the same, and so do SIGKILL and SIGSTOP.
pub(super) fn signal_fd() -> io::Result<OwnedFd> {
    let (mut all, mut child) = (empty_signals(), empty_signals());
    // SAFETY: both sets are initialised; the old mask is not asked for.
    unsafe {
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut());
        libc::sigaddset(&raw mut child, libc::SIGCHLD);
    }
    // SAFETY: `child` is an initialised set.
    own(unsafe { libc::signalfd(-1, &raw const child, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })
}

/// Empties the descriptor of SIGCHLD.
pub(super) fn read_signals(fd: BorrowedFd<'_>) {
    let mut buffer = [0; 8 * size_of::<libc::signalfd_siginfo>()];
    while let Ok(1..) = read_some(fd, &mut buffer) {}
}

/// A set without signals.
pub(super) fn empty_signals() -> libc::sigset_t {
    // SAFETY: all zeroes is valid memory for a set, and sigemptyset initialises it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        set
    }
}

/// The soft and hard limit of open descriptors.
pub(super) fn open_files_limit() -> libc::rlimit {
    let mut limit = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
    // SAFETY: `limit` is valid to write to; a failure leaves it as it is.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit
}

/// Sets the limit of open descriptors.
pub(super) fn set_open_files_limit(limit: libc::rlimit) {
    // SAFETY: `limit` is a valid rlimit.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
}

/// Takes the lock of a file, or says who is in the way by [`io::ErrorKind::WouldBlock`].
pub(super) fn try_lock(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { libc::flock(fd.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }).map(drop)
}

/// Waits until one of these processes has ended, or so many milliseconds.
pub fn wait_any(fds: &[BorrowedFd<'_>], timeout_ms: i32) {
    let mut polls: Vec<_> =
        fds.iter().map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }).collect();
    // SAFETY: `polls` has as many entries as it says.
    unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, timeout_ms) };
}

/// What an epoll set tells.
pub(super) struct Epoll(OwnedFd);

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no memory is involved.
        own(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }).map(Self)
    }

    /// Watches a descriptor; its events come with `key`.
    pub(super) fn add(&self, fd: BorrowedFd<'_>, key: u64, events: libc::c_int) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, key, events)
    }

    /// Changes what is watched for, and arms a one-shot descriptor again.
    pub(super) fn modify(&self, fd: BorrowedFd<'_>, key: u64, events: libc::c_int) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, key, events)
    }

    /// Forgets a descriptor: others may hold the same pipe, so closing it is not enough.
    pub(super) fn remove(&self, fd: BorrowedFd<'_>) {
        drop(self.control(libc::EPOLL_CTL_DEL, fd, 0, 0));
    }

    fn control(&self, op: libc::c_int, fd: BorrowedFd<'_>, key: u64, events: libc::c_int) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events.cast_unsigned(), u64: key };
        // SAFETY: `event` is valid to read.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), op, fd.as_raw_fd(), &raw mut event) }).map(drop)
    }

    /// Waits so many nanoseconds at most (`None`: for ever) and hands out keys with their events. A kernel before 5.11
    /// waits in whole milliseconds.
    pub(super) fn wait<'b>(
        &self,
        buffer: &'b mut [libc::epoll_event],
        timeout_ns: Option<u64>,
    ) -> io::Result<&'b [libc::epoll_event]> {
        let room = i32::try_from(buffer.len()).unwrap_or(i32::MAX);
        let mut count = self.wait_exactly(buffer, room, timeout_ns);
        if matches!(&count, Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))) {
            let ms = timeout_ns.map_or(-1, |ns| i32::try_from(ns.div_ceil(1_000_000)).unwrap_or(i32::MAX));
            // SAFETY: `buffer` has `room` entries to write to.
            count = check(unsafe { libc::epoll_wait(self.0.as_raw_fd(), buffer.as_mut_ptr(), room, ms) });
        }
        match count {
            Ok(count) => Ok(buffer.get(..usize::try_from(count).unwrap_or(0)).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(&[]),
            Err(error) => Err(error),
        }
    }

    fn wait_exactly(
        &self,
        buffer: &mut [libc::epoll_event],
        room: i32,
        timeout_ns: Option<u64>,
    ) -> io::Result<i32> {
        let time = timeout_ns.map(|ns| libc::timespec {
            tv_sec: libc::time_t::try_from(ns / 1_000_000_000).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::try_from(ns % 1_000_000_000).unwrap_or(0),
        });
        let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: `buffer` has `room` entries to write to, `time` is null or valid, and no mask is given.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.0.as_raw_fd(),
                buffer.as_mut_ptr(),
                room,
                time,
                ptr::null::<libc::sigset_t>(),
                0,
            )
        };
        check(count as libc::c_int)
    }
}
