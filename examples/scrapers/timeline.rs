//! The journal as a timeline: a line for what happened, and after it the runs to which it did.

use actix_process::actors::model::{Event, HeldReason, JournalRecord, Params, RunId, Timestamp};
use std::{
    collections::HashMap,
    io::{self, Write},
};

/// What happens to another run within this time is told on the same line.
const SAME_LINE_MS: u64 = 400;

#[derive(Debug, Default)]
pub(crate) struct Timeline {
    began: Option<Timestamp>,
    /// Names that are shorter than ids: the program and a number.
    names: HashMap<RunId, String>,
    /// What the line that is not yet ended says, and since when.
    line: Option<(String, Timestamp)>,
}

impl Timeline {
    /// Tells one record, if it is one that a person wants to see.
    pub(crate) fn show(&mut self, record: &JournalRecord) {
        if let (Event::RunQueued { .. }, Some(run), Some(program)) =
            (&record.event, record.run, &record.program)
        {
            let number = self.names.values().filter(|name| name.starts_with(program.as_str())).count() + 1;
            self.names.insert(run, format!("{program}-{number}"));
        }
        let Some(what) = in_words(&record.event) else { return };
        let began = *self.began.get_or_insert(record.at);
        let name = record.run.and_then(|run| self.names.get(&run)).cloned();
        let goes_on = self.line.as_ref().is_some_and(|(line, since)| {
            *line == what && name.is_some() && record.at.since(*since) < SAME_LINE_MS
        });
        if goes_on {
            print!(", {}", name.unwrap_or_default());
        } else {
            self.end();
            let ms = record.at.since(began);
            print!("{:>3}.{:02}s  {what}", ms / 1_000, ms % 1_000 / 10);
            if let Some(name) = name {
                print!(": {name}");
            }
            self.line = Some((what, record.at));
        }
        // Half a line is told while it grows; a screen that is gone is no reason to stop.
        let _ = io::stdout().flush();
    }

    /// Ends the line that is not yet ended.
    pub(crate) fn end(&mut self) {
        if self.line.take().is_some() {
            println!();
        }
    }
}

fn in_words(event: &Event) -> Option<String> {
    Some(match event {
        Event::AttemptStarted { params, probe, .. } => {
            let who = if *probe { "PROBE started" } else { "started" };
            format!("{who}, qpi {}", qpi(params))
        }
        Event::AttemptEnded { class: Some(class), line, .. } => {
            let answer: Vec<_> = line.as_deref().unwrap_or_default().split(' ').take(2).collect();
            format!("failed, {} ({class})", answer.join(" "))
        }
        Event::ParamChanged { name, from, to, why } => {
            format!("{} {from} → {to}: {why}", name.to_uppercase())
        }
        Event::ParamExhausted { name, value } => {
            format!("{} stays at its floor of {value}", name.to_uppercase())
        }
        Event::StartBlocked { reason: HeldReason::Breaker, .. } => "held back by the breaker".to_owned(),
        Event::BreakerChanged { from, to, why, .. } => {
            format!("BREAKER {} → {}: {why}", from.name().to_uppercase(), to.name().to_uppercase())
        }
        Event::ProbeExpired { .. } => "the probe said nothing for too long".to_owned(),
        Event::RunEnded { phase, .. } => phase.name().to_uppercase(),
        _ => return None,
    })
}

fn qpi(params: &Params) -> String {
    params.get("qpi").map_or_else(|| "unknown".to_owned(), ToString::to_string)
}
