//! What is to be reported once of an attempt before its end. An attempt has none of this when nothing was asked for,
//! or everything was reported.

use super::{
    machine::{Cut, ReadyLine},
    messages::{Report, Watch},
    rulebook::Rulebook,
};
use crate::model::{AttemptId, Stream, Timestamp};
use std::sync::Arc;

/// What is still to be reported.
pub(crate) struct Early {
    ready: Option<Arc<ReadyLine>>,
    first_output: bool,
    /// The latest time at which the output being looked at may have been written.
    pub(crate) written_at: Timestamp,
    ready_at: Option<Timestamp>,
}

impl Early {
    /// `None` when nothing was asked for.
    pub(crate) fn of(watch: &Watch, rules: &mut Rulebook) -> Option<Box<Self>> {
        let ready = watch.program.ready.as_ref().and_then(|rule| rules.ready(&watch.program, rule));
        let first_output = watch.first_output;
        let asked = ready.is_some() || first_output;
        asked.then(|| Box::new(Self { ready, first_output, written_at: Timestamp(0), ready_at: None }))
    }

    /// Looks at the lines of a piece.
    pub(crate) fn look(&mut self, bytes: &[u8], lines: &Cut, stream: Stream) {
        if self.ready.as_ref().is_some_and(|ready| ready.is_in(bytes, lines, stream)) {
            (self.ready, self.ready_at) = (None, Some(self.written_at));
        }
    }

    /// Looks at an unfinished line.
    pub(crate) fn look_at_line(&mut self, line: &[u8], stream: Stream) {
        if self.ready.as_ref().is_some_and(|ready| ready.is_on(stream) && ready.is_line(line)) {
            (self.ready, self.ready_at) = (None, Some(self.written_at));
        }
    }

    /// The reports of one turn. `grew`: there was output.
    pub(crate) fn reports(&mut self, attempt: AttemptId, grew: bool) -> impl Iterator<Item = Report> {
        let first_output = grew && std::mem::take(&mut self.first_output);
        let first_output = first_output.then_some(Report::FirstOutput { attempt });
        let ready = self.ready_at.take().map(|at| Report::Ready { attempt, at });
        first_output.into_iter().chain(ready)
    }

    /// Whether nothing is left to report.
    pub(crate) const fn is_over(&self) -> bool {
        self.ready.is_none() && !self.first_output
    }
}
