//! What taking in output needs, and what it finds.

use super::{
    early::Early,
    machine::{Items, Redactor, Rules},
};
use crate::{
    clock,
    model::{Evidence, Stream, Timestamp},
};

/// What taking in output needs besides the bytes.
pub(crate) struct Intake<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) items: Option<&'a Items>,
    pub(crate) redactor: &'a Redactor,
    pub(crate) max_line: usize,
    pub(crate) now: Timestamp,
    pub(crate) number: &'a mut u64,
    /// What is still to be reported before the end; `None` when nothing was asked for.
    pub(crate) early: Option<&'a mut Early>,
}

/// What was found in one reading.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) hits: Vec<(usize, Evidence)>,
    /// Lines that were reported before they were finished, as they are now.
    pub(crate) told: Vec<(usize, Evidence)>,
    pub(crate) lines: u64,
}

impl Intake<'_> {
    /// The evidence that this line of the stream gives by the rule.
    pub(crate) fn evidence(&self, rule: usize, line: &[u8], stream: Stream, seq: u64) -> Evidence {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let mut shown = String::from_utf8_lossy(text.get(..Evidence::MAX_BYTES).unwrap_or(text)).into_owned();
        while shown.len() > Evidence::MAX_BYTES {
            shown.pop();
        }
        let known = self.rules.list().get(rule);
        Evidence {
            class: known.map_or_else(String::new, |rule| rule.class.to_string()),
            rule: known.map_or_else(String::new, |rule| rule.name.to_string()),
            line: shown,
            stream: Some(stream),
            seq,
            at: self.now,
            retry_after_ms: self.rules.retry_after_ms(rule, text, Timestamp(clock::wall_ms())),
            preferred: None,
        }
    }
}
