//! An unfinished line, whose end has not been written yet: what it shows, and what may be seen of it.

use super::{
    feed::Feed,
    intake::Intake,
    machine::{Items, Redactor, plain},
};
use crate::model::{AttemptId, Evidence, Stream};
use std::sync::Arc;

impl Feed {
    /// The unfinished line as evidence, if it shows a class: a process that dies does not finish its line.
    pub(crate) fn unfinished_hit(&self, intake: &Intake<'_>) -> Option<(usize, Evidence)> {
        if self.tail.is_empty() {
            return None;
        }
        let whole = intake.redactor.line(&self.tail);
        let text = plain(&whole);
        let rule = intake.rules.line(&text, self.stream)?;
        let evidence = intake.evidence(rule, &text, self.stream, self.next_seq);
        // What may be the beginning of a secret decides nothing, but would be reported.
        let (shown, _) = intake.redactor.unfinished(&self.tail);
        let line = intake.evidence(rule, &plain(&shown), self.stream, self.next_seq).line;
        Some((rule, Evidence { line, ..evidence }))
    }

    /// Whether there is an unfinished line whose latest bytes were not looked at.
    pub(crate) fn is_unlooked(&self) -> bool {
        !self.tail.is_empty() && self.looked_to < self.read_to()
    }

    /// Looks at the unfinished line as if it ended here. Returns what it shows, unless the same was reported before.
    pub(crate) fn look(&mut self, intake: &mut Intake<'_>) -> Option<(usize, Evidence)> {
        self.looked_to = self.read_to();
        if let Some(early) = &mut intake.early {
            early.look_at_line(&plain(&intake.redactor.line(&self.tail)), self.stream);
        }
        let (rule, evidence) = self.unfinished_hit(intake)?;
        let class = &intake.rules.list().get(rule)?.class;
        if self.told.as_ref().is_some_and(|told| told == class) {
            return None;
        }
        self.told = Some(class.clone());
        Some((rule, evidence))
    }

    /// The number of items, with those that the unfinished line tells of.
    pub(crate) fn items_by_now(&self, items: &Items, redactor: &Redactor) -> u64 {
        if self.tail.is_empty() {
            return self.items;
        }
        items.in_line(self.items, &plain(&redactor.line(&self.tail)))
    }

    /// The unfinished line: what may be shown of it, where it begins, how many bytes that stands for, and its number.
    pub(crate) fn unfinished(&self, redactor: &Redactor) -> Option<Unfinished> {
        if self.tail.is_empty() {
            return None;
        }
        let (bytes, length) = redactor.unfinished(&self.tail);
        (length > 0).then(|| Unfinished {
            attempt: self.attempt,
            stream: self.stream,
            program: self.program.clone(),
            bytes,
            from: self.taken,
            to: self.taken + length as u64,
            seq: self.next_seq,
        })
    }
}

/// A line whose end has not been written yet.
#[derive(Clone, Debug)]
pub(crate) struct Unfinished {
    pub(crate) attempt: AttemptId,
    pub(crate) stream: Stream,
    pub(crate) program: Arc<str>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) seq: u64,
}
