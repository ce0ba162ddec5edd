//! The journal as a test reads it, record by record across the lives of the daemon.

use crate::{
    ledger::monotonic_ns,
    ledgers::AttemptKey,
    supervisor::{Gone, Supervisor},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// A record that says how an attempt ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) seq: u64,
    pub(crate) exit: Option<u64>,
    pub(crate) signal: Option<String>,
    pub(crate) class: Option<String>,
    pub(crate) text: String,
}

impl Ended {
    pub(crate) const fn is_seen(&self) -> bool {
        self.exit.is_some() || self.signal.is_some()
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Attempt {
    pub(crate) program: String,
    pub(crate) ends: Vec<Ended>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) program: String,
    /// Phase and reason, as often as it was said to be over.
    pub(crate) ends: Vec<(String, String)>,
}

/// A retry that was promised.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) seq: u64,
    pub(crate) run: String,
    pub(crate) delay_ms: u64,
    /// By the monotonic clock.
    pub(crate) due_ns: u64,
}

/// Where the calendar of the daemon stands beside the monotonic clock, which both read on this machine.
pub(crate) struct Calendar {
    wall: jiff::Timestamp,
    monotonic_ns: u64,
    /// How far the wall clock is moved now.
    pub(crate) moved_ms: i64,
    /// And in the life whose records are read.
    told_ms: i64,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { wall: jiff::Timestamp::now(), monotonic_ns: monotonic_ns(), moved_ms: 0, told_ms: 0 }
    }
}

impl Calendar {
    fn monotonic(&self, told: &str) -> u64 {
        let told: jiff::Timestamp = told.parse().expect("a time");
        let since_ms = told.as_millisecond() - self.wall.as_millisecond() - self.told_ms;
        self.monotonic_ns.saturating_add_signed(since_ms * 1_000_000)
    }
}

#[derive(Default)]
pub(crate) struct Journal {
    cursor: u64,
    pub(crate) calendar: Calendar,
    pub(crate) records: usize,
    pub(crate) attempts: BTreeMap<AttemptKey, Attempt>,
    pub(crate) runs: BTreeMap<String, Run>,
    pub(crate) promises: Vec<Promise>,
    /// Sequence numbers of records that say that the breaker of `guarded` opened.
    pub(crate) opened: Vec<u64>,
    /// Starts, in the order of the journal.
    pub(crate) started: Vec<(u64, AttemptKey)>,
    /// Records that are not in order of their numbers, or whose attempts are not.
    pub(crate) disorder: Vec<String>,
}

impl Journal {
    /// Reads on to the end of what is there.
    pub(crate) fn read(&mut self, daemon: &Supervisor) -> Result<(), Gone> {
        loop {
            let page = daemon.json(&format!("/events?cursor={}&limit=1000", self.cursor))?;
            let items = page["items"].as_array().expect("a list");
            if items.is_empty() {
                return Ok(());
            }
            items.iter().for_each(|record| self.take(record));
        }
    }

    fn take(&mut self, record: &Value) {
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        let seq = text("cursor").parse().expect("a number");
        if seq != self.cursor + 1 {
            self.disorder.push(format!("record {seq} follows {}", self.cursor));
        }
        self.cursor = seq;
        self.records += 1;
        let key = (text("run"), record["attempt"].as_u64().unwrap_or(0));
        match text("kind").as_str() {
            "run_queued" => self.runs.entry(key.0).or_default().program = text("program"),
            "attempt_started" => {
                if key.1 > 1 && !self.attempts.contains_key(&(key.0.clone(), key.1 - 1)) {
                    self.disorder.push(format!("attempt {} of {} has none before it", key.1, key.0));
                }
                let known = Attempt { program: text("program"), ends: Vec::new() };
                if self.attempts.insert(key.clone(), known).is_some() {
                    self.disorder.push(format!("attempt {} of {} started again", key.1, key.0));
                }
                self.started.push((seq, key));
            }
            "attempt_ended" => self.attempts.entry(key).or_default().ends.push(Ended {
                seq,
                exit: record["exit"].as_u64(),
                signal: record["signal"].as_str().map(str::to_owned),
                class: record["class"].as_str().map(str::to_owned),
                text: record.to_string(),
            }),
            "retry_scheduled" => {
                let delay_ms = record["delay_ms"].as_u64().expect("a number");
                let due_ns = self.calendar.monotonic(&text("due_at"));
                self.promises.push(Promise { seq, run: key.0, delay_ms, due_ns });
            }
            // Its own time and all that follow are by the clock of the new life.
            "supervisor_restarted" => self.calendar.told_ms = self.calendar.moved_ms,
            "run_ended" => {
                self.runs.entry(key.0).or_default().ends.push((text("phase"), text("end_reason")));
            }
            "breaker_changed" if text("scope") == "program:guarded" && text("to") == "open" => {
                self.opened.push(seq);
            }
            _ => {}
        }
    }

    pub(crate) fn has_ended(&self, key: &AttemptKey) -> bool {
        self.attempts.get(key).is_some_and(|attempt| !attempt.ends.is_empty())
    }
}
