//! Where output is missing: a line of ours in its place, which says how much it was.

use super::{
    feed::{Feed, READ, Recent},
    intake::Intake,
    messages::Lose,
};
use crate::{
    model::Loss,
    store::{Chunk, Output, Piece},
};
use std::{os::unix::fs::FileExt, sync::Arc};

/// The keeper is told how far a spool is stored in steps of this size, or of a quarter of the backlog where that is
/// less.
const STEP: u64 = 4 << 20;

fn step(limit: u64) -> u64 {
    STEP.min(limit / 4).max(1)
}

impl Feed {
    /// The backlog is over its limit and the store takes nothing: drops the oldest output, down to half the limit,
    /// and puts one line that says how much it was.
    pub(crate) fn drop_backlog(&mut self, limit: u64, intake: &mut Intake<'_>, output: &Output) {
        let size = self.size();
        // The keeper, which stops a child at the limit, may be one step behind.
        let backlog = size.saturating_sub(self.released()) + step(limit);
        let goal = size.saturating_sub(limit / 2);
        let Some(file) = self.file.clone().filter(|_| backlog >= limit && goal > self.taken) else { return };
        let (mut at, mut lines) = (self.taken, 0_u64);
        let mut block = vec![0; READ];
        'skip: while at < size {
            let Ok(read @ 1..) = file.read_at(&mut block, at) else { break };
            let bytes = block.get(..read).unwrap_or_default();
            for newline in memchr::memchr_iter(b'\n', bytes) {
                lines += 1;
                if at + newline as u64 + 1 >= goal {
                    at += newline as u64 + 1;
                    break 'skip;
                }
            }
            at += read as u64;
        }
        let (from, loss) = (self.taken, Loss { bytes: at - self.taken, lines: lines.max(1) });
        log::warn!("output dropped; attempt={} lines={} bytes={}", self.attempt, loss.lines, loss.bytes);
        self.put_gap(loss, at, "were dropped: they came faster than they could be stored", intake);
        self.gaps += loss.lines;
        let (from, to) = (from.next_multiple_of(4_096), at & !0xfff);
        if from < to {
            // If the thread has no time for it, it is given back with what is stored next.
            self.punch(&file, from, to, output);
        }
    }

    /// The number of bytes of the spool that the keeper need not count any more; `None` when the keeper need not be
    /// told yet.
    pub(crate) fn progress(&mut self, limit: u64) -> Option<u64> {
        let released = self.released();
        let worth = released >= self.said.saturating_add(step(limit));
        worth.then(|| std::mem::replace(&mut self.said, released).max(released))
    }

    /// Records that output is missing at this place of the spool. If reading has passed the place already, what stands
    /// there for the loss was taken for a line, and nothing is recorded.
    pub(crate) fn lose(&mut self, lose: &Lose) {
        if lose.length == 0 || lose.at >= self.read_to() {
            let place =
                self.missing.iter().position(|other| other.at > lose.at).unwrap_or(self.missing.len());
            self.missing.insert(place, *lose);
            self.look = true;
        }
    }

    /// Puts the lines about missing output at the places that reading has reached.
    pub(crate) fn tell_missing(&mut self, intake: &mut Intake<'_>) {
        if let Some(data) = self.hole_to.take().filter(|data| *data > self.taken) {
            log::error!("stored output is missing; attempt={} bytes={}", self.attempt, data - self.taken);
            let loss = Loss { bytes: data - self.taken, lines: 0 };
            self.put_gap(loss, data, "are lost: the store does not have them", intake);
            self.gaps += 1;
        }
        let here = self.read_to();
        while let Some(lose) = self.missing.pop_front_if(|lose| lose.at <= here) {
            self.put_loss(&lose, intake);
        }
    }

    fn put_loss(&mut self, lose: &Lose, intake: &mut Intake<'_>) {
        // The part of the line that was read, whose end is missing, is lost too.
        let here = self.read_to();
        let loss = Loss { bytes: lose.loss.bytes + (here - self.taken), lines: lose.loss.lines.max(1) };
        // Where nothing follows in the spool, the line stands for the bytes that would have been there.
        let to = here + if lose.length > 0 { lose.length } else { lose.loss.bytes.max(1) };
        self.put_gap(loss, to, "are lost: the disk took none of them", intake);
    }

    /// No more output comes: puts all lines about missing output, wherever they should have been. The spool may have
    /// less than was written into it: up to `up_to`.
    pub(crate) fn tell_the_rest(&mut self, up_to: u64, intake: &mut Intake<'_>) {
        while let Some(lose) = self.missing.pop_front() {
            self.put_loss(&lose, intake);
        }
        let have = self.read_to();
        if have >= up_to || up_to == u64::MAX {
            return;
        }
        log::error!("spooled output is missing; attempt={} bytes={}", self.attempt, up_to - have);
        let loss = Loss { bytes: up_to - self.taken, lines: 0 };
        self.put_gap(loss, up_to, "are lost: their spool was removed or cannot be read", intake);
        self.gaps += 1;
    }

    /// Puts a chunk of one line that stands for what is missing, up to this place of the spool.
    fn put_gap(&mut self, loss: Loss, to: u64, what: &str, intake: &mut Intake<'_>) {
        self.seal();
        let Loss { bytes, lines } = loss;
        let mut head = self.head();
        let counted = lines.max(1);
        (head.lines, head.gap, head.to, head.raw_lengths) = (1, counted, to, vec![(0, to - self.taken)]);
        *intake.number = (*intake.number + 1).max(intake.now.0 << 12);
        head.pieces.push(Piece { number: *intake.number, line: 0, at_ms: intake.now.0 });
        let text = match lines {
            0 => format!("[{bytes} bytes {what}]\n"),
            _ => format!("[{lines} lines ({bytes} bytes) {what}]\n"),
        };
        (self.held, self.unstored) = (self.held + text.len(), self.unstored + text.len());
        let chunk = Arc::new(Chunk { head, bytes: text.into_bytes() });
        self.recent.push_back(Recent { chunk, sent: false });
        self.next_seq += counted;
        (self.taken, self.open, self.told) = (to, false, None);
        self.tail.clear();
    }
}
