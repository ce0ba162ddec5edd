//! What outlives us: the journal of decisions, the state it adds up to, and the output of children, in sled.
//!
//! The store sees bytes. It knows what a key and a sequence number are, and nothing of runs or breakers.
//!
//! # Promises
//! - One decision is one [`Commit`], one write into the write-ahead file: after any crash it is there as a whole or not at
//!   all, and commits are there in the order in which they were given.
//! - A commit that was answered survives `kill -9` of the process: it is in the write-ahead file until sled has flushed
//!   it, at most 20 ms after things get quiet.
//! - No call waits for the disk but [`Store::open`], [`Store::load`] and the drop of the last handle. [`Store::commit`] writes
//!   into the page cache, on the thread of whoever decides (`front.rs`); everything else is answered on a thread of the store's own.
//! - One owner: a second opener is told who holds the store ([`OpenError::Held`]).
//! - A copy is another store: it gets an identity of its own, so that its supervisor takes no process of the original for
//!   one that it left ([`Store::is_at_home`]).
//! - A folder that is not ours to take is refused and not touched ([`OpenError::Folder`], [`owned`](crate::owned)).
//! - Damage never refuses service: a database that sled cannot open (it may panic) is moved aside, what carries our
//!   magic and a right checksum is taken over into a new one, and [`Loaded::damage`] says so.
//! - A full disk stops storing, not deciding: commits go on into the write-ahead file, and what sled refused it gets again
//!   once its database could be opened again. A store whose disk takes nothing at the open is refused and not touched.
//!
//! # Non-promises
//! - Neither the write-ahead file nor a `flush` of sled is power-loss durable: after a power cut the last decisions may be
//!   missing. They are missing as wholes.
//! - State is not trimmed by the store: who writes it removes what it no longer needs, and the disk follows.
//! - Output, journal and state are bounded each by itself; nothing bounds what damage moved aside.
//!
//! # Layout of the folder
//! `lock` (who owns it), `identity` (layout version, manager id, seed, where the folder is), `journal/<n>/` (sled, one for each
//! segment),
//! `state/<n>/` (sled, one; two while it moves), `journal.ahead` (decisions that sled has not flushed), `journal.mark` (the
//! newest keys, by which silent loss is noticed), `output/<n>/` (sled, one for each segment), `damaged-<n>/` (moved aside).
//!
//! # Growth
//! The journal goes by segments (`segments.rs`): the newest grows, the oldest are deleted. State is apart (`state.rs`) and
//! goes at least as far as every sealed segment, so that an open reads the state and what the newest segment and the
//! write-ahead file have beyond its checkpoint, whatever the history. Whatever a death leaves of a segment that begins, a
//! state that moves, or a folder that is deleted, the next open finishes or throws away; changes carry the number of their
//! commit and are absolute, so that none is lost or applied twice.
//!
//! # Rejected
//! - A flush of sled for each decision, as first designed: it waits for the disk, 0.2 to 0.3 ms measured, more than all
//!   other parts of a restart together.
//! - sled's `Batch` and transactions: 0.34.7 was seen to deadlock on them. One insert is atomic by itself.
//! - State written on each commit: it would double what is on the way of a restart. State is a cache: kept in memory
//!   until things are quiet, written then, and made good from the journal after a crash.
//! - One database for all output, or for journal and state: sled gives disk back only by deleting the database.
//! - The whole state at the beginning of each segment: 50,000 ended runs are some hundred megabytes, to be written again
//!   with every 16 of the journal, and commits would wait for it.

mod ahead;
mod answer;
mod block;
mod codec;
mod condition;
mod database;
mod entry;
mod facts;
mod frame;
mod front;
mod handle;
mod identity;
mod journal;
mod legacy;
mod lock;
mod mark;
mod memory;
mod notices;
mod open_error;
mod output;
mod owed;
mod packing;
mod panics;
mod queue;
mod read;
mod reopen;
mod request;
mod segments;
mod state;

#[cfg(test)]
mod tests;

pub use self::{
    answer::{Loaded, StoreError},
    condition::Condition,
    entry::Commit,
    handle::Store,
    notices::Notice,
    open_error::OpenError,
    output::{
        Chunk, ChunkHead, ChunkRef, Found, Line, Lines, Missed, Output, Piece, Position, Read, Retention,
        Wanted,
    },
    segments::JournalRetention,
};
