//! What follows the end of an attempt: another attempt after a delay, or none.

use super::{
    decision::{Decision, End, Outcome},
    jitter,
    law::{Curves, Law},
    params::{Incident, Shared},
    streak::Streak,
    why::{Wait, Why, nth_failure},
};
use crate::model::{
    Class, EndReason, OnLost, Phase, Restart, RetryTerms, Scope, Timestamp, format_duration_ms,
    say_duration_ms,
};
use std::borrow::Cow;

/// All that a decision needs beside the run's own streak, which is changed in place.
pub(super) struct Judge<'a> {
    pub(super) seed: u64,
    pub(super) curves: &'a mut Curves,
    pub(super) shared: &'a Shared,
}

/// A failure, as far as it can be computed before it is known whether another attempt follows.
struct Failure<'a> {
    incident: Incident<'a>,
    terms: RetryTerms,
    hint_ms: Option<u64>,
}

impl Failure<'_> {
    /// The class in a form that can be kept; the name of a built-in class is not copied.
    fn kept_class(&self) -> Cow<'static, str> {
        self.terms.builtin.map_or_else(|| Cow::Owned(self.incident.class.to_owned()), Cow::Borrowed)
    }
}

impl Judge<'_> {
    /// Decides what follows, and for what parameters are adjusted if the attempt failed.
    pub(super) fn decide<'e>(
        &mut self,
        now: Timestamp,
        end: End<'e>,
        streak: &mut Streak,
    ) -> (Decision, Option<Incident<'e>>) {
        let (class, hint_ms) = match end.outcome {
            Outcome::Success => return (self.after_success(now, end, streak), None),
            Outcome::Failed { class, retry_after_ms } => (class.as_str(), *retry_after_ms),
        };
        match (class, end.program.on_lost) {
            (Class::CLEAN_EXIT, _) | (Class::LOST, OnLost::Success) => {
                return (self.after_success(now, end, streak), None);
            }
            (Class::LOST, OnLost::Fail) => {
                let why = "its end was not seen, and on_lost = \"fail\"".to_owned();
                return (gave_up(EndReason::Exit, why), None);
            }
            _ => {}
        }
        let (terms, adjust) = end.program.retry_terms(class);
        let incident = Incident { program: end.program, base: end.base, class, adjust };
        let failure = Failure { incident, terms, hint_ms };
        (self.after_failure(now, end, &failure, streak), Some(incident))
    }

    fn after_success(&mut self, now: Timestamp, end: End<'_>, streak: &mut Streak) -> Decision {
        if !end.program.is_daemon() {
            return Decision::Done { why: "it ended with success".into() };
        }
        streak.uncounted = 0;
        let (terms, _) = end.program.retry_terms(Class::CLEAN_EXIT);
        let law = Law::of(&end.program.retry, &terms);
        let wait = self.wait(end, &law, 1, None, streak);
        let quarantine = quarantined(now, now.plus(wait.delay_ms), end, streak);
        if let Some(Quarantine::ForGood(decision)) = quarantine {
            return decision;
        }
        streak.automatic = true;
        streak.cost_permille = terms.cost_permille;
        if let Some(Quarantine::Until { until, raw_ms, why }) = quarantine {
            let (delay_ms, why) = (until.since(now), why.into());
            return Decision::RetryAt { at: until, n: streak.n, raw_ms, delay_ms, why };
        }
        wait.retry(now, streak.n, Why::clean_end(end.uptime_ms, wait))
    }

    fn after_failure(
        &mut self,
        now: Timestamp,
        end: End<'_>,
        failure: &Failure<'_>,
        streak: &mut Streak,
    ) -> Decision {
        let (policy, class) = (&end.program.retry, failure.incident.class);
        if end.program.restart == Restart::No {
            return gave_up(EndReason::Exit, format!("it failed ({class}), and restart = \"no\""));
        }
        if !failure.terms.retry {
            let name = &end.program.name;
            let why = format!(
                "trying again cannot help against {class} (retry = false; [program.{name}.classes.{class}] retry = true changes that)"
            );
            return gave_up(EndReason::NotRetryable, why);
        }
        let place = streak.count(failure.terms.counts, now);
        let limit = end.program.max_retries();
        if let Some(limit) = limit.filter(|limit| failure.terms.counts && place > *limit) {
            let why = format!("{} ({class}); max_retries = {limit} allows no more", nth_failure(place));
            return gave_up(EndReason::MaxRetries, why);
        }
        if let Some(limit) = failure.terms.max_retries {
            let count = streak.count_class(class);
            if count > limit {
                let why = format!(
                    "{} by {class}; max_retries = {limit} of this class allows no more",
                    nth_failure(count)
                );
                return gave_up(EndReason::MaxRetries, why);
            }
        }
        if let Some((name, value)) = self.shared.ends_at_floor(&failure.incident, streak) {
            let why =
                format!("it failed ({class}) with {name} at its floor {value}, and on_floor = \"give_up\"");
            return gave_up(EndReason::NotRetryable, why);
        }
        let law = Law::of(policy, &failure.terms);
        let wait = self.wait(end, &law, place, failure.hint_ms, streak);
        let quarantine = quarantined(now, now.plus(wait.delay_ms), end, streak);
        let at = match &quarantine {
            Some(Quarantine::Until { until, .. }) => *until,
            Some(Quarantine::ForGood(_)) | None => now.plus(wait.delay_ms),
        };
        if let Some(decision) = beyond_max_failing(now, at, end, class, streak) {
            return decision;
        }
        if let Some(Quarantine::ForGood(decision)) = quarantine {
            return decision;
        }
        streak.automatic = true;
        streak.cost_permille = failure.terms.cost_permille;
        streak.previous_ms = Some(wait.drawn_ms);
        if let Some(Quarantine::Until { until, raw_ms, why }) = quarantine {
            let (delay_ms, why) =
                (until.since(now), format!("{} ({class}); {why}", nth_failure(place)).into());
            return Decision::RetryAt { at: until, n: streak.n, raw_ms, delay_ms, why };
        }
        wait.retry(now, streak.n, Why::failure(failure.kept_class(), place, failure.terms.counts, wait))
    }

    fn wait(
        &mut self,
        end: End<'_>,
        law: &Law,
        place: u32,
        hint_ms: Option<u64>,
        streak: &mut Streak,
    ) -> Wait {
        let policy = &end.program.retry;
        let raw_ms = self.curves.raw(law, place);
        let u = jitter::draw(self.seed, end.run, streak.draws);
        streak.draws = streak.draws.wrapping_add(1);
        let drawn_ms = jitter::spread(policy.jitter, law, raw_ms, streak.previous_ms, u);
        let hint = hint_ms.map(|asked| (asked, policy.retry_after_max_ms));
        let delay_ms = drawn_ms.max(hint.map_or(0, |(asked, most)| asked.min(most)));
        Wait { raw_ms, drawn_ms, delay_ms, hint }
    }
}

impl Wait {
    const fn retry(&self, now: Timestamp, n: u32, why: Why) -> Decision {
        Decision::RetryAt {
            at: now.plus(self.delay_ms),
            n,
            raw_ms: self.raw_ms,
            delay_ms: self.delay_ms,
            why,
        }
    }
}

const fn gave_up(reason: EndReason, why: String) -> Decision {
    Decision::GiveUp { phase: Phase::Failed, reason, why }
}

/// Whether the next attempt would be later than `max_failing` allows.
fn beyond_max_failing(
    now: Timestamp,
    at: Timestamp,
    end: End<'_>,
    class: &str,
    streak: &Streak,
) -> Option<Decision> {
    let (first, longest) = (streak.first_failure?, end.program.retry.max_failing_ms?);
    (at.since(first) > longest).then(|| {
        let why = format!(
            "it has failed for {}, and the next attempt in {} ({class}) would be later than max_failing = {}",
            say_duration_ms(now.since(first)),
            say_duration_ms(at.since(now)),
            format_duration_ms(longest)
        );
        gave_up(EndReason::Deadline, why)
    })
}

/// What becomes of the run when this start would be one too many, with the time of its next start where it gets one;
/// `None` when the start may be made.
fn quarantined(now: Timestamp, at: Timestamp, end: End<'_>, streak: &mut Streak) -> Option<Quarantine> {
    // Done also where nothing is limited any more: a mark that stays would call the next plain wait a quarantine.
    let was_on_probation = std::mem::take(&mut streak.probation);
    let limit = end.program.retry.intensity?;
    let failed_probation = was_on_probation && left_alone(end).is_some();
    let full = streak.rest.get().starts.is_full_at(at, limit);
    if !full && !failed_probation {
        return None;
    }
    let because = if full {
        format!(
            "{} automatic restarts within {} are the most that intensity allows",
            limit.restarts,
            format_duration_ms(limit.window_ms)
        )
    } else {
        "the start after its quarantine failed".to_owned()
    };
    let Some((ms, whose)) = left_alone(end) else {
        let why = format!("{because}; an operator may start it again");
        return Some(Quarantine::ForGood(Decision::GiveUp {
            phase: Phase::Quarantined,
            reason: EndReason::Intensity,
            why,
        }));
    };
    streak.probation = true;
    let until = now.plus(ms).max(streak.rest.get().starts.free_at(limit)).max(at);
    let time = say_duration_ms(until.since(now));
    let by = whose.map_or_else(String::new, |scope| format!(" by {scope}"));
    let why = format!("{because}; quarantined for {time}{by}, then one start");
    Some(Quarantine::Until { until, raw_ms: ms, why })
}

/// How long a run is quarantined that was started too often, in milliseconds, and the scope that asks for it; the
/// scope is `None` when the run's own program asks for as long.
fn left_alone(end: End<'_>) -> Option<(u64, Option<&Scope>)> {
    let own = end.program.retry.quarantine_ms;
    match end.quarantine {
        Some((scope, ms)) if own.is_none_or(|own| own < *ms) => Some((*ms, Some(scope))),
        Some(_) | None => Some((own?, None)),
    }
}

/// What becomes of a run that was started too often.
enum Quarantine {
    /// The run ends.
    ForGood(Decision),
    /// The run gets one start at `until`.
    Until { until: Timestamp, raw_ms: u64, why: String },
}
