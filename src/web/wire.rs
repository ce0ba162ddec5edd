//! What stands in answers. Apart from the model, so that neither holds the other still.

use super::figures;
use crate::Usage;
use actix_process_actors::{
    breaker::BreakerStatus,
    clock,
    explain::{Act, Advice, Explanation, Foreseen, RunInShort, Sentence},
    manager::ProgramStatus,
    model::{
        self, Command, Counts, ExitStatus, Level, ParamKind, ParamReasons, ParamSpec, Params, Restart,
        Stream, Timestamp, class_help, signal_name,
    },
    monitor::RuleInfo,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{borrow::Cow, collections::BTreeMap};

/// RFC 3339 in UTC with milliseconds, as the wall clock told it; what no calendar has is the last moment that it has.
pub(super) fn time(at: Timestamp) -> String {
    let at = clock::shown(at);
    let at = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    const PRINTER: jiff::fmt::temporal::DateTimePrinter =
        jiff::fmt::temporal::DateTimePrinter::new().precision(Some(3));
    PRINTER.timestamp_to_string(&at.unwrap_or(jiff::Timestamp::MAX))
}

/// A time that may be absent; "never" is absent too.
pub(super) fn time_or_null(at: Option<Timestamp>) -> Option<String> {
    at.filter(|at| *at != Timestamp::NEVER).map(time)
}

pub(super) fn params(params: &Params) -> Value {
    params
        .iter()
        .map(|(name, value)| (name.clone(), value.to_json()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn param_reasons(reasons: &ParamReasons) -> Value {
    let step = |step: &model::ParamReason| json!({"from": step.from.to_json(), "to": step.to.to_json(), "why": step.why});
    let chains = reasons.iter().map(|(name, chain)| (name.clone(), chain.iter().map(step).collect()));
    chains.collect::<serde_json::Map<_, Value>>().into()
}

/// `SIGKILL`, or the number as text where there is no name.
pub(super) fn signal(number: i32) -> Cow<'static, str> {
    signal_name(number).map_or_else(|| Cow::Owned(number.to_string()), Cow::Borrowed)
}

const fn exit_code(exit: Option<ExitStatus>) -> Option<i32> {
    match exit {
        Some(ExitStatus::Code(code)) => Some(code),
        _ => None,
    }
}

fn exit_signal(exit: Option<ExitStatus>) -> Option<Cow<'static, str>> {
    match exit {
        Some(ExitStatus::Signal { number, .. }) => Some(signal(number)),
        _ => None,
    }
}

/// Plain data as a value. Ours has string keys alone, so that there is nothing that could not be one.
pub(super) fn value<T: Serialize>(data: &T) -> Value {
    serde_json::to_value(data).unwrap_or(Value::Null)
}

/// A list with the place where it goes on.
pub(super) fn list<T: Serialize>(items: &[T], next_cursor: Option<String>) -> Value {
    json!({"items": items, "next_cursor": next_cursor})
}

/// A run.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    id: String,
    program: String,
    phase: model::Phase,
    wanted: model::Wanted,
    params: Value,
    requested_by: Option<String>,
    labels: BTreeMap<String, String>,
    created_at: String,
    /// Absent where nobody said one.
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
    attempt: u32,
    max_attempts: Option<u32>,
    pid: Option<i32>,
    next_attempt_at: Option<String>,
    /// Whether that is so late because it was started too often. Absent where not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    quarantined: bool,
    held: Option<Value>,
    reason: Option<Reason>,
    end_reason: Option<model::EndReason>,
    ended_at: Option<String>,
    attempts: Vec<Attempt>,
    counts: Counts,
}

#[derive(Debug, Serialize)]
struct Reason {
    class: String,
    exit_code: Option<i32>,
    signal: Option<Cow<'static, str>>,
    message: String,
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred: Option<String>,
    help: String,
}

impl Run {
    pub(super) fn of(run: &model::Run) -> Self {
        let living = run.current().filter(|attempt| attempt.ended_at.is_none());
        Self {
            id: run.id.to_string(),
            program: run.program.clone(),
            phase: run.phase,
            wanted: run.wanted,
            params: params(&run.params),
            requested_by: run.requested_by.clone(),
            labels: run.labels.clone(),
            created_at: time(run.created_at),
            priority: Some(run.priority).filter(|priority| *priority != 0),
            attempt: run.attempt,
            max_attempts: run.max_attempts,
            pid: living.filter(|_| run.phase.has_process()).and_then(|attempt| attempt.pid),
            next_attempt_at: time_or_null(run.next_attempt_at),
            quarantined: run.quarantined,
            held: run.held.as_ref().map(|held| {
                json!({"reason": held.reason, "scope": held.scope, "retry_at": time_or_null(held.retry_at),
                       "why": held.why, "since": time(held.since)})
            }),
            reason: run.reason.as_ref().map(|reason| Reason {
                class: reason.class.clone(),
                exit_code: exit_code(reason.exit),
                signal: exit_signal(reason.exit),
                message: reason.message.clone(),
                rule: reason.rule.clone(),
                preferred: reason.preferred.clone(),
                help: reason.help.clone(),
            }),
            end_reason: run.end_reason,
            ended_at: time_or_null(run.ended_at),
            attempts: run.attempts.iter().map(Attempt::of).collect(),
            counts: run.counts,
        }
    }
}

/// An attempt.
#[derive(Debug, Serialize)]
pub(super) struct Attempt {
    number: u32,
    pid: Option<i32>,
    params: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    param_reasons: Option<Value>,
    probe: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    forced: bool,
    started_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_at: Option<String>,
    ended_at: Option<String>,
    exit_code: Option<i32>,
    signal: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spawn_error: Option<String>,
    class: Option<String>,
    lines: u64,
    /// Absent where the program does not count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<u64>,
    adopted: bool,
}

impl Attempt {
    pub(super) fn of(attempt: &model::Attempt) -> Self {
        Self {
            number: attempt.number,
            pid: attempt.pid,
            params: params(&attempt.params),
            param_reasons: (!attempt.param_reasons.is_empty()).then(|| param_reasons(&attempt.param_reasons)),
            probe: attempt.probe,
            forced: attempt.forced,
            started_at: time(attempt.started_at),
            ready_at: time_or_null(attempt.ready_at),
            ended_at: time_or_null(attempt.ended_at),
            exit_code: exit_code(attempt.exit),
            signal: exit_signal(attempt.exit),
            spawn_error: attempt.spawn_error.clone(),
            class: attempt.class.clone(),
            lines: attempt.lines,
            items: attempt.items,
            adopted: attempt.adopted,
        }
    }
}

/// A line of output. Borrowed: there may be millions of them in one answer.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    cursor: String,
    seq: u64,
    at: String,
    program: &'a str,
    run: String,
    attempt: u32,
    stream: Stream,
    level: Option<Level>,
    class: Option<&'a str>,
    text: Cow<'a, str>,
    newline: bool,
    partial: bool,
    /// Lines that are missing here; left out of a line.
    #[serde(skip_serializing_if = "is_zero")]
    gap: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl<'a> Record<'a> {
    pub(super) fn of(record: &'a model::Record) -> Self {
        Self {
            cursor: record.cursor.to_string(),
            seq: record.seq,
            at: time(record.at),
            program: &record.program,
            run: record.attempt.run.to_string(),
            attempt: record.attempt.number,
            stream: record.stream,
            level: record.level,
            class: record.class.as_deref(),
            text: String::from_utf8_lossy(&record.bytes),
            newline: record.newline,
            partial: record.partial,
            gap: record.gap,
        }
    }
}

/// A program with its rules as far as people ask for them, and what it is doing.
pub(super) fn program(status: &ProgramStatus, usages: &BTreeMap<model::RunId, Usage>) -> Value {
    let program = &*status.program;
    let command = match &program.command {
        Command::Script { name, path, interpreter } => {
            json!({"script": name, "script_path": path, "interpreter": interpreter})
        }
        Command::Argv(argv) => json!({"argv": argv}),
    };
    let specs: Vec<_> = program.params.values().map(param_spec).collect();
    let living: Vec<_> =
        status.living.iter().map(|run| figures::with_usage(run, value(&Run::of(run)), usages)).collect();
    let mut told = json!({
        "name": program.name,
        "description": program.description,
        "command": command,
        "args": program.args,
        "params": specs,
        "restart": program.restart,
        "daemon": program.restart == Restart::Always,
        "autostart": program.autostart,
        "labels": program.labels,
        "breakers": program.breakers,
        "max_attempts": program.max_attempts().filter(|_| !status.removed),
        "max_concurrent": Some(program.concurrency()).filter(|most| *most != u32::MAX),
        "queue": program.queue,
        "priority": program.priority,
        "stop_timeout_ms": program.stop_timeout_ms,
        "phase": status.living.first().or(status.last.as_ref()).map(|run| run.phase),
        "figures": figures::of_program(&status.figures),
        "living": living,
        "last": status.last.as_ref().map(Run::of),
    });
    // Absent where there is nothing of the kind to say.
    if let Some(told) = told.as_object_mut() {
        if status.removed {
            told.insert("removed".into(), true.into());
        }
        if let Some(run) = status.stopped_by_hand {
            told.insert("stopped_by_operator".into(), run.to_string().into());
        }
    }
    told
}

fn param_spec(spec: &ParamSpec) -> Value {
    let choices = match spec.kind.of_one() {
        ParamKind::Choice(choices) => Some(choices),
        _ => None,
    };
    let (items, max_items) = match &spec.kind {
        ParamKind::List { items, max_items } => (Some(items.name()), Some(*max_items)),
        _ => (None, None),
    };
    let plain = |value: &Option<model::ParamValue>| value.as_ref().map(model::ParamValue::to_json);
    json!({
        "name": spec.name,
        "type": spec.kind.name(),
        "choices": choices,
        "items": items,
        "max_items": max_items,
        "required": spec.required,
        "default": plain(&spec.default),
        "min": plain(&spec.min),
        "max": plain(&spec.max),
        "secret": spec.secret,
        "adjust_scope": spec.adjust_scope,
    })
}

pub(super) fn breaker(status: &BreakerStatus) -> Value {
    json!({
        "scope": status.scope,
        "state": status.state,
        "level": status.level,
        "until": time_or_null(status.until),
        // Thousandths are exact in a double as far as anybody counts failures.
        "failures": thousandths(status.failures_permille),
        "probes": status.probes,
        "why": status.why,
        "changed_at": time(status.changed_at),
    })
}

/// `2.5` for 2,500, as a JSON number without rounding.
pub(super) fn thousandths(permille: u64) -> Value {
    let text = format!("{}.{:03}", permille / 1_000, permille % 1_000);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.parse::<serde_json::Number>().map_or(Value::Null, Value::Number)
}

pub(super) fn explanation(why: &Explanation) -> Value {
    let step =
        |step: &Sentence| json!({"at": time(step.at), "cursor": step.seq.to_string(), "text": step.text});
    let run = |run: &RunInShort| json!({"run": run.run.to_string(), "text": run.text});
    let help: Vec<_> = why.advice.iter().map(|advice| advice.text.as_str()).collect();
    let ahead = |step: &Foreseen| json!({"at": time_or_null(step.at), "text": step.text});
    json!({
        "summary": why.summary,
        "runs": why.runs.iter().map(run).collect::<Vec<_>>(),
        "breakers": why.breakers,
        "chain": why.chain.iter().map(step).collect::<Vec<_>>(),
        "holds": why.holds,
        "next": why.next,
        "forecast": why.forecast.as_ref().map(|forecast| {
            json!({"given": forecast.given, "steps": forecast.steps.iter().map(ahead).collect::<Vec<_>>()})
        }),
        "help": help.join("\n"),
        "advice": why.advice.iter().map(advice).collect::<Vec<_>>(),
    })
}

/// One thing that somebody can do. Whatever it is about has the key that requests have for it.
fn advice(advice: &Advice) -> Value {
    let mut entry = json!({"text": advice.text, "act": advice.act.as_ref().map(Act::name)});
    let (key, value) = match &advice.act {
        Some(
            Act::ReadOutput(run) | Act::Start(run) | Act::ForceStart(run) | Act::Retry(run) | Act::Stop(run),
        ) => ("run", run.to_string().into()),
        Some(Act::ReadOutputOf(program) | Act::StopAll(program) | Act::StartNew { program, .. }) => {
            ("program", program.clone().into())
        }
        Some(Act::ResetBreaker(scope)) => ("scope", scope.0.to_string().into()),
        _ => return entry,
    };
    entry[key] = value;
    match &advice.act {
        Some(Act::ForceStart(_)) => entry["force"] = true.into(),
        Some(Act::StartNew { required, .. }) => entry["required"] = required.clone().into(),
        _ => {}
    }
    entry
}

pub(super) fn rule(rule: &RuleInfo) -> Value {
    json!({"name": rule.name, "class": rule.class, "matches": rule.matches, "weight": thousandths(rule.weight_permille.into()),
           "help": class_help(&rule.class)})
}
