//! The system calls the keeper is made of, each behind one safe function.
//!
//! Most are made by `rustix`. Each that is still made by `libc`, and so is `unsafe`, says what `rustix` lacks.

use crate::model::ExitStatus;
use rustix::{
    event::{
        PollFd, PollFlags, Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    fs::{Mode, OFlags},
    io::{Errno, ioctl_fionread, retry_on_intr},
    net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt::socket_type},
    pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with},
    process::{Pid, PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitIdStatus},
    time::{ClockId, clock_gettime},
};
use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

/// Turns the kernel's -1 into the error it means.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Nanoseconds of the monotonic clock: the keeper imports no clock of ours.
pub(super) fn now_ns() -> u64 {
    let time = clock(ClockId::Monotonic);
    time.0.saturating_mul(1_000_000_000).saturating_add(time.1)
}

/// Milliseconds since the Unix epoch, for exit records.
pub(super) fn wall_ms() -> u64 {
    let time = clock(ClockId::Realtime);
    time.0.saturating_mul(1_000).saturating_add(time.1 / 1_000_000)
}

fn clock(id: ClockId) -> (u64, u64) {
    let time = clock_gettime(id);
    (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// A connected pair of datagram sockets that keep the order and tell the end, both non-blocking.
pub(super) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Whether a descriptor is a socket of the kind that [`socket_pair`] makes.
pub(super) fn is_seqpacket(fd: BorrowedFd<'_>) -> bool {
    socket_type(fd) == Ok(SocketType::SEQPACKET)
}

/// The two ends of an output pipe: ours (reading, non-blocking) and the child's (read and write, blocking).
///
/// The child's end is opened anew through `/proc`: it then has its own blocking mode, and because it can read too,
/// the pipe has a reader as long as the child lives: nobody's death sends it SIGPIPE.
pub(super) fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let path = format!("/proc/self/fd/{}", write.as_raw_fd());
    let child = rustix::fs::open(path.as_str(), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    Ok((read, child))
}

/// Asks for a larger pipe; a refusal (the user's share of pipe memory is spent) changes nothing.
pub(super) fn grow_pipe(fd: BorrowedFd<'_>, bytes: usize) {
    let _ = fcntl_setpipe_size(fd, bytes);
}

/// Bytes that wait in a pipe.
pub(super) fn waiting(fd: BorrowedFd<'_>) -> u64 {
    ioctl_fionread(fd).unwrap_or(0)
}

/// Reads what is there. 0: nobody can write any more.
pub(super) fn read_some(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::io::read(fd, &mut *buffer))?)
}

/// Moves up to `len` bytes from a pipe into a file at `offset`, which moves along. 0: nobody can write any more.
pub(super) fn splice(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    offset: &mut u64,
    len: usize,
) -> io::Result<u64> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    let moved = retry_on_intr(|| {
        let mut at = *offset;
        rustix::pipe::splice(from, None, to, Some(&mut at), len, flags)
    })?;
    *offset += moved as u64;
    Ok(moved as u64)
}

/// A process id as the kernel may be asked about it; `None` for a number that is no process's.
fn process(pid: i32) -> Option<Pid> {
    Pid::from_raw(pid.max(0))
}

/// The id of this process.
pub(super) fn own_pid() -> i32 {
    std::process::id().cast_signed()
}

/// A descriptor that means this very process for ever.
pub(super) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    let pid = process(pid).ok_or(Errno::INVAL)?;
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// Signals the process behind a descriptor.
pub(super) fn pidfd_signal(fd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a null siginfo is allowed, and no other memory is involved. `rustix` knows no real-time signals, and a program
    // may be stopped by one.
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
    // SAFETY: no memory is involved. `rustix` knows no real-time signals, and a program may be stopped by one.
    check(unsafe { libc::kill(-group, signal) }).map(drop)
}

/// Kills a process that is a child of ours and not reaped, so that its id is its own. Whether it was there.
pub(super) fn kill_child(pid: i32) -> bool {
    process(pid).is_some_and(|pid| rustix::process::kill_process(pid, Signal::KILL).is_ok())
}

/// A child that has ended but is not reaped yet, if there is one. Error: there are no children.
pub(super) fn peek_ended() -> io::Result<Option<i32>> {
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    loop {
        // SAFETY: all zeroes is a valid siginfo_t, which waitid may write to; the id of a child is in it then, and zero when
        // there is none. What `rustix` answers has no process id.
        let (result, pid) = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            (check(libc::waitid(libc::P_ALL, 0, &raw mut info, options)), info.si_pid())
        };
        match result {
            Ok(_) => return Ok((pid != 0).then_some(pid)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reaps a child that has ended; nothing when it still runs. A child that somebody else reaped ended in a way that
/// nobody will know.
pub(super) fn reap(pid: i32) -> Option<ExitStatus> {
    wait(pid, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
}

/// Waits until this child has ended, and reaps it.
pub(super) fn wait_for(pid: i32) -> ExitStatus {
    wait(pid, WaitIdOptions::EXITED).unwrap_or(ExitStatus::Unknown)
}

fn wait(pid: i32, options: WaitIdOptions) -> Option<ExitStatus> {
    let Some(pid) = process(pid) else { return Some(ExitStatus::Unknown) };
    match retry_on_intr(|| rustix::process::waitid(WaitId::Pid(pid), options)) {
        Ok(found) => found.map(|status| end_of(&status)),
        Err(_) => Some(ExitStatus::Unknown),
    }
}

fn end_of(status: &WaitIdStatus) -> ExitStatus {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(number)) => ExitStatus::Signal { number, core: status.dumped() },
        (None, None) => ExitStatus::Unknown,
    }
}

/// Blocks every signal that can be blocked, and gives the descriptor at which SIGCHLD arrives.
///
/// A child knows our process id as its parent's, and `kill -USR1 $PPID` is how many say that they are ready: nobody but the
/// daemon ends us, by the socket. A fault of our own (SIGSEGV) ends us all the same, and so do SIGKILL and SIGSTOP.
pub(super) fn signal_fd() -> io::Result<OwnedFd> {
    block_signals();
    let mut child = no_signals();
    // SAFETY: `child` is an initialised set, and signalfd, which `rustix` does not have, makes a new descriptor that nobody
    // else knows.
    unsafe {
        libc::sigaddset(&raw mut child, libc::SIGCHLD);
        let fd = check(libc::signalfd(-1, &raw const child, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Blocks every signal that can be blocked, on this thread.
pub(super) fn block_signals() {
    let all = every_signal();
    // SAFETY: the set is initialised, and the old mask is not asked for. `rustix` leaves masks to libc, which keeps some
    // signals for itself.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut()) };
}

/// Empties the descriptor of SIGCHLD.
pub(super) fn read_signals(fd: BorrowedFd<'_>) {
    let mut buffer = [0; 8 * size_of::<libc::signalfd_siginfo>()];
    while let Ok(1..) = read_some(fd, &mut buffer) {}
}

/// A set without signals, as libc's calls want it.
pub(super) fn no_signals() -> libc::sigset_t {
    // SAFETY: all zeroes is valid memory for a set, and sigemptyset initialises it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        set
    }
}

/// A set with all signals.
pub(super) fn every_signal() -> libc::sigset_t {
    let mut set = no_signals();
    // SAFETY: `set` is valid to write to.
    unsafe { libc::sigfillset(&raw mut set) };
    set
}

/// The soft and hard limit of open descriptors.
pub(super) fn open_files_limit() -> Rlimit {
    rustix::process::getrlimit(Resource::Nofile)
}

/// The soft limit of open descriptors of this process; [`u64::MAX`]: there is none.
#[must_use]
pub fn open_files() -> u64 {
    open_files_limit().current.unwrap_or(u64::MAX)
}

/// Sets the limit of open descriptors.
pub(super) fn set_open_files_limit(limit: Rlimit) {
    let _ = rustix::process::setrlimit(Resource::Nofile, limit);
}

/// What can be done with a descriptor at this moment: reading, or nothing any more because nobody has the other end.
pub(super) fn poll(fd: BorrowedFd<'_>) -> PollFlags {
    let mut polls = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let _ = rustix::event::poll(&mut polls, Some(&Timespec::default()));
    polls[0].revents()
}

/// Waits until one of these processes has ended, or so many milliseconds.
pub fn wait_any(fds: &[BorrowedFd<'_>], timeout_ms: u64) {
    let mut polls: Vec<_> = fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let _ = rustix::event::poll(&mut polls, Some(&timespec(timeout_ms.saturating_mul(1_000_000))));
}

fn timespec(ns: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(ns / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (ns % 1_000_000_000).cast_signed(),
    }
}

/// What an epoll set tells.
pub(super) struct Epoll(OwnedFd);

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// Watches a descriptor; its events come with `key`.
    pub(super) fn add(&self, fd: BorrowedFd<'_>, key: u64, events: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.0, fd, EventData::new_u64(key), events)?)
    }

    /// Changes what is watched for, and arms a one-shot descriptor again.
    pub(super) fn modify(&self, fd: BorrowedFd<'_>, key: u64, events: EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.0, fd, EventData::new_u64(key), events)?)
    }

    /// Forgets a descriptor: others may hold the same pipe, so closing it is not enough.
    pub(super) fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.0, fd);
    }

    /// Waits so many nanoseconds at most (`None`: for ever) and hands out keys with their events. A kernel before 5.11
    /// waits in whole milliseconds.
    pub(super) fn wait<'b>(
        &self,
        buffer: &'b mut [Event],
        timeout_ns: Option<u64>,
    ) -> io::Result<&'b [Event]> {
        let mut count = self.wait_exactly(buffer, timeout_ns);
        if matches!(&count, Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))) {
            let longest = i32::MAX as u64 * 1_000_000;
            let time = timeout_ns.map(|ns| timespec(ns.min(longest)));
            count = epoll::wait(&self.0, &mut *buffer, time.as_ref()).map_err(io::Error::from);
        }
        match count {
            Ok(count) => Ok(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(&[]),
            Err(error) => Err(error),
        }
    }

    fn wait_exactly(&self, buffer: &mut [Event], timeout_ns: Option<u64>) -> io::Result<usize> {
        let room = i32::try_from(buffer.len()).unwrap_or(i32::MAX);
        let time = timeout_ns.map(timespec);
        let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: `buffer` has `room` entries of the kernel's layout to write to, `time` is null or valid, and no mask is
        // given. `rustix` waits in whole milliseconds, unless it is told that no kernel is older than 5.11.
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
        check(count as libc::c_int).map(|count| usize::try_from(count).unwrap_or(0))
    }
}
