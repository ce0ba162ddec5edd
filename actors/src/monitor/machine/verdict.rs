//! Which class an end has.

use super::classify::Rules;
use crate::model::{Class, Evidence, ExitStatus, Timestamp};
use std::collections::BTreeMap;

/// Errors older than this at the end did not cause it: resilience.md gives the attempt's last minute.
const WINDOW_MS: u64 = 60_000;

/// What the output of an attempt has shown: for each rule its newest line.
#[derive(Clone, Debug, Default)]
pub struct Seen(BTreeMap<usize, Evidence>);

impl Seen {
    /// A line matched this rule.
    pub fn note(&mut self, rule: usize, evidence: Evidence) {
        self.0.insert(rule, evidence);
    }

    /// The class of an end at this time, and what shows it: the first rule in order among those seen in the last minute
    /// and those that match the end. Nothing for success.
    #[must_use]
    pub fn verdict(
        &self,
        rules: &Rules,
        exit: ExitStatus,
        success_codes: &[i32],
        now: Timestamp,
    ) -> Option<Evidence> {
        if matches!(exit, ExitStatus::Code(code) if success_codes.contains(&code)) {
            return None;
        }
        for (index, rule) in rules.list().iter().enumerate() {
            if let Some(line) = self.0.get(&index).filter(|line| now.since(line.at) <= WINDOW_MS) {
                return Some(line.clone());
            }
            // Nobody saw that end: no rule by exit can know it.
            if exit != ExitStatus::Unknown && rules.matches_exit(index, exit) {
                return Some(by_exit(&rule.class, &rule.name, now));
            }
        }
        Some(by_exit(Class::LOST, "end_not_seen", now))
    }
}

fn by_exit(class: &str, rule: &str, at: Timestamp) -> Evidence {
    Evidence {
        class: class.to_owned(),
        rule: rule.to_owned(),
        line: String::new(),
        stream: None,
        seq: 0,
        at,
        retry_after_ms: None,
    }
}
