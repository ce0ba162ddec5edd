//! Decisions on their way to the store, strictly in order.
//!
//! One batch is under way at a time; what is decided meanwhile goes out together as the next one. So a batch that the
//! store refuses holds up everything behind it: nothing is written out of order, and no act overtakes its decision.

use super::machine::Effect;
use crate::{
    model::{JournalRecord, Put},
    store::Commit,
};
use std::collections::VecDeque;
use tokio::sync::oneshot;

/// Decisions that go out as one commit: enough that a burst of starts costs few turns of the store, some 0.1 ms each, few
/// enough that the commit stays at some tens of kilobytes, of which the store holds several copies while it works. The
/// rest follows in the next one.
const BATCH: usize = 32;

/// Bytes of state and inputs that go out as one commit, if it is more than one decision: a manager that takes up ten
/// thousand runs records a kilobyte of each, and the store holds several copies of a commit while it works.
const BATCH_BYTES: usize = 256 << 10;

/// A decision, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Decision {
    pub(super) records: Vec<JournalRecord>,
    pub(super) puts: Vec<Put>,
    /// What led to it, as it is recorded.
    inputs: Vec<Vec<u8>>,
    pub(super) acts: Vec<Effect>,
    pub(super) waiters: Vec<oneshot::Sender<()>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Decision>,
    /// How many of the first are under way.
    under_way: usize,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The newest decision that is not written.
    pub(super) fn newest(&mut self) -> Option<&mut Decision> {
        self.waiting.back_mut()
    }

    pub(super) fn push(&mut self, mut records: Vec<JournalRecord>, mut puts: Vec<Put>, inputs: Vec<Vec<u8>>) {
        // Thousands may wait here, most of them with one or two of each.
        records.shrink_to_fit();
        puts.shrink_to_fit();
        self.waiting.push_back(Decision { records, puts, inputs, ..Decision::default() });
    }

    /// What waits, at most [`BATCH`] decisions, as one commit; nothing while a batch is under way.
    pub(super) fn next(&mut self) -> Option<Commit> {
        if self.under_way > 0 || self.waiting.is_empty() {
            return None;
        }
        let mut commit = Commit::default();
        let mut bytes = 0;
        for decision in self.waiting.iter().take(BATCH) {
            let size = |values: &[Vec<u8>]| values.iter().map(Vec::len).sum::<usize>();
            let size_of = |put: &Put| put.key.len() + put.value.as_ref().map_or(0, Vec::len);
            let puts = decision.puts.iter().map(size_of).sum::<usize>();
            bytes += size(&decision.inputs) + puts;
            if bytes > BATCH_BYTES && self.under_way > 0 {
                break;
            }
            self.under_way += 1;
            for record in &decision.records {
                if commit.records.is_empty() {
                    commit.first_seq = record.seq;
                }
                // A record is a map of plain values: JSON cannot refuse it.
                commit.records.push(serde_json::to_vec(record).unwrap_or_default());
            }
            commit.puts.extend(decision.puts.iter().cloned());
            commit.inputs.extend(decision.inputs.iter().cloned());
        }
        Some(commit)
    }

    /// The batch is written: its decisions, in order.
    pub(super) fn written(&mut self) -> Vec<Decision> {
        let count = std::mem::take(&mut self.under_way);
        self.waiting.drain(..count.min(self.waiting.len())).collect()
    }

    /// The batch was refused: it goes out again, with what has come meanwhile behind it.
    pub(super) const fn refused(&mut self) {
        self.under_way = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Event, Timestamp};

    fn push(outbox: &mut Outbox, seq: u64, key: &str) {
        let event = Event::ProgramConfigured { change: crate::model::ProgramChange::Added };
        let (at, run, program, attempt, scope) = (Timestamp(0), None, None, None, None);
        let record = JournalRecord { seq, at, run, program, attempt, scope, event };
        outbox.push(vec![record], vec![Put { key: key.into(), value: Some(vec![1]) }], Vec::new());
    }

    #[track_caller]
    fn goes_out(outbox: &mut Outbox, first_seq: u64, keys: &[&str]) {
        let commit = outbox.next().expect("something goes out");
        let found: Vec<_> = commit.puts.iter().map(|put| put.key.as_str()).collect();
        assert_eq!((commit.first_seq, found.as_slice(), commit.records.len()), (first_seq, keys, keys.len()));
    }

    #[test]
    fn what_is_large_goes_out_piece_by_piece_and_in_order() {
        let mut outbox = Outbox::default();
        for _ in 0..3 {
            outbox.push(Vec::new(), Vec::new(), vec![vec![b'x'; BATCH_BYTES]]);
        }
        push(&mut outbox, 5, "a");
        for _ in 0..2 {
            assert_eq!(outbox.next().expect("something goes out").inputs.len(), 1);
            assert_eq!(outbox.written().len(), 1);
        }
        let last = outbox.next().expect("something goes out");
        assert_eq!((last.inputs.len(), last.records.len()), (1, 0), "a full one takes no more");
        assert_eq!(outbox.written().len(), 1);
        goes_out(&mut outbox, 5, &["a"]);
    }

    #[test]
    fn a_refused_batch_holds_up_what_is_behind_it_and_goes_out_first() {
        let mut outbox = Outbox::default();
        push(&mut outbox, 5, "a");
        goes_out(&mut outbox, 5, &["a"]);
        push(&mut outbox, 6, "b");
        assert!(outbox.next().is_none(), "nothing overtakes");
        outbox.refused();
        assert!(!outbox.is_empty(), "nothing is released");
        goes_out(&mut outbox, 5, &["a", "b"]);
        push(&mut outbox, 7, "c");
        let released = outbox.written();
        assert_eq!(released.iter().map(|decision| decision.records[0].seq).collect::<Vec<_>>(), [5, 6]);
        goes_out(&mut outbox, 7, &["c"]);
        assert_eq!(outbox.written().len(), 1);
        assert!(outbox.is_empty() && outbox.next().is_none());
    }
}
