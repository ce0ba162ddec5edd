//! "Why?", in sentences: from the journal's records and the run as it stands.

use crate::{
    manager::{Explanation, Sentence},
    model::{EndReason, Event, HeldReason, JournalRecord, Params, Phase, Run, Timestamp, format_duration_ms},
};

/// Explains a run from its own records and those of the scopes that gate it.
#[must_use]
pub fn explain(run: &Run, records: &[JournalRecord], now: Timestamp) -> Explanation {
    let chain = records
        .iter()
        .filter_map(|record| sentence(record).map(|text| Sentence { at: record.at, seq: record.seq, text }))
        .collect();
    Explanation {
        summary: summary(run),
        chain,
        holds: holds(run, now),
        next: next(run, now),
        help: help(run),
    }
}

fn summary(run: &Run) -> String {
    let attempts = match run.attempt {
        0 => "no attempt yet".to_owned(),
        1 => "1 attempt".to_owned(),
        n => format!("{n} attempts"),
    };
    let reason = match &run.reason {
        Some(reason) if run.phase != Phase::Succeeded => {
            format!(": {} ({})", reason.class, quoted(&reason.message))
        }
        Some(_) | None => String::new(),
    };
    format!("{} run {} is {} after {attempts}{reason}", run.program, run.id.short(), run.phase.name())
}

fn holds(run: &Run, now: Timestamp) -> Option<String> {
    let held = run.held.as_ref()?;
    let by = match held.reason {
        HeldReason::Breaker => "a breaker",
        HeldReason::Budget => "the retry budget",
        HeldReason::Concurrency => "max_concurrent",
    };
    let scope = held.scope.as_ref().map(|scope| format!(" of {scope}")).unwrap_or_default();
    let since = format_duration_ms(seconds(now.since(held.since)));
    Some(format!("{by}{scope} has held it for {since}: {}", held.why))
}

fn next(run: &Run, now: Timestamp) -> String {
    let when = |at: Timestamp| match at.since(now) {
        0 => "now".to_owned(),
        ms => format!("in {}", format_duration_ms(if ms < 1_000 { ms } else { seconds(ms) })),
    };
    match run.phase {
        Phase::Queued => "it starts when one of the program's runs ends".into(),
        Phase::Starting => "its process is being started".into(),
        Phase::Running => "it runs; nothing is planned until it ends".into(),
        Phase::Stopping => "its processes are being stopped".into(),
        Phase::Backoff => match run.next_attempt_at {
            Some(at) => format!("attempt {} starts {}", run.attempt + 1, when(at)),
            None => format!("attempt {} is about to start", run.attempt + 1),
        },
        Phase::Blocked => match run.next_attempt_at {
            Some(at) => format!("attempt {} asks the breaker again {}", run.attempt + 1, when(at)),
            None => format!("attempt {} waits until the breaker lets it through", run.attempt + 1),
        },
        Phase::Succeeded => "nothing: it is done".into(),
        Phase::Failed | Phase::Stopped | Phase::Quarantined => "nothing, until somebody starts it".into(),
    }
}

fn help(run: &Run) -> Option<String> {
    let reason = run.reason.as_ref().map(|reason| reason.help.clone()).filter(|help| !help.is_empty());
    match (run.phase, run.end_reason) {
        (Phase::Quarantined, _) => {
            Some(format!("find out why it ends so fast, then: supervise start {}", run.id.short()))
        }
        (Phase::Failed, Some(EndReason::MaxRetries | EndReason::Deadline)) => {
            reason.or_else(|| Some(format!("look at its output, then: supervise retry {}", run.id.short())))
        }
        (Phase::Failed, _) => reason,
        _ => None,
    }
}

/// Sub-second digits say nothing in a sentence about seconds.
const fn seconds(ms: u64) -> u64 {
    ms / 1_000 * 1_000
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn list(params: &Params) -> String {
    let texts: Vec<_> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if texts.is_empty() { String::new() } else { format!(" with {}", texts.join(" ")) }
}

/// What one record says, or nothing when it adds nothing to the story.
fn sentence(record: &JournalRecord) -> Option<String> {
    let attempt = record.attempt.map(|n| format!("attempt {n}")).unwrap_or_default();
    let scope = record.scope.as_ref().map(ToString::to_string).unwrap_or_default();
    Some(match &record.event {
        Event::RunQueued { params, requested_by } => {
            let by = requested_by.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
            format!("asked for{by}{}", list(params))
        }
        Event::AttemptStarted { params, probe } => {
            let probe = if *probe { ", as a probe of a half-open breaker" } else { "" };
            format!("{attempt} started{}{probe}", list(params))
        }
        Event::AttemptSpawned { .. } | Event::ProgramConfigured { .. } => return None,
        Event::AttemptEnded { exit, signal, spawn_error, class, rule, line, lasted_ms, output_complete } => {
            let how = match (exit, signal, spawn_error) {
                (_, _, Some(errno)) => format!("could not be started ({errno})"),
                (Some(code), _, _) => {
                    format!("ended with exit {code} after {}", format_duration_ms(*lasted_ms))
                }
                (_, Some(signal), _) => {
                    format!("was ended by {signal} after {}", format_duration_ms(*lasted_ms))
                }
                (None, None, None) => "ended unseen".to_owned(),
            };
            let what = match (class, rule) {
                (None, _) => ": success".to_owned(),
                (Some(class), Some(rule)) => format!(": {class} by rule {rule}"),
                (Some(class), None) => format!(": {class}"),
            };
            let line = line.as_ref().map(|line| format!(", from {}", quoted(line))).unwrap_or_default();
            let incomplete = if *output_complete { "" } else { " (its output could not be read in time)" };
            format!("{attempt} {how}{what}{line}{incomplete}")
        }
        Event::RetryScheduled { delay_ms, why, .. } => {
            format!("next attempt in {}: {why}", format_duration_ms(*delay_ms))
        }
        Event::StartBlocked { reason: HeldReason::Breaker, why, .. } => {
            format!("start held back by {scope}: {why}")
        }
        Event::StartBlocked { why, .. } => format!("start held back: {why}"),
        Event::BreakerChanged { from, to, why, .. } => format!("breaker {scope} went {from} → {to}: {why}"),
        Event::ProbeExpired { .. } => {
            format!("the probe of {scope} kept its permit for too long and lost it")
        }
        Event::LateOutcome { why } => format!("an outcome for {scope} came too late to count: {why}"),
        Event::ParamChanged { name, from, to, why } => format!("{name} {from} → {to}: {why}"),
        Event::ParamExhausted { name, value } => {
            format!("{name} stays at its floor {value}, and it still fails")
        }
        Event::LeftoversFound { action } => {
            format!("processes of {attempt} outlived their leader; leftovers = \"{action}\"")
        }
        Event::StopRequested { by, why } => {
            let by = by.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
            format!("a stop was requested{by}: {why}")
        }
        Event::RunEnded { phase, why, .. } => format!("{}: {why}", phase.name()),
        Event::SupervisorRestarted { down_ms, clean } => {
            let how = if *clean { "after an orderly end" } else { "after its death" };
            format!("the supervisor came back {how}; it was away for {}", format_duration_ms(*down_ms))
        }
        Event::KeeperLost { why, .. } => format!("the keeper died: {why}"),
        Event::ActorRestarted { actor, why } => format!("the {actor} was started again: {why}"),
    })
}
