//! What can still be learnt of a process after its keeper died.

use super::syscall::{poll, reap};
use crate::model::ExitStatus;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Asks a pidfd about its process (Linux 6.13).
const PIDFD_GET_INFO: libc::c_ulong = 0xc040_ff0b;

/// Asks for the end of a process that has been reaped by whoever inherited it (Linux 6.15).
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// The kernel's `pidfd_info`, first version.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// Whether the process behind a descriptor has ended.
#[must_use]
pub fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    !poll(pidfd).is_empty()
}

/// How a process ended whose keeper is dead: as our own child if the keeper was a thread, else as far as the kernel
/// remembers it for the descriptor's sake.
#[must_use]
pub fn exit_of(pid: i32, pidfd: Option<BorrowedFd<'_>>) -> ExitStatus {
    if let Some(status) = reap(pid).filter(|status| *status != ExitStatus::Unknown) {
        return status;
    }
    let Some(pidfd) = pidfd else { return ExitStatus::Unknown };
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: `info` has the size that is part of the request's number, and the kernel writes no more than that. `rustix`
    // does not have this question.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    if result < 0 || info.mask & PIDFD_INFO_EXIT == 0 {
        return ExitStatus::Unknown;
    }
    let code = info.exit_code;
    if libc::WIFSIGNALED(code) {
        return ExitStatus::Signal { number: libc::WTERMSIG(code), core: libc::WCOREDUMP(code) };
    }
    ExitStatus::Code(libc::WEXITSTATUS(code))
}
