//! "Why?", in sentences: from the journal's records, from what stands now, and from what Retry and the breakers say
//! would follow.
//!
//! The Manager gathers [`Facts`] of a run, or an [`Overview`] of a program, in one moment; this room turns them into an
//! [`Explanation`] and decides nothing.
//!
//! # Promises
//! - Every sentence is from something that was written down, or from the rules that will decide: a forecast asks the
//!   same machine as the decision will.
//! - What can be done is [`Advice`]: an act as data. Commands are words of the command line, calls those of an application.
//!
//! # Rejected
//! - *Sentences with commands in them.* They named those of the example to the users of every application.
//! - *A part of the Manager's machine*, where it was first: 1,100 lines that decide nothing stood between those that do.

mod advice;
mod ahead;
mod answer;
mod facts;
mod overview;
mod story;
mod words;

pub(crate) use self::facts::forecast;
pub use self::{
    advice::{Act, Advice},
    answer::{Explanation, Forecast, Foreseen, RunInShort, Sentence},
    facts::Facts,
    overview::Overview,
};

use self::words::{about, failure, nth, seconds};
use crate::{
    breaker::BreakerStatus,
    model::{BreakerState, EndReason, HeldReason, JournalRecord, Phase, Run, Timestamp, say_duration_ms},
    retry::Outlook,
};

/// Explains a run from its own records, those of the scopes that gate it, and those of siblings that changed what
/// they share with it. `outlook` is Retry's answer to [`Facts::forecast`]; `breakers` are those that gate the run.
#[must_use]
pub fn explain(
    facts: &Facts,
    records: &[JournalRecord],
    outlook: Option<&Outlook>,
    breakers: &[BreakerStatus],
    now: Timestamp,
) -> Explanation {
    let run = &facts.run;
    let over = run.phase.is_ended();
    Explanation {
        summary: summary(run),
        runs: Vec::new(),
        // The breakers of a run that is over do not hold it back any more.
        breakers: if over { Vec::new() } else { ahead::breakers(facts, breakers, now) },
        chain: story::chain(run, records),
        holds: holds(facts, breakers, now),
        next: next(facts, breakers, now),
        forecast: outlook
            .filter(|_| !over)
            .and_then(|outlook| ahead::forecast(facts, outlook, breakers, now)),
        advice: advice::about_run(run),
    }
}

fn summary(run: &Run) -> String {
    format!("{} run {} {}", run.program, run.id.short(), state(run))
}

/// Where a run stands and what its last failure was: the rest of a sentence about it.
fn state(run: &Run) -> String {
    let after = match run.attempt {
        0 => "before its first attempt".to_owned(),
        1 => "after 1 attempt".to_owned(),
        n => format!("after {n} attempts"),
    };
    let what = match run.phase {
        Phase::Queued => format!("waits in line {after}"),
        Phase::Blocked => format!("is held back {after}"),
        Phase::Backoff if run.quarantined => format!("is quarantined for a time {after}"),
        Phase::Backoff => format!("waits for its next attempt {after}"),
        Phase::Starting => format!("is starting attempt {}", run.attempt),
        Phase::Running => format!("is running, attempt {}", run.attempt),
        Phase::Stopping => format!("is being stopped, attempt {}", run.attempt),
        Phase::Succeeded => format!("succeeded {after}"),
        Phase::Failed => format!("failed {after}"),
        Phase::Stopped => format!("was stopped {after}"),
        Phase::Quarantined if run.end_reason == Some(EndReason::KeeperLost) => {
            format!("is quarantined {after}: the keeper died each time soon after its start")
        }
        Phase::Quarantined => {
            format!("is quarantined {after}: it was started again too often in too short a time")
        }
    };
    match (&run.reason, run.phase) {
        (None, _) | (_, Phase::Succeeded) => what,
        (Some(reason), Phase::Failed) => format!("{what}, with {}", failure(reason)),
        (Some(reason), _) => format!("{what}; its last failure was {}", failure(reason)),
    }
}

fn holds(facts: &Facts, breakers: &[BreakerStatus], now: Timestamp) -> Option<String> {
    let held = facts.run.held.as_ref()?;
    let waited = say_duration_ms(seconds(now.since(held.since)));
    let place = match facts.line {
        Some((_, 1)) | None => String::new(),
        Some((place, of)) => format!("; it is {} of {of} in line", nth(place)),
    };
    let scope = held.scope.as_ref();
    // What the sentence about the breaker says need not be said again.
    let told =
        breakers.iter().any(|status| Some(&status.scope) == scope && status.state != BreakerState::Closed);
    let why = if told { String::new() } else { format!(" ({})", held.why) };
    Some(match (held.reason, scope) {
        (HeldReason::Breaker, Some(scope)) => format!("the breaker {scope}, for {waited} now{why}{place}"),
        (HeldReason::Breaker, None) => format!("a breaker, for {waited} now{why}{place}"),
        (HeldReason::Budget, _) => format!("the retry budget, for {waited} now{why}{place}"),
        (HeldReason::Concurrency, _) => format!("{}, for {waited} now{place}", held.why),
    })
}

fn when(at: Timestamp, now: Timestamp) -> String {
    match at.since(now) {
        0 => "now".to_owned(),
        ms => format!("in {}", about(ms)),
    }
}

fn next(facts: &Facts, breakers: &[BreakerStatus], now: Timestamp) -> String {
    let run = &facts.run;
    let ago = |since: Timestamp| say_duration_ms(seconds(now.since(since)));
    let silent = facts.keeper_silent_since.filter(|_| run.phase.has_process());
    let silent = silent.map(|since| format!("the keeper does not answer since {}; ", ago(since)));
    let waits = facts.output_waits.as_ref().filter(|_| run.phase.has_process());
    let waits = waits.map(|(since, why)| format!("its output waits, for {} now: {why}; ", ago(*since)));
    let then = planned(facts, breakers, now);
    format!("{}{}{then}", silent.unwrap_or_default(), waits.unwrap_or_default())
}

fn planned(facts: &Facts, breakers: &[BreakerStatus], now: Timestamp) -> String {
    let run = &facts.run;
    match run.phase {
        Phase::Queued => format!("attempt {} starts when a place is free", run.attempt + 1),
        Phase::Starting => "its process is being started".into(),
        Phase::Running => ahead::while_it_runs(facts, now),
        Phase::Stopping => "its processes are being stopped".into(),
        Phase::Backoff => ahead::when_it_is_due(facts, breakers, now),
        Phase::Blocked => ahead::when_it_is_let_through(facts, breakers, now),
        Phase::Succeeded => "nothing: it is done".into(),
        Phase::Failed | Phase::Stopped | Phase::Quarantined
            if run.end_reason == Some(EndReason::ProgramRemoved) =>
        {
            "nothing: its program was removed from the configuration".into()
        }
        Phase::Stopped if facts.holds_autostart => {
            "nothing, until somebody starts it again: it was stopped by an operator, which autostart does not undo"
                .into()
        }
        Phase::Failed | Phase::Stopped | Phase::Quarantined => {
            "nothing, until somebody starts it again".into()
        }
    }
}
