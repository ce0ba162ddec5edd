//! What happened, record by record.

use super::{
    Sentence,
    words::{changed, quoted, reads_output, with},
};
use crate::model::{
    Class, Event, HeldReason, JournalRecord, ParamReason, Run, Stream, format_duration_ms, say_duration_ms,
};
use std::collections::BTreeSet;

/// The number of records up to which a story is told as a whole: some screens. A daemon of many months has a hundred
/// thousand records, and its latest are the answer.
const TOLD: usize = 100;

/// The story of a run, oldest first; of a long story the first record and the latest.
pub(super) fn chain(run: &Run, records: &[JournalRecord]) -> Vec<Sentence> {
    let first = records.iter().position(|record| matches!(record.event, Event::RunQueued { .. }));
    let mut changes = BTreeSet::new();
    let told = records.iter().enumerate().filter_map(|(place, record)| {
        let again = first.is_some_and(|first| place > first);
        let mut text = sentence(record, again)?;
        match &record.event {
            Event::ParamChanged { name, .. } => drop(changes.insert(name)),
            Event::AttemptStarted { params, probe: false, param_reasons, .. } => {
                let lowered = changed(params, &run.params);
                for name in lowered.keys().filter(|name| !changes.contains(name)) {
                    text.push_str(&lowered_before(name, param_reasons.get(name)));
                }
            }
            _ => {}
        }
        let text = match record.run {
            Some(other) if other != run.id => {
                let program = record.program.as_deref().unwrap_or("another");
                format!("{program} run {} failed and changed it for all: {text}", other.short())
            }
            _ => text,
        };
        Some(Sentence { at: record.at, seq: record.seq, text })
    });
    let mut chain: Vec<_> = told.collect();
    if chain.len() > TOLD {
        let cut = chain.len() - TOLD;
        let last = chain.drain(1..=cut).next_back();
        if let Some(last) = last {
            let text = format!("… {cut} steps are left out here; the journal has them all");
            chain.insert(1, Sentence { at: last.at, seq: last.seq, text });
        }
    }
    chain
}

/// The sentence of one record; `None` when it adds nothing to the story. `again`: it is not the first sentence about
/// the run.
fn sentence(record: &JournalRecord, again: bool) -> Option<String> {
    let attempt = record.attempt.map(|n| format!("attempt {n}")).unwrap_or_default();
    let scope = record.scope.as_ref().map(ToString::to_string).unwrap_or_default();
    Some(match &record.event {
        Event::RunQueued { params, requested_by, forced, priority } => {
            let again = if again { " again" } else { "" };
            let forced = if *forced { ", past the breakers" } else { "" };
            let priority = match priority {
                0 => String::new(),
                priority => format!(", at priority {priority}"),
            };
            format!("asked for{again}{}{}{forced}{priority}", by_whom(requested_by.as_ref()), with(params))
        }
        Event::AttemptStarted { params, probe, forced, .. } => {
            let how = match (probe, forced) {
                (true, _) => ", as a probe of a half-open breaker",
                (false, true) => ", forced past the breakers, which do not hear how it ends",
                (false, false) => "",
            };
            format!("{attempt} started{}{how}", with(params))
        }
        Event::AttemptSpawned { .. } | Event::ProgramConfigured { .. } => return None,
        Event::AttemptReady { after_ms, slow_ready_ms } => {
            format!("{attempt} was ready after {}", readiness(*after_ms, *slow_ready_ms))
        }
        event @ Event::AttemptEnded { .. } => format!("{attempt} {}", end(event)?),
        Event::RetryScheduled { why, .. } => why.clone(),
        // Why the breaker opened was told when it did.
        Event::StartBlocked { reason: HeldReason::Breaker, why, .. } if why.starts_with("open: ") => {
            format!("start held back, because the breaker {scope} is open")
        }
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
        Event::WouldTrip { why } => format!("breaker {scope} would have opened: {why}"),
        Event::LateOutcome { why } => format!("an outcome for {scope} came too late to count: {why}"),
        Event::ParamChanged { name, from, to, why } => {
            format!("{name} {from} → {to} ({why})")
        }
        Event::ParamExhausted { name, value } => {
            format!("{name} stays at its floor {value}, and it still fails")
        }
        Event::LeftoversFound { action } => {
            format!("processes of {attempt} outlived their leader; leftovers = \"{}\"", action.name())
        }
        Event::StopRequested { by, why, .. } => format!("{why}{}", by_whom(by.as_ref())),
        // "stopped: stopped as asked" says it twice.
        Event::RunEnded { phase, why, .. } if why.starts_with(phase.name()) => why.clone(),
        Event::RunEnded { phase, why, .. } => format!("{}: {why}", phase.name()),
        Event::SupervisorRestarted { .. }
        | Event::ActorRestarted { .. }
        | Event::StoreMoved { .. }
        | Event::ClockSet { .. }
        | Event::StoreDamaged { .. }
        | Event::KeeperLost { .. }
        | Event::KeeperSilent { .. }
        | Event::KeeperAnswers { .. }
        | Event::OutputWaits { .. }
        | Event::OutputLost { .. } => return of_ourselves(&record.event, &attempt),
    })
}

/// What became of supervisor and keeper, and of output on its way. `None` for another event.
fn of_ourselves(event: &Event, attempt: &str) -> Option<String> {
    Some(match event {
        Event::SupervisorRestarted { down_ms, clean: true } => {
            let away = say_duration_ms(*down_ms);
            format!("the supervisor came back after an orderly end; it was away for {away}")
        }
        // The time of its death was not written down.
        Event::SupervisorRestarted { down_ms, clean: false } => {
            let age = say_duration_ms(*down_ms);
            format!("the supervisor came back after its death; its last record was {age} old")
        }
        Event::StoreMoved { what } => what.clone(),
        Event::StoreDamaged { what, lost: true } => what.clone(),
        Event::StoreDamaged { what, lost: false } => format!("{what}; nothing is lost"),
        Event::ClockSet { by_ms } => clock_set(*by_ms),
        Event::KeeperLost { why, .. } => format!("the keeper died: {why}"),
        Event::KeeperSilent { .. } => "the keeper does not answer".to_owned(),
        Event::KeeperAnswers { silent_ms } => {
            format!("the keeper answers again, after {}", say_duration_ms(*silent_ms))
        }
        Event::OutputWaits { why } => format!("the output of {attempt} waits: {why}"),
        Event::OutputLost { stream, lines, bytes } => {
            let stream = if *stream == Stream::Stdout { "standard output" } else { "standard error" };
            format!("{stream} of {attempt} lost {}, {bytes} bytes: no disk took them", lines_of(*lines))
        }
        Event::ActorRestarted { actor, why } => format!("the {actor} was started again: {why}"),
        _ => return None,
    })
}

fn clock_set(by_ms: i64) -> String {
    let (sign, by) = (if by_ms < 0 { '-' } else { '+' }, say_duration_ms(by_ms.unsigned_abs()));
    format!(
        "the clock was set by {sign}{by}, or the machine slept; times from here on are by it, and no deadline moved"
    )
}

/// What happened to a parameter before this story began.
fn lowered_before(name: &str, chain: Option<&Vec<ParamReason>>) -> String {
    match chain.and_then(|chain| chain.split_last()) {
        None => format!(" ({name}: lowered before by failures of runs that share it)"),
        Some((last, earlier)) => {
            let more = match earlier.len() {
                0 => String::new(),
                1 => ", after 1 change before".to_owned(),
                n => format!(", after {n} changes before"),
            };
            format!(" ({name} {} → {} before this: {}{more})", last.from, last.to, last.why)
        }
    }
}

/// How long the attempt took until it was ready, and which limit that exceeds.
fn readiness(after_ms: u64, slow_ready_ms: Option<u64>) -> String {
    match slow_ready_ms.map(format_duration_ms) {
        None => say_duration_ms(after_ms),
        // To the millisecond: "after 10s, later than 10s" would be a riddle.
        Some(limit) => format!("{}, later than slow_ready = {limit}", format_duration_ms(after_ms)),
    }
}

fn lines_of(count: u64) -> String {
    if count == 1 { "1 line".to_owned() } else { format!("{count} lines") }
}

fn by_whom(who: Option<&String>) -> String {
    who.map(|who| format!(" by {who}")).unwrap_or_default()
}

/// How an attempt ended and which class that was. `None` for another event.
fn end(event: &Event) -> Option<String> {
    let Event::AttemptEnded {
        exit,
        signal,
        spawn_error,
        class,
        rule,
        line,
        preferred,
        lasted_ms,
        ended_at,
        output_complete,
        lines_lost,
        unspooled,
        ..
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
        // The evidence of these classes is no line of output.
        (Some(class @ (Class::TIMEOUT_RUN | Class::STALLED | Class::EARLY_EXIT)), _, Some(why)) => {
            format!(": {class}, {why}")
        }
        (Some(class), Some(rule), Some(why)) if rule == "success" => format!(": {class}, {why}"),
        (Some(class), Some(rule), Some(line)) if reads_output(rule) => {
            format!(": {class} (rule {rule}, by the line {})", quoted(line))
        }
        (Some(class), Some(rule), None) if reads_output(rule) => {
            format!(": {class} (rule {rule}, by the {})", if exit.is_some() { "exit code" } else { "signal" })
        }
        (Some(class @ Class::EXIT_NONZERO), _, None) => {
            format!(": {class} (no rule knows a line of its output)")
        }
        (Some(class), _, _) => format!(": {class}"),
    };
    let incomplete = match (output_complete, lines_lost, unspooled) {
        (true, ..) => String::new(),
        (_, 0, 0) => " (its output could not be read in time)".to_owned(),
        (_, 0, bytes) => format!(" (no disk took {bytes} bytes of its output)"),
        (_, lines, _) => format!(" ({} of its output lost)", lines_of(*lines)),
    };
    let preferred = preferred.as_ref().map(|why| format!(", {why}")).unwrap_or_default();
    let found = if ended_at.is_some() { ", while no supervisor ran" } else { "" };
    Some(format!("{how}{found}{what}{preferred}{incomplete}"))
}
