//! "Why?", in sentences: from the journal's records and the run as it stands.

use crate::{
    manager::{Explanation, Sentence},
    model::{
        Class, EndReason, Event, HeldReason, JournalRecord, Params, Phase, Run, Timestamp, say_duration_ms,
    },
};

/// Explains a run from its own records, those of the scopes that gate it, and those of siblings that changed what they
/// share with it.
#[must_use]
pub fn explain(run: &Run, records: &[JournalRecord], now: Timestamp) -> Explanation {
    let first = records.iter().position(|record| matches!(record.event, Event::RunQueued { .. }));
    let chain = records
        .iter()
        .enumerate()
        .filter_map(|(place, record)| {
            let again = first.is_some_and(|first| place > first);
            let text = sentence(record, again)?;
            let text = match record.run {
                Some(other) if other != run.id => {
                    let program = record.program.as_deref().unwrap_or("another");
                    format!("{program} run {} failed and changed it for all: {text}", other.short())
                }
                _ => text,
            };
            Some(Sentence { at: record.at, seq: record.seq, text })
        })
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
    let who = format!("{} run {}", run.program, run.id.short());
    let after = match run.attempt {
        0 => "before its first attempt".to_owned(),
        1 => "after 1 attempt".to_owned(),
        n => format!("after {n} attempts"),
    };
    let what = match run.phase {
        Phase::Queued => format!("waits in line {after}"),
        Phase::Blocked => format!("is held back {after}"),
        Phase::Backoff => format!("waits for its next attempt {after}"),
        Phase::Starting => format!("is starting attempt {}", run.attempt),
        Phase::Running => format!("is running, attempt {}", run.attempt),
        Phase::Stopping => format!("is being stopped, attempt {}", run.attempt),
        Phase::Succeeded => format!("succeeded {after}"),
        Phase::Failed => format!("failed {after}"),
        Phase::Stopped => format!("was stopped {after}"),
        Phase::Quarantined => format!("is quarantined {after}"),
    };
    let reason = match (&run.reason, run.phase) {
        (None, _) | (_, Phase::Succeeded) => String::new(),
        (Some(reason), Phase::Failed | Phase::Quarantined) => {
            format!(": {} ({})", reason.class, quoted(&reason.message))
        }
        (Some(reason), _) => format!("; its last failure was {} ({})", reason.class, quoted(&reason.message)),
    };
    format!("{who} {what}{reason}")
}

fn holds(run: &Run, now: Timestamp) -> Option<String> {
    let held = run.held.as_ref()?;
    let waited = say_duration_ms(seconds(now.since(held.since)));
    Some(match (held.reason, &held.scope) {
        (HeldReason::Breaker, Some(scope)) => {
            format!("the breaker {scope}, for {waited} now: {}", held.why)
        }
        (HeldReason::Breaker, None) => format!("a breaker, for {waited} now: {}", held.why),
        (HeldReason::Budget, _) => format!("the retry budget, for {waited} now: {}", held.why),
        (HeldReason::Concurrency, _) => format!("{}, for {waited} now", held.why),
    })
}

fn next(run: &Run, now: Timestamp) -> String {
    let when = |at: Timestamp| match at.since(now) {
        0 => "now".to_owned(),
        ms => format!("in {}", say_duration_ms(if ms < 1_000 { ms } else { seconds(ms) })),
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
        (Phase::Blocked, _) => {
            let scope = run.held.as_ref()?.scope.as_ref()?;
            Some(format!("to let it through all the same: supervise breaker reset {scope}"))
        }
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

/// What one record says, or nothing when it adds nothing to the story. `again`: it is not the first word about the run.
fn sentence(record: &JournalRecord, again: bool) -> Option<String> {
    let attempt = record.attempt.map(|n| format!("attempt {n}")).unwrap_or_default();
    let scope = record.scope.as_ref().map(ToString::to_string).unwrap_or_default();
    Some(match &record.event {
        Event::RunQueued { params, requested_by } => {
            let again = if again { " again" } else { "" };
            format!("asked for{again}{}{}", by_whom(requested_by.as_ref()), list(params))
        }
        Event::AttemptStarted { params, probe } => {
            let probe = if *probe { ", as a probe of a half-open breaker" } else { "" };
            format!("{attempt} started{}{probe}", list(params))
        }
        Event::AttemptSpawned { .. }
        | Event::ProgramConfigured { .. }
        | Event::ScopesConfigured { .. }
        // What follows from it says who and why.
        | Event::BreakerOperated { .. } => return None,
        Event::ErrorSeen { class, rule, count } => {
            let lines = if *count == 1 { "a line shows".to_owned() } else { format!("{count} lines show") };
            format!("{lines} {class} while {attempt} runs (rule {rule})")
        }
        event @ Event::AttemptEnded { .. } => format!("{attempt} {}", end(event)?),
        Event::RetryScheduled { why, .. } => why.clone(),
        Event::StartBlocked { reason: HeldReason::Breaker, why, .. } => {
            format!("start held back by the breaker {scope}: {why}")
        }
        Event::StartBlocked { why, .. } => format!("start held back: {why}"),
        Event::BreakerChanged { from, to, why, .. } if from == to => {
            format!("breaker {scope} stays {from}: {why}")
        }
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
        Event::StopRequested { by, why, .. } => format!("{why}{}", by_whom(by.as_ref())),
        // "stopped: stopped as asked" says it twice.
        Event::RunEnded { phase, why, .. } if why.starts_with(phase.name()) => why.clone(),
        Event::RunEnded { phase, why, .. } => format!("{}: {why}", phase.name()),
        Event::SupervisorRestarted { down_ms, clean: true } => {
            let away = say_duration_ms(*down_ms);
            format!("the supervisor came back after an orderly end; it was away for {away}")
        }
        // Nobody wrote down when it died.
        Event::SupervisorRestarted { down_ms, clean: false } => {
            let age = say_duration_ms(*down_ms);
            format!("the supervisor came back after its death; its last record was {age} old")
        }
        Event::KeeperLost { why, .. } => format!("the keeper died: {why}"),
        Event::ActorRestarted { actor, why } => format!("the {actor} was started again: {why}"),
    })
}

fn by_whom(who: Option<&String>) -> String {
    who.map(|who| format!(" by {who}")).unwrap_or_default()
}

/// How an attempt ended and what that was taken for. Nothing for another event.
fn end(event: &Event) -> Option<String> {
    let Event::AttemptEnded {
        exit, signal, spawn_error, class, rule, line, lasted_ms, output_complete, ..
    } = event
    else {
        return None;
    };
    if let Some(errno) = spawn_error {
        let (class, why) = (class.as_deref().unwrap_or_default(), line.as_deref().unwrap_or(errno));
        return Some(format!("could not be started: {why} ({class})"));
    }
    let lasted = say_duration_ms(*lasted_ms);
    let how = match (exit, signal) {
        (Some(code), _) => format!("ended with exit {code} after {lasted}"),
        (None, Some(signal)) => format!("was ended by {signal} after {lasted}"),
        (None, None) => format!("ended unseen after {lasted} at most"),
    };
    let what = match (class.as_deref(), rule, line) {
        (None, _, _) => ": success".to_owned(),
        (Some(Class::OPERATOR_STOP), _, _) => ", as asked".to_owned(),
        (Some(Class::SHUTDOWN), _, _) => ", because the supervisor was shut down".to_owned(),
        (Some(Class::LOST), _, _) => ": lost, because the supervisor or its keeper died".to_owned(),
        // What these say is no line of output.
        (Some(class @ (Class::TIMEOUT_RUN | Class::STALLED | Class::EARLY_EXIT)), _, Some(why)) => {
            format!(": {class}, {why}")
        }
        (Some(class), Some(rule), Some(line)) => format!(": {class} by rule {rule}, from {}", quoted(line)),
        (Some(class), Some(rule), None) => format!(": {class} by rule {rule}"),
        (Some(class), None, _) => format!(": {class}"),
    };
    let incomplete = if *output_complete { "" } else { " (its output could not be read in time)" };
    Some(format!("{how}{what}{incomplete}"))
}
