//! Verbs that change something: `run`, `start`, `stop`, `restart`, `retry`.

use crate::{
    answer::{is_ended, items, text},
    args::{Again, IfBlocked, Retry, Run},
    client::{Client, percent},
    failure::{Failure, code},
    given,
    passing::Passing,
    screen::{Screen, escape},
    target::{Target, short},
    when,
};
use actix_process::actors::model::signal_number;
use jiff::Timestamp;
use serde_json::{Value, json};

/// How long the daemon holds an answer back; what takes longer is looked at again.
const WAIT: (&str, &str) = ("wait", "30s");

/// How often output is looked for while a run is waited for: quick for people, and five questions a second cost nothing.
const LOOK_EVERY: &str = "200ms";

/// Starts a run; the exit code is its own with `--wait`.
pub(crate) fn run(client: &Client, screen: &mut Screen, ask: &Run) -> Result<u8, Failure> {
    let params = given::params(client, &ask.program, &ask.params)?;
    let mut body = json!({"params": params, "labels": given::object(&ask.labels)});
    if let Some(by) = &ask.by {
        body["requested_by"] = json!(by);
    }
    if ask.if_blocked == IfBlocked::Refuse {
        body["if_blocked"] = json!("refuse");
    }
    if ask.force {
        body["force"] = json!(true);
    }
    if let Some(priority) = ask.priority {
        body["priority"] = json!(priority);
    }
    let path = format!("/programs/{}/runs", percent(&ask.program));
    let (_, run) = client.post(&path, &[], &body)?;
    print_id(screen, &run)?;
    if ask.wait { wait(client, text(&run, "id")) } else { Ok(0) }
}

/// A new run like an old one.
pub(crate) fn retry(client: &Client, screen: &mut Screen, ask: &Retry) -> Result<(), Failure> {
    let (id, run) = Target::find_run(client, &ask.run)?;
    let body = json!({"params": given::params(client, text(&run, "program"), &ask.params)?});
    let (_, run) = client.post(&format!("/runs/{id}/retry"), &[], &body)?;
    print_id(screen, &run)
}

/// `start` and `restart`, which end when the daemon has written its decision down.
pub(crate) fn act(client: &Client, screen: &mut Screen, ask: &Again, verb: &str) -> Result<(), Failure> {
    let target = Target::find(client, &ask.name)?;
    let body = if ask.force { json!({"force": true}) } else { json!({}) };
    let (_, answer) = client.post(&format!("{}/{verb}", target.path()), &[], &body)?;
    print_id(screen, &answer)
}

/// Ends when nothing is left of what was stopped. It is asked for once: what somebody starts meanwhile is his.
pub(crate) fn stop(client: &Client, screen: &mut Screen, name: &str) -> Result<(), Failure> {
    let target = Target::find(client, name)?;
    let (_, answer) = client.post(&format!("{}/stop", target.path()), &[], &json!({}))?;
    let mut again = Vec::new();
    for stopped in one_or_more(&answer) {
        again.extend(wait_for_stop(client, stopped)?);
    }
    let mut line = format!("{} stopped", escape(name));
    if !again.is_empty() {
        line.push_str(&format!("; somebody started it again meanwhile: {}", again.join(", ")));
    } else if let Target::Program(name, program) = &target
        && program.get("autostart") == Some(&Value::Bool(true))
        && program.get("removed").is_none()
    {
        let name = escape(name);
        line.push_str(&format!(
            "; it stays so, also when the daemon starts anew, until `supervise start {name}`"
        ));
    }
    screen.line(&line)?;
    Ok(screen.flush()?)
}

/// Waits until the attempt that was stopped is gone with its whole tree. What runs after it, if the run goes on all the same.
fn wait_for_stop(client: &Client, stopped: &Value) -> Result<Option<String>, Failure> {
    let (id, attempt) = (text(stopped, "id"), number_of_attempt(stopped));
    let path = format!("/runs/{id}");
    let number = attempt.to_string();
    let mut run = stopped.clone();
    while !is_ended(&run) {
        if number_of_attempt(&run) > attempt
            || !matches!(text(&run, "phase"), "starting" | "running" | "stopping")
        {
            let (id, phase) = (escape(short(id)), escape(text(&run, "phase")));
            return Ok(Some(format!("run {id} is {phase}, attempt {}", number_of_attempt(&run))));
        }
        run = match client.get(&path, &[WAIT, ("attempt", &number)]) {
            // So long ago that nobody remembers it.
            Err(failure) if failure.code == code::UNKNOWN => break,
            answer => answer?,
        };
    }
    Ok(None)
}

fn number_of_attempt(run: &Value) -> u64 {
    run.get("attempt").and_then(Value::as_u64).unwrap_or(0)
}

/// The run that the answer is, or the runs that it has.
fn one_or_more(answer: &Value) -> &[Value] {
    if text(answer, "id").is_empty() { items(answer) } else { std::slice::from_ref(answer) }
}

/// Passes the run's output on until it is over; the exit code of its last attempt.
fn wait(client: &Client, id: &str) -> Result<u8, Failure> {
    let path = format!("/runs/{id}");
    let mut passing = Passing::of(client, id)?;
    let mut told = Value::Null;
    loop {
        // The run before its output: when it is over here, all it wrote is in the pages that follow.
        let run = client.get(&path, &[("wait", LOOK_EVERY)])?;
        passing.pass_on()?;
        if let Some(news) = held(&run, &mut told, when::now()) {
            passing.say(&news)?;
        }
        if is_ended(&run) {
            let (code, farewell) = report(&run);
            if let Some(farewell) = farewell {
                passing.say(&farewell)?;
            }
            return Ok(code);
        }
    }
}

/// What holds the run and until when, unless the same was told before.
fn held(run: &Value, told: &mut Value, now: Timestamp) -> Option<String> {
    let held = run.get("held").unwrap_or(&Value::Null);
    // The sentence counts those who stand in line before it; that alone is no news.
    let what = match held {
        Value::Null => Value::Null,
        held => json!([held["reason"], held["scope"], held["retry_at"]]),
    };
    if std::mem::replace(told, what.clone()) == what || what.is_null() {
        return None;
    }
    let until = match text(held, "retry_at") {
        "" => String::new(),
        at => format!("; it asks again {}", when::until(at, now)),
    };
    let whom = match text(held, "scope") {
        "" => String::new(),
        scope => format!(" for {}", escape(scope)),
    };
    let (id, why) = (escape(short(text(run, "id"))), escape(text(held, "why")));
    Some(format!("supervise: {id} waits{whom}: {why}{until}; `supervise why {id}` says more"))
}

/// The exit code of its last attempt, and how the run ended when it did not end well.
fn report(run: &Value) -> (u8, Option<String>) {
    let phase = text(run, "phase");
    let last = run.get("attempts").and_then(Value::as_array).and_then(|attempts| attempts.last());
    let code = last.map_or(1, exit_code);
    if phase == "succeeded" {
        return (code, None);
    }
    // A run that did not succeed never looks as if it had.
    (code.max(1), Some(farewell(run)))
}

fn farewell(run: &Value) -> String {
    let message = run.get("reason").map(|reason| text(reason, "message")).unwrap_or_default();
    // A stop has no reason of the program's own.
    let because = if message.is_empty() { String::new() } else { format!(": {}", escape(message)) };
    format!("supervise: {}{because}; `supervise why {}` says more", text(run, "phase"), text(run, "id"))
}

/// The attempt's exit code, 128+n for a signal, 1 when it never started.
fn exit_code(attempt: &Value) -> u8 {
    let number = |key: &str| attempt.get(key).and_then(Value::as_i64);
    // Two of the 64 have no name and are told by their number.
    let name = text(attempt, "signal");
    let signal = signal_number(name).map(i64::from).or_else(|| name.parse().ok());
    let code = match (number("exit_code"), signal) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    u8::try_from(code).unwrap_or(1)
}

/// The id of the run that the answer is, or of the runs that it has.
fn print_id(screen: &mut Screen, answer: &Value) -> Result<(), Failure> {
    for run in one_or_more(answer) {
        screen.line(&escape(text(run, "id")))?;
    }
    Ok(screen.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_a_run_is_told_once_and_again_when_it_changes() {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let mut told = Value::Null;
        let mut says = |held: Value| held_of(&held, &mut told, now);
        let open = |until: &str, why: &str| json!({"reason": "breaker", "scope": "site:a", "retry_at": until, "why": why});
        let at = "2026-11-23T12:04:12Z";
        assert_eq!(says(Value::Null), None);
        let first = "supervise: CDEFGHJK waits for site:a: it is open; it asks again in 4m 12s (12:04:12Z); `supervise why CDEFGHJK` says more";
        assert_eq!(says(open(at, "it is open")).as_deref(), Some(first));
        assert_eq!(says(open(at, "it is open, and two wait before it")), None, "told");
        assert!(
            says(open("2026-11-23T12:09:00Z", "it is open")).is_some_and(|news| news.contains("12:09:00Z"))
        );
        assert_eq!(says(Value::Null), None, "it runs");
        let forced =
            json!({"reason": "breaker", "scope": "site:a", "retry_at": null, "why": "held open\u{7}"});
        let news = "supervise: CDEFGHJK waits for site:a: held open\\x07; `supervise why CDEFGHJK` says more";
        assert_eq!(says(forced).as_deref(), Some(news));
        let budget = json!({"reason": "budget", "scope": null, "retry_at": null, "why": "no tokens"});
        assert!(says(budget).is_some_and(|news| news.contains("CDEFGHJK waits: no tokens")));
    }

    fn held_of(held: &Value, told: &mut Value, now: Timestamp) -> Option<String> {
        super::held(&json!({"id": "01JD07M3ABABABABABCDEFGHJK", "held": held}), told, now)
    }

    #[test]
    fn the_last_word_says_why_when_there_is_a_reason() {
        let stopped = json!({"phase": "stopped", "id": "X", "reason": null});
        assert_eq!(farewell(&stopped), "supervise: stopped; `supervise why X` says more");
        let failed = json!({"phase": "failed", "id": "X", "reason": {"message": "HTTP 503"}});
        assert_eq!(farewell(&failed), "supervise: failed: HTTP 503; `supervise why X` says more");
    }

    #[test]
    fn the_exit_code_is_that_of_the_last_attempt() {
        for (attempt, code) in [
            (json!({"exit_code": 7, "signal": null}), 7),
            (json!({"exit_code": null, "signal": "SIGRTMIN"}), 162),
            (json!({"exit_code": null, "signal": "33"}), 161),
            (json!({"exit_code": null, "signal": "SIGTERM"}), 143),
            (json!({"spawn_error": "no such file"}), 1),
        ] {
            assert_eq!(exit_code(&attempt), code, "{attempt}");
        }
        assert_eq!(report(&json!({"phase": "stopped", "attempts": [{"exit_code": 0}]})).0, 1);
        assert_eq!(report(&json!({"phase": "failed"})).0, 1);
        assert_eq!(report(&json!({"phase": "succeeded", "attempts": [{"exit_code": 3}]})).0, 3);
    }
}
