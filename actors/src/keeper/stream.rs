//! One output of a child: its pipe, its spool file, and when to look at it next.
//!
//! Bytes move by `splice`: at any moment a byte is in the pipe or in the file, never in a buffer of ours, so a keeper
//! that is killed loses none and doubles none.

use super::syscall::{grow_pipe, now_ns, poll, read_some, splice, waiting};
use crate::model::Loss;
use rustix::event::PollFlags;
use std::{
    ffi::OsStr,
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt},
        },
    },
    path::Path,
};

/// Most bytes in one visit: the largest pipe. Beyond it the others have their turn first.
const VISIT: u64 = 1 << 20;

/// A visit that moved so much found a busy stream: a default pipe was full, or nearly.
const BUSY: u64 = 32 << 10;

/// Size of a busy stream's pipe. Not from the beginning: a user's pipes may take 64 MiB together unless privileged.
const LARGE_PIPE: usize = 1 << 20;

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

/// The reader of the spools drops what is oldest once its store has stood still for the program's patience. Only when it
/// has not done so for so much longer does the keeper drop what is newest: then the reader itself stands still.
const READER_FIRST_NS: u64 = 2_000_000_000;

/// A stream is told to wait for the reader of its spool when it has done so for this long: a shorter wait is the ordinary
/// pace of a child that writes faster than its output is stored.
const TOLD_NS: u64 = 1_000_000_000;

/// Bytes read at once when they are thrown away.
const SCRAP: usize = 64 << 10;

/// Stands for "the reader is behind" where else the kernel's word about the spool stands.
pub(super) const BEHIND: i32 = -1;

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

/// Limits of a stream, and what happens at them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms {
    /// Bytes in the spool and not stored; beyond them the pipe is left full. 0: no limit.
    pub(super) hold_at: u64,
    /// So long a stream waits that can go nowhere before what it has is dropped and counted; `u64::MAX`: for ever.
    pub(super) patience_ns: u64,
}

/// Output that goes nowhere.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    /// Since when nothing moves.
    since_ns: u64,
    /// The kernel's word about the spool, or [`BEHIND`].
    errno: i32,
}

/// A line in the spool that stands for what was thrown away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Marked {
    pub(super) at: u64,
    pub(super) length: u64,
    pub(super) loss: Loss,
}

/// What a last look at the pipe found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Last {
    /// Nobody holds the writing end.
    Ended,
    /// Somebody does; what was there is in the spool.
    Open,
    /// The spool did not take it.
    Refused,
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
    terms: Terms,
    /// Bytes of the spool that nobody needs any more, by the word of its reader.
    stored: u64,
    trouble: Option<Trouble>,
    /// Thrown away since the spool took something last …
    loss: Loss,
    /// … before that, with the line in the spool that says so: not told yet …
    marked: Option<Marked>,
    /// … and all bytes that ever were.
    lost: u64,
    /// The last byte thrown away was not the end of its line: what is left of it goes too.
    cut: bool,
    /// The time of the visit that is due, if one is.
    pub(super) due_ns: Option<u64>,
}

impl Stream {
    pub(super) fn new(pipe: Option<OwnedFd>, path: Vec<u8>, terms: Terms) -> Self {
        Self {
            pipe,
            path,
            file: None,
            size: 0,
            large: false,
            was_full: false,
            terms,
            stored: 0,
            trouble: None,
            loss: Loss::default(),
            marked: None,
            lost: 0,
            cut: false,
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
        self.pipe.as_ref().is_some_and(|pipe| !poll(pipe.as_fd()).contains(PollFlags::HUP))
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that were thrown away.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// The line that was written since this was asked last, for what was thrown away before it.
    pub(super) const fn take_marked(&mut self) -> Option<Marked> {
        self.marked.take()
    }

    /// What was thrown away and has no line in the spool: nothing follows it there.
    pub(super) fn take_loss(&mut self) -> Option<Marked> {
        let loss = std::mem::take(&mut self.loss);
        (!loss.is_none()).then_some(Marked { at: self.size, length: 0, loss })
    }

    /// What was thrown away and has no line in the spool.
    pub(super) const fn loss(&self) -> Loss {
        self.loss
    }

    /// Why nothing moves, if that is worth being told: the kernel's word about the spool, or [`BEHIND`].
    pub(super) fn waits_for(&self, now: u64) -> Option<i32> {
        let trouble = self.trouble?;
        (trouble.errno != BEHIND || now.saturating_sub(trouble.since_ns) >= TOLD_NS).then_some(trouble.errno)
    }

    /// The reader needs no more of the spool up to here. Whether that is what the stream waited for.
    pub(super) fn is_stored(&mut self, to: u64) -> bool {
        self.stored = self.stored.max(to);
        let waited = self.trouble.is_some_and(|trouble| trouble.errno == BEHIND);
        if waited {
            self.trouble = None;
        }
        waited
    }

    /// Lets go of pipe and file: the tree is empty.
    pub(super) fn close(&mut self) {
        self.pipe = None;
        self.file = None;
        self.due_ns = None;
        self.trouble = None;
    }

    /// Moves what is there, in fair measure.
    pub(super) fn visit(&mut self, now: u64) -> Next {
        let before = self.size;
        let drained = self.drain(VISIT, false);
        let moved = self.size - before;
        // One visit soon after a full one finds little and says nothing of the writer.
        let was_full = std::mem::replace(&mut self.was_full, moved >= FULL);
        if moved > 0 {
            self.trouble = None;
        }
        let drained = match drained {
            Ok(Drained::Held) => return self.wait(BEHIND, now),
            Err(error) => return self.wait(error.raw_os_error().unwrap_or(libc::EIO), now),
            Ok(drained) => drained,
        };
        self.trouble = None;
        match drained {
            Drained::Ended => Next::Ended,
            _ if moved >= BUSY => {
                if !self.large
                    && let Some(pipe) = &self.pipe
                {
                    grow_pipe(pipe.as_fd(), LARGE_PIPE);
                    self.large = true;
                }
                Next::After(if moved >= FULL { 0 } else { BUSY_PAUSE_NS })
            }
            _ if was_full => Next::After(BUSY_PAUSE_NS / 4),
            Drained::Empty if moved == 0 => Next::Armed,
            Drained::Empty | Drained::More | Drained::Held => Next::After(TRICKLE_PAUSE_NS),
        }
    }

    /// Nothing moves, for this cause: it waits, or is thrown away once it has waited for long enough.
    fn wait(&mut self, errno: i32, now: u64) -> Next {
        let trouble = self.trouble.get_or_insert(Trouble { since_ns: now, errno });
        trouble.errno = errno;
        let first = if errno == BEHIND && self.terms.patience_ns > 0 { READER_FIRST_NS } else { 0 };
        let patience = self.terms.patience_ns.saturating_add(first);
        let waited = now.saturating_sub(trouble.since_ns);
        if waited < patience {
            return Next::After(STUCK_PAUSE_NS.min(patience - waited));
        }
        // What the dead left does not grow, and is kept for as long as can be.
        let Some(pipe) = self.pipe.as_ref().filter(|_| self.has_writer()) else {
            return Next::After(STUCK_PAUSE_NS);
        };
        // Half of a pipe is left in it: what a child said last tells most, and a place for it may be found.
        let room = if self.large { LARGE_PIPE as u64 } else { 64 << 10 };
        match waiting(pipe.as_fd()).saturating_sub(room / 2) {
            0 => Next::After(TRICKLE_PAUSE_NS),
            spare => {
                self.throw_away(spare);
                Next::After(BUSY_PAUSE_NS)
            }
        }
    }

    /// Takes so many bytes out of the pipe, and the rest of the last line of them, and counts them.
    fn throw_away(&mut self, bytes: u64) {
        let Some(pipe) = &self.pipe else { return };
        let mut scrap = vec![0; SCRAP];
        let mut left = bytes;
        while left > 0 || self.cut {
            // The rest of a line is read byte by byte: what follows it stays.
            let most = usize::try_from(left).unwrap_or(SCRAP).clamp(1, SCRAP);
            let room = scrap.get_mut(..most).unwrap_or_default();
            let Ok(read @ 1..) = read_some(pipe.as_fd(), room) else { return };
            let taken = room.get(..read).unwrap_or_default();
            self.loss.bytes += read as u64;
            self.loss.lines += memchr::memchr_iter(b'\n', taken).count() as u64;
            self.lost += read as u64;
            self.cut = taken.last() != Some(&b'\n');
            left = left.saturating_sub(read as u64);
        }
    }

    /// Throws away what the pipe still holds: its writers are gone, and nothing takes it.
    pub(super) fn throw_all_away(&mut self) {
        let left = self.left();
        if left > 0 {
            self.cut = false;
            self.throw_away(left);
            self.loss.lines += u64::from(std::mem::take(&mut self.cut));
        }
    }

    /// Moves what is in the pipe at this moment and no more: somebody may go on writing for ever.
    pub(super) fn drain_now(&mut self) -> Last {
        let Some(pipe) = &self.pipe else { return Last::Ended };
        // The held limit is for a living child; what a dead one left behind is no more than its pipe.
        let (bytes, hold_at) = (waiting(pipe.as_fd()), std::mem::take(&mut self.terms.hold_at));
        // One byte more finds the end, should there be one.
        let mut drained = self.drain(bytes + 1, true);
        if self.marked.is_some() && drained.is_ok() {
            drained = self.drain(bytes + 1, true);
        }
        self.terms.hold_at = hold_at;
        match drained {
            Ok(Drained::Ended) => Last::Ended,
            Ok(Drained::Empty | Drained::More | Drained::Held) => Last::Open,
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                self.trouble.get_or_insert(Trouble { since_ns: now_ns(), errno }).errno = errno;
                Last::Refused
            }
        }
    }

    /// Moves up to `limit` bytes. Without `to_the_end` a little is taken for all there is: the end is then found by the
    /// next visit, and a slow writer costs one system call less at each.
    fn drain(&mut self, limit: u64, to_the_end: bool) -> io::Result<Drained> {
        if self.cut {
            self.throw_away(0);
        }
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
            let mut most = left;
            if self.terms.hold_at > 0 {
                let room = self.room(file)?;
                if room == 0 {
                    let quiet = waiting(pipe.as_fd()) == 0;
                    return Ok(match quiet {
                        true if ended(pipe.as_fd()) => Drained::Ended,
                        true => Drained::Empty,
                        false => Drained::Held,
                    });
                }
                most = most.min(room);
            }
            if !self.loss.is_none() {
                let marked = mark(file, self.size, self.loss)?;
                self.size += marked.length;
                (self.marked, self.loss) = (Some(marked), Loss::default());
                // It is told before anything behind it is read.
                return Ok(Drained::More);
            }
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            match splice(pipe.as_fd(), file.as_fd(), &mut self.size, most) {
                Ok(0) => return Ok(Drained::Ended),
                Ok(moved) => {
                    left = left.saturating_sub(moved);
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

    /// Bytes that the spool may still grow by: what its reader has stored is free again, by its own word, or because it
    /// gave the disk back.
    fn room(&self, file: &File) -> io::Result<u64> {
        let limit = self.terms.hold_at;
        let room = limit.saturating_sub(self.size.saturating_sub(self.stored));
        if room > 0 {
            return Ok(room);
        }
        Ok(limit.saturating_sub(file.metadata()?.blocks().saturating_mul(512)))
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
    poll(pipe) & (PollFlags::HUP | PollFlags::IN) == PollFlags::HUP
}

/// Puts a line into the spool for what was thrown away, whole or not at all: a reader that knows of it puts its own there.
fn mark(file: &File, at: u64, loss: Loss) -> io::Result<Marked> {
    let mut last = [b'\n'];
    if at > 0 {
        file.read_exact_at(&mut last, at - 1)?;
    }
    let begin = if last == [b'\n'] { "" } else { "\n" };
    let Loss { bytes, lines } = loss;
    let text = format!("{begin}[{lines} lines ({bytes} bytes) are lost: the disk took none of them]\n");
    if let Err(error) = file.write_all_at(text.as_bytes(), at) {
        file.set_len(at)?;
        return Err(error);
    }
    Ok(Marked { at, length: text.len() as u64, loss })
}

/// Opens a spool file; a folder that somebody removed is made anew.
fn open_spool(path: &[u8]) -> io::Result<File> {
    let path = Path::new(OsStr::from_bytes(path));
    let open =
        || OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    match (open(), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().mode(0o700).create(folder)?;
            open()
        }
        (opened, _) => opened,
    }
}

/// Appends to a spool file what a pipe still holds, after its keeper died. Says how many bytes that were, and why no more
/// were: then the rest is still in the pipe.
pub fn rescue(pipe: BorrowedFd<'_>, spool: &Path) -> (u64, Option<io::Error>) {
    let mut bytes = 0;
    let error = if waiting(pipe) == 0 { None } else { move_all(pipe, spool, &mut bytes).err() };
    (bytes, error)
}

fn move_all(pipe: BorrowedFd<'_>, spool: &Path, moved: &mut u64) -> io::Result<()> {
    let file = open_spool(spool.as_os_str().as_bytes())?;
    let mut size = file.metadata()?.len();
    loop {
        match splice(pipe, file.as_fd(), &mut size, 1 << 20) {
            Ok(0) => return Ok(()),
            Ok(more) => *moved += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// Counts what a pipe holds, and throws it away: its writers are dead, no spool takes it, and the pipe goes with us.
pub fn give_up(pipe: BorrowedFd<'_>) -> Loss {
    let (mut loss, mut last, mut scrap) = (Loss::default(), b'\n', vec![0; SCRAP]);
    while let Ok(read @ 1..) = read_some(pipe, &mut scrap) {
        let taken = scrap.get(..read).unwrap_or_default();
        loss.bytes += read as u64;
        loss.lines += memchr::memchr_iter(b'\n', taken).count() as u64;
        last = taken.last().copied().unwrap_or(last);
    }
    loss.lines += u64::from(last != b'\n');
    loss
}
