//! One output of a child: its pipe, its spool file, and when to look at it next.
//!
//! Bytes move by `splice`: at any moment a byte is in the pipe or in the file, never in a buffer of ours, so a keeper
//! that is killed loses none and doubles none.

use super::syscall::{grow_pipe, splice, waiting};
use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt, fs::OpenOptionsExt},
    },
};

/// Most bytes in one visit: the largest pipe. Beyond it the others have their turn first.
const VISIT: u64 = 1 << 20;

/// A visit that moved so much found a busy stream: a default pipe was full, or nearly.
const BUSY: u64 = 32 << 10;

/// Size of a busy stream's pipe. Not from the beginning: a user's pipes may take 64 MiB together unless privileged.
const LARGE_PIPE: libc::c_int = 1 << 20;

/// Pause after a visit to a busy stream: long enough for the writer to fill much of its pipe undisturbed, short enough
/// that it does not fill it whole at a gigabyte per second.
const BUSY_PAUSE_NS: u64 = 1_000_000;

/// A visit that moved so much found even a large pipe full, or nearly, and its writer waiting: no pause, but others
/// have their turn. Writers of lines are never so fast.
const FULL: u64 = 3 << 18;

/// Pause after a visit that moved little: a person does not see it, and a line-by-line writer costs 40 visits a second.
/// With the reader's own pause of 50 ms a follower has a line within 100 ms; a question looks by itself.
pub(super) const TRICKLE_PAUSE_NS: u64 = 25_000_000;

/// Pause when the spool takes nothing: the disk is full, or the reader of the spool is behind.
const STUCK_PAUSE_NS: u64 = 250_000_000;

/// When to visit a stream again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// When the pipe has something.
    Armed,
    /// After so many nanoseconds.
    After(u64),
    /// Never: nobody holds the writing end.
    Ended,
}

/// See the module.
pub(super) struct Stream {
    pipe: Option<OwnedFd>,
    path: Vec<u8>,
    file: Option<File>,
    /// Bytes in the spool.
    size: u64,
    large: bool,
    /// Whether the last visit found a full pipe.
    was_full: bool,
    hold_at: u64,
    /// Bytes until the disk use is looked at again.
    unchecked: u64,
    /// The time of the visit that is due, if one is.
    pub(super) due_ns: Option<u64>,
}

impl Stream {
    pub(super) const fn new(pipe: Option<OwnedFd>, path: Vec<u8>, hold_at: u64) -> Self {
        Self {
            pipe,
            path,
            file: None,
            size: 0,
            large: false,
            was_full: false,
            hold_at,
            unchecked: 0,
            due_ns: None,
        }
    }

    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Whether its spool file is still to be opened.
    pub(super) const fn may_open(&self) -> bool {
        self.pipe.is_some() && self.file.is_none()
    }

    /// Bytes in its pipe: after a visit only those that the spool did not take.
    pub(super) fn left(&self) -> u64 {
        self.pipe.as_ref().map_or(0, |pipe| waiting(pipe.as_fd()))
    }

    /// Whether somebody can still write into its pipe.
    pub(super) fn has_writer(&self) -> bool {
        self.pipe.as_ref().is_some_and(|pipe| poll(pipe.as_fd()) & libc::POLLHUP == 0)
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Lets go of pipe and file: the tree is empty.
    pub(super) fn close(&mut self) {
        self.pipe = None;
        self.file = None;
        self.due_ns = None;
    }

    /// Moves what is there, in fair measure.
    pub(super) fn visit(&mut self) -> Next {
        let before = self.size;
        let drained = self.drain(VISIT, false);
        let moved = self.size - before;
        // One visit soon after a full one finds little and says nothing of the writer.
        let was_full = std::mem::replace(&mut self.was_full, moved >= FULL);
        match drained {
            Ok(Drained::Ended) => Next::Ended,
            Ok(Drained::Held) | Err(_) => Next::After(STUCK_PAUSE_NS),
            Ok(Drained::Empty | Drained::More) if moved >= BUSY => {
                if !self.large
                    && let Some(pipe) = &self.pipe
                {
                    grow_pipe(pipe.as_fd(), LARGE_PIPE);
                    self.large = true;
                }
                Next::After(if moved >= FULL { 0 } else { BUSY_PAUSE_NS })
            }
            Ok(Drained::Empty | Drained::More) if was_full => Next::After(BUSY_PAUSE_NS / 4),
            Ok(Drained::Empty) if moved == 0 => Next::Armed,
            Ok(Drained::Empty | Drained::More) => Next::After(TRICKLE_PAUSE_NS),
        }
    }

    /// Moves what is in the pipe at this moment and no more: somebody may go on writing for ever. Whether the pipe
    /// has ended.
    pub(super) fn drain_now(&mut self) -> bool {
        let Some(pipe) = &self.pipe else { return true };
        // The held limit is for a living child; what a dead one left behind is no more than its pipe.
        let (bytes, hold_at) = (waiting(pipe.as_fd()), std::mem::take(&mut self.hold_at));
        // One byte more finds the end, should there be one.
        let drained = self.drain(bytes + 1, true);
        self.hold_at = hold_at;
        matches!(drained, Ok(Drained::Ended))
    }

    /// Moves up to `limit` bytes. Without `to_the_end` a little is taken for all there is: the end is then found by the
    /// next visit, and a slow writer costs one system call less at each.
    fn drain(&mut self, limit: u64, to_the_end: bool) -> io::Result<Drained> {
        let Some(pipe) = &self.pipe else { return Ok(Drained::Ended) };
        let mut left = limit;
        while left > 0 {
            if self.file.is_none() {
                if waiting(pipe.as_fd()) == 0 {
                    return Ok(if ended(pipe.as_fd()) { Drained::Ended } else { Drained::Empty });
                }
                let file = open_spool(&self.path)?;
                self.size = file.metadata()?.len();
                self.file = Some(file);
            }
            let Some(file) = &self.file else { return Ok(Drained::Empty) };
            if self.hold_at > 0 && self.unchecked == 0 {
                let used = file.metadata()?.blocks().saturating_mul(512);
                if used >= self.hold_at {
                    return Ok(Drained::Held);
                }
                self.unchecked = ((self.hold_at - used) / 2).clamp(1, self.hold_at);
            }
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            match splice(pipe.as_fd(), file.as_fd(), &mut self.size, most) {
                Ok(0) => return Ok(Drained::Ended),
                Ok(moved) => {
                    left = left.saturating_sub(moved);
                    self.unchecked = self.unchecked.saturating_sub(moved);
                    if moved < BUSY && left > 0 && !to_the_end {
                        return Ok(Drained::Empty);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Drained::Empty),
                Err(error) => return Err(error),
            }
        }
        Ok(Drained::More)
    }
}

enum Drained {
    Empty,
    More,
    Ended,
    Held,
}

/// Whether nobody can write into this empty pipe any more.
fn ended(pipe: BorrowedFd<'_>) -> bool {
    poll(pipe) & (libc::POLLHUP | libc::POLLIN) == libc::POLLHUP
}

fn poll(pipe: BorrowedFd<'_>) -> libc::c_short {
    use std::os::fd::AsRawFd;
    let mut poll = libc::pollfd { fd: pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `poll` is one valid entry.
    unsafe { libc::poll(&raw mut poll, 1, 0) };
    poll.revents
}

fn open_spool(path: &[u8]) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(OsStr::from_bytes(path))
}

/// Appends to a spool file what a pipe still holds, after its keeper died. The writers are dead, so the end comes.
///
/// # Errors
/// The spool takes nothing; the rest stays in the pipe.
pub fn rescue(pipe: BorrowedFd<'_>, spool: &std::path::Path) -> io::Result<u64> {
    if waiting(pipe) == 0 {
        return Ok(0);
    }
    let file = open_spool(spool.as_os_str().as_bytes())?;
    let mut size = file.metadata()?.len();
    let before = size;
    loop {
        match splice(pipe, file.as_fd(), &mut size, 1 << 20) {
            Ok(0) => return Ok(size - before),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(size - before),
            Err(error) => return Err(error),
        }
    }
}
