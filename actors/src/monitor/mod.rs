//! The Monitor: takes in the output of children, keeps its recent part, stores it, classifies it, answers questions.
//!
//! The keeper writes what a child says into *spool* files and tells which ones grew. The Monitor reads them in
//! blocks, finds where lines end, takes out what must not be stored, looks for errors, and appends the block to the
//! chunk that is being built. A chunk of some 48 KiB, or of one second, goes to the store; behind it the spool is
//! given back. The same chunks are the recent part in memory.
//!
//! # Promises
//! - A line is seen by a question as soon as it is in the spool: every question takes in first what is there.
//! - Every byte is stored once: the place in the spool is part of the stored chunk, and after a crash reading goes on there.
//! - Reading on from a [`Cursor`](crate::model::Cursor) neither repeats nor skips, in both directions.
//! - The class of a line depends on the line alone, never on where blocks begin and end. Rules look at its text without
//!   terminal escapes, whatever is stored.
//! - An unfinished line is looked at after 100 ms of silence as if it ended there, and reported once: a process that
//!   hangs, or is ready, behind a prompt is seen.
//! - What is to be hidden is hidden as a whole: in stored pieces, in memory, in an unfinished line, in evidence.
//! - A slow reader slows no other part: readers ask, and nothing is pushed to them.
//! - A store that stands still stops neither classification nor questions about what is in memory. What does not fit
//!   there stays in the spool. Beyond the program's `backlog` the keeper lets the child wait, and is told how far the
//!   store is. Once the store has stood still for `stall` (`on_backlog = "wait"`), or at once (`"drop"`), the oldest
//!   output is dropped, and a line in its place says how much.
//! - What is missing has a line in its place, with lines and bytes: dropped, not taken by any disk, a spool that was removed.
//!
//! # Non-promises
//! - A reader that follows several streams at once may see again, after a crash of the supervisor, lines of the other
//!   streams that were not stored yet (at most about a second's): a cursor knows the place in one stream.
//! - Errors that a supervisor saw before it crashed do not decide the class of an end that its successor sees.
//! - When a line was written is known as precisely as the keeper and the spool tell: some 25 ms late for a quiet
//!   stream; for one that is read late, no later than the last write before it was read. The wall clock must not step
//!   in between.
//! - A part of an overlong line is a line of its own for classification.
//! - What an unfinished line showed stands although its end may change what the line says. A Monitor that goes on
//!   after a crash of the supervisor reports it again.
//! - A match of `redact` that is longer than a mebibyte is hidden up to there; patterns see no ends of lines.
//! - While more than 8 MiB of one attempt wait for a store that stands still, later output is not classified before it is
//!   taken in.
//!
//! # How order is made
//! Each piece that is read gets a number, larger than all before and at least the time in milliseconds times 4,096. The
//! second half keeps numbers ascending over a crash although those of pieces that were not stored are forgotten. A
//! chunk holds pieces of one stream; those of other streams lie in between, so readers merge chunks by number.
//!
//! # Rejected
//! - A record for each line in the store: measured 11 MB/s, against some hundred by chunk.
//! - Reading spools on the pool: classification of a block takes less than handing it over, and order would need a second
//!   step. The Monitor has a thread of its own anyway; packing, sled and questions run elsewhere.
//! - inotify and polling: the keeper knows when a spool grew.

mod actor;
mod attempt;
mod early;
mod expiry;
mod feed;
mod gap;
mod goal;
mod handlers;
mod hole;
mod intake;
pub mod machine;
mod messages;
mod page_end;
mod progress;
mod query;
mod recount;
mod rulebook;
mod silence;
mod stored;
mod unfinished;
mod wake;

#[cfg(test)]
mod tests;

pub use self::{actor::MonitorActor, messages::*};
