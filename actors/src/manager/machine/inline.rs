//! Errors of an attempt that lives on: counted by class, and acted on when so many have come within a time.

use super::{Machine, StopCause};
use crate::{
    model::{
        AttemptId, Event, Evidence, Inline, InlineAction, RunId, StopAct, Timestamp, format_duration_ms,
    },
    retry,
};
use std::collections::{BTreeMap, VecDeque};

/// Errors of one attempt by class, the older ones first. Only classes that act are kept, and of each at most as many
/// entries as it takes to act.
#[derive(Debug, Default)]
pub(super) struct Errors(BTreeMap<String, VecDeque<(Timestamp, u64)>>);

impl Errors {
    /// So many more at this time; whether that is enough to act. Those who acted are counted anew.
    fn are_enough(&mut self, class: &str, rule: Inline, at: Timestamp, count: u64) -> bool {
        let seen = self.0.entry(class.to_owned()).or_default();
        let at = seen.back().map_or(at, |(last, _)| at.max(*last));
        seen.push_back((at, count));
        while seen.front().is_some_and(|(first, _)| at.since(*first) >= rule.per_ms) {
            seen.pop_front();
        }
        let sum = seen.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        let enough = sum >= u64::from(rule.count);
        if enough {
            seen.clear();
        }
        enough
    }
}

/// What is known of an attempt's last error is a second old at most. Errors that come faster, and that no rule acts on,
/// are counted for people and decided upon by nobody: they need not be recorded.
const ERROR_NOTED_MS: u64 = 1_000;

/// Whether a decision may depend on this error.
fn is_of_note(live: &super::Live, evidence: &Evidence) -> bool {
    let acts = |rule: Inline| rule.action != InlineAction::None;
    live.error_at.is_none_or(|at| evidence.at.since(at) >= ERROR_NOTED_MS)
        || live.program.class_rule(&evidence.class).inline.is_some_and(acts)
}

impl Machine {
    /// Whether a decision may depend on this error of a living attempt.
    pub fn is_of_note(&self, attempt: AttemptId, evidence: &Evidence) -> bool {
        self.runs.attempt(attempt).is_some_and(|live| is_of_note(live, evidence))
    }

    pub(super) fn error_seen(&mut self, attempt: AttemptId, evidence: &Evidence, count: u64) {
        let Some(live) = self.runs.attempt_mut(attempt) else {
            return; // Its end told how many errors it had.
        };
        let of_note = is_of_note(live, evidence);
        if of_note {
            live.error_at = Some(evidence.at);
        }
        live.run.counts.errors += count;
        let class = evidence.class.as_str();
        let rule = live.program.class_rule(class).inline;
        let acts = live.stage == super::Stage::Running && live.stop.is_none();
        let Some(rule) = rule.filter(|rule| acts && rule.action != InlineAction::None) else { return };
        if live.errors.are_enough(class, rule, evidence.at, count) {
            self.act_on_errors(attempt.run, evidence, rule);
        }
    }

    fn act_on_errors(&mut self, run: RunId, evidence: &Evidence, rule: Inline) {
        let Some(live) = self.runs.live_mut(run) else { return };
        let cause = match rule.action {
            InlineAction::None => return,
            InlineAction::Adjust => {
                let (program, base) = (live.program.clone(), live.run.params.clone());
                let class = evidence.class.clone();
                self.ask_retry(retry::Ask::Adjust { run, program, base, class });
                return;
            }
            InlineAction::Restart => StopCause::Errors,
            InlineAction::Stop => StopCause::TooManyErrors,
        };
        // What ended the attempt is known already; its output is asked no more.
        live.evidence = Some(evidence.clone());
        let action = if cause == StopCause::Errors { "restart" } else { "stop" };
        let (class, per) = (&evidence.class, format_duration_ms(rule.per_ms));
        let why = format!(
            "{class} was seen {} times within {per} while it ran; inline.action = \"{action}\"",
            rule.count
        );
        self.record_run(run, true, None, Event::StopRequested { act: Some(StopAct::Rule), by: None, why });
        self.stop_for(run, cause);
    }

    /// Parameters changed while a run went on.
    pub(super) fn changed(&mut self, run: RunId, change: retry::Change) {
        let retry::Change { events, saved, .. } = change;
        let news = !events.is_empty();
        self.ledger.save(saved);
        for (scope, event) in events {
            self.record_run(run, true, scope, event);
        }
        self.commit(news);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_within_the_time_act_once_and_are_counted_anew() {
        let rule = Inline { count: 5, per_ms: 60_000, action: InlineAction::Restart };
        let mut errors = Errors::default();
        let mut at = |ms, count| errors.are_enough("rate_limited", rule, Timestamp(ms), count);
        assert!(!at(0, 4));
        assert!(!at(60_000, 4), "those of a minute ago are too old");
        assert!(at(60_001, 1));
        assert!(!at(60_002, 4), "counted anew");
        assert!(at(60_003, 100));
    }

    #[test]
    fn classes_are_counted_apart() {
        let rule = Inline { count: 2, per_ms: 60_000, action: InlineAction::Stop };
        let mut errors = Errors::default();
        assert!(!errors.are_enough("network", rule, Timestamp(0), 1));
        assert!(!errors.are_enough("upstream", rule, Timestamp(0), 1));
        assert!(errors.are_enough("network", rule, Timestamp(0), 1));
    }
}
