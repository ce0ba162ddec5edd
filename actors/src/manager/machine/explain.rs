//! "Why?", in sentences: from the journal's records, from what stands now, and from what Retry and the breakers say
//! would follow.

mod ahead;
mod facts;
mod overview;
mod story;
mod words;

pub use self::{facts::Facts, overview::Overview};

use self::words::{about, failure, nth, seconds};
use crate::{
    breaker::BreakerStatus,
    manager::Explanation,
    model::{EndReason, HeldReason, JournalRecord, Phase, Run, Timestamp, class_help, say_duration_ms},
    retry::Outlook,
};

/// Explains a run from its own records, those of the scopes that gate it, and those of siblings that changed what they
/// share with it; `outlook` is Retry's answer to [`Facts::forecast`], `breakers` are those that gate it.
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
        // What gates a run that is over gates nothing of it.
        breakers: if over { Vec::new() } else { ahead::breakers(facts, breakers, now) },
        chain: story::chain(run, records),
        holds: holds(facts, breakers, now),
        next: next(facts, breakers, now),
        forecast: outlook
            .filter(|_| !over)
            .and_then(|outlook| ahead::forecast(facts, outlook, breakers, now)),
        help: help(run),
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
    // What stands in the sentence about the breaker need not be said again.
    let told = breakers.iter().any(|status| Some(&status.scope) == scope && status.state != "closed");
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

fn help(run: &Run) -> Option<String> {
    let id = run.id.short();
    let reason = run.reason.as_ref();
    let own = reason.map(|reason| reason.help.as_str()).filter(|help| !help.is_empty());
    let todo = own.or_else(|| class_help(&reason?.class)).map(str::to_owned);
    match (run.phase, run.end_reason) {
        (Phase::Failed | Phase::Stopped, Some(EndReason::ProgramRemoved)) => Some(format!(
            "if it should run, put [program.{}] back into the configuration, reload, then: supervise start {id}",
            run.program
        )),
        (Phase::Quarantined, Some(EndReason::KeeperLost)) => {
            Some(format!("find out how it ends its parent process (kill $PPID?), then: supervise start {id}"))
        }
        (Phase::Quarantined, _) => Some(format!(
            "find out why it ends so fast (supervise logs {id}), then: supervise start {id}{}",
            todo.map(|todo| format!("\n{todo}")).unwrap_or_default()
        )),
        (Phase::Failed, Some(EndReason::MaxRetries | EndReason::Deadline | EndReason::Exit)) => {
            let again =
                format!("look at its output (supervise logs {id}), then try again: supervise retry {id}");
            Some(todo.map_or_else(|| again.clone(), |todo| format!("{todo}\n{again}")))
        }
        (Phase::Failed, _) => Some(todo.map_or_else(
            || format!("when it is mended: supervise retry {id}"),
            |todo| format!("{todo}\nwhen it is mended: supervise retry {id}"),
        )),
        (Phase::Stopped, _) => Some(format!("to let it go on: supervise start {id}")),
        (Phase::Blocked, _) => {
            let scope = run.held.as_ref()?.scope.as_ref()?;
            Some(format!(
                "to let it through all the same: supervise breaker reset {scope}\n\
                 to start it alone and leave the breaker as it is: supervise start {id} --force"
            ))
        }
        (Phase::Backoff, _) => {
            let now = format!("to try it now: supervise start {id}; to give it up: supervise stop {id}");
            Some(todo.map_or_else(|| now.clone(), |todo| format!("{todo}\n{now}")))
        }
        (Phase::Queued | Phase::Starting | Phase::Running | Phase::Stopping | Phase::Succeeded, _) => None,
    }
}
