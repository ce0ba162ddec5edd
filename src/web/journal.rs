//! Journal records in answers: as the model writes them, with times as RFC 3339 and `cursor` for `seq`.

use super::wire;
use actix_process_actors::model::{JournalRecord, Timestamp};
use serde_json::{Map, Value, json};

/// Points in time, with their names here. Other `…_ms` are durations and stay.
const TIMES: [(&str, &str); 6] = [
    ("at_ms", "at"),
    ("ended_at_ms", "ended_at"),
    ("due_at_ms", "due_at"),
    ("retry_at_ms", "retry_at"),
    ("until_ms", "until"),
    ("lease_until_ms", "lease_until"),
];

/// A record as `GET /events` and the stream show it.
pub(super) fn record(record: &JournalRecord) -> Value {
    let mut map = match serde_json::to_value(record) {
        Ok(Value::Object(map)) => map,
        // A record is a struct of plain data; what cannot be written shows at least its place.
        _ => Map::new(),
    };
    map.remove("seq");
    map.insert("cursor".into(), record.seq.to_string().into());
    for (from, to) in TIMES {
        if let Some(at) = map.remove(from) {
            map.insert(to.into(), json!(wire::time_or_null(at.as_u64().map(Timestamp))));
        }
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_process_actors::model::{BreakerState, Event, ParamValue, RunId, Scope};

    fn of(event: Event) -> JournalRecord {
        JournalRecord {
            seq: 42,
            at: Timestamp(1_000),
            run: Some(RunId::from_parts(0, 0)),
            program: Some("scraper".into()),
            attempt: Some(1),
            scope: None,
            event,
        }
    }

    #[track_caller]
    fn reads(event: Event, fields: Value) {
        let mut expected = json!({"cursor": "42", "at": "1970-01-01T00:00:01.000Z", "program": "scraper",
                                  "run": "00000000000000000000000000", "attempt": 1});
        for (name, value) in fields.as_object().unwrap() {
            expected[name] = value.clone();
        }
        assert_eq!(record(&of(event)), expected);
    }

    #[test]
    fn a_start_shows_plain_parameters() {
        let params =
            [("qpi".to_owned(), ParamValue::Integer(50)), ("key".to_owned(), ParamValue::Secret)].into();
        reads(
            Event::AttemptStarted { params, probe: false, forced: false, param_reasons: Default::default() },
            json!({"kind": "attempt_started", "params": {"qpi": 50, "key": "***"}, "probe": false}),
        );
    }

    #[test]
    fn times_are_calendar_times_and_durations_stay() {
        reads(
            Event::RetryScheduled {
                n: 2,
                raw_ms: 2_000,
                delay_ms: 1_500,
                due_at: Timestamp(2_500),
                why: "w".into(),
            },
            json!({"kind": "retry_scheduled", "n": 2, "raw_ms": 2000, "delay_ms": 1500,
                   "due_at": "1970-01-01T00:00:02.500Z", "why": "w"}),
        );
        let mut record_of_scope = of(Event::BreakerChanged {
            from: BreakerState::Closed,
            to: BreakerState::ForcedOpen,
            level: 0,
            until: Some(Timestamp::NEVER),
            why: "w".into(),
        });
        record_of_scope.scope = Some(Scope("site:a".into()));
        let wire = record(&record_of_scope);
        assert_eq!((&wire["until"], &wire["scope"]), (&Value::Null, &json!("site:a")));
    }

    #[test]
    fn an_end_is_an_exit_or_a_signal_or_a_spawn_error() {
        let ended = |exit, signal: Option<&str>, spawn_error: Option<&str>| Event::AttemptEnded {
            exit,
            signal: signal.map(str::to_owned),
            spawn_error: spawn_error.map(str::to_owned),
            class: Some("crash".into()),
            rule: None,
            line: None,
            preferred: None,
            retry_after_ms: None,
            lasted_ms: 5,
            ended_at: None,
            output_complete: true,
            lines_lost: 0,
            unspooled: 0,
        };
        for (event, name, value) in [
            (ended(Some(3), None, None), "exit", json!(3)),
            (ended(None, Some("SIGKILL"), None), "signal", json!("SIGKILL")),
            (ended(None, None, Some("ENOENT")), "spawn_error", json!("ENOENT")),
        ] {
            let mut fields =
                json!({"kind": "attempt_ended", "class": "crash", "lasted_ms": 5, "output_complete": true});
            fields[name] = value;
            reads(event, fields);
        }
        let Event::AttemptEnded { class, exit, signal, spawn_error, .. } = ended(Some(3), None, None) else {
            panic!()
        };
        let (rule, line, preferred, retry_after_ms) = (None, None, None, None);
        let (lasted_ms, ended_at, output_complete) = (5, Some(Timestamp(500)), true);
        let found_later = Event::AttemptEnded {
            exit,
            signal,
            spawn_error,
            class,
            rule,
            line,
            preferred,
            retry_after_ms,
            lasted_ms,
            ended_at,
            output_complete,
            lines_lost: 0,
            unspooled: 0,
        };
        reads(
            found_later,
            json!({"kind": "attempt_ended", "exit": 3, "class": "crash", "lasted_ms": 5, "output_complete": true,
                   "ended_at": "1970-01-01T00:00:00.500Z"}),
        );
    }
}
