//! What is known of a segment of the journal without opening it.

use super::{
    block::Block,
    codec::{In, Out},
    entry::{Commit, Entry, Key, key_bytes, read_key},
    frame::{self, Kind},
};
use crate::owned;
use std::{fs, io, path::Path};

/// Its file in the segment's folder.
const NAME: &str = "facts";

/// From where to where some commits go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Facts {
    /// The first commit.
    pub(super) first: Key,
    /// The last one.
    pub(super) last: Key,
    /// The last record; 0 when there is none.
    pub(super) last_seq: u64,
    /// When the first was written, in milliseconds by the wall clock.
    pub(super) first_at_ms: u64,
    /// When the last was written, likewise.
    pub(super) last_at_ms: u64,
}

impl Facts {
    /// Of one commit.
    pub(super) fn of_commit(key: Key, at_ms: u64, commit: &Commit) -> Self {
        let more = (commit.records.len() as u64).checked_sub(1);
        let last_seq = more.map_or(0, |more| commit.first_seq.saturating_add(more));
        Self { first: key, last: key, last_seq, first_at_ms: at_ms, last_at_ms: at_ms }
    }

    /// Of one commit, as it was read.
    pub(super) fn of_one(key: Key, entry: &Entry) -> Self {
        Self::of_commit(key, entry.at_ms, &entry.commit)
    }

    /// Of a block; nothing of an empty one.
    pub(super) fn of(block: &Block) -> Option<Self> {
        block.entries().map(|(key, entry, _)| Self::of_one(key, &entry)).reduce(Self::and)
    }

    /// Of these commits and of later ones.
    pub(super) fn and(self, later: Self) -> Self {
        Self {
            last: later.last.max(self.last),
            last_seq: later.last_seq.max(self.last_seq),
            last_at_ms: later.last_at_ms.max(self.last_at_ms),
            ..self
        }
    }

    /// As written beside a segment; nothing when there are none that can be read.
    pub(super) fn read(segment: &Path) -> Option<Self> {
        let bytes = owned::read(&segment.join(NAME)).ok()?;
        let mut body = In(frame::open(Kind::Meta, &bytes)?);
        let (first, last) = (read_key(body.bytes()?)?, read_key(body.bytes()?)?);
        let (last_seq, first_at_ms, last_at_ms) = (body.u64()?, body.u64()?, body.u64()?);
        Some(Self { first, last, last_seq, first_at_ms, last_at_ms })
    }

    /// Writes them, as a whole or not at all.
    pub(super) fn write(&self, segment: &Path) -> io::Result<()> {
        let mut out = Out::default();
        out.bytes(&key_bytes(self.first));
        out.bytes(&key_bytes(self.last));
        [self.last_seq, self.first_at_ms, self.last_at_ms].into_iter().for_each(|number| out.u64(number));
        let fresh = segment.join("facts.new");
        owned::write(&fresh, &frame::seal(Kind::Meta, &out.0))?;
        fs::rename(fresh, segment.join(NAME))
    }
}
