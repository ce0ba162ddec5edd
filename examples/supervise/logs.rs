//! `logs`: stored output, and what comes.

use crate::{
    answer::{is_ended, items, next_cursor, plain, text},
    args::{Lines, LogFormat, Logs},
    client::Client,
    failure::{Failure, code},
    passing::Bytes,
    screen::{Screen, Tint, escape, json_shown},
    target::{Target, is_program_name},
    when,
};
use actix_process::actors::model::{Class, did_you_mean};
use serde_json::Value;
use std::{
    fs::File,
    io::{self, IsTerminal, Read, Write},
    os::fd::AsFd,
    sync::mpsc,
    time::Duration,
};

/// Lines without `-n`: a screenful.
const DEFAULT_LINES: u64 = 50;
/// Records in one answer; the daemon gives no more than this.
const PAGE: u64 = 1000;
/// How long the daemon holds an answer back until there is something to say.
const POLL: &str = "20s";
/// The same for a run: the end of its output is no output, so it has to be looked for.
const RUN_POLL: &str = "1s";
/// Pages that may be empty although more was written, each after 2 s: beyond them the daemon's store stands still.
const MOST_EMPTY: u32 = 5;
/// How often a follower asks again for a daemon that went away, a second apart, before it gives up.
const RECONNECTS: u32 = 60;

/// Filters as the API has them.
pub(crate) type Filters = Vec<(&'static str, String)>;

pub(crate) fn logs(client: &Client, screen: &mut Screen, ask: &Logs) -> Result<(), Failure> {
    let filters = filters(client, ask)?;
    let lines = match ask.lines {
        Some(lines) => lines,
        None if ask.after_cursor.is_some() => Lines::All,
        None => Lines::Newest(DEFAULT_LINES),
    };
    if !ask.follow && !ask.show_cursor && ask.output != LogFormat::Short {
        return stream(client, ask, &filters, lines);
    }
    let mut reader =
        Reader { client, screen, ask, filters, cursor: ask.after_cursor.clone(), printed: 0, behind: false };
    match lines {
        Lines::All => reader.forward(u64::MAX)?,
        Lines::Newest(count) if ask.after_cursor.is_some() => reader.forward(count)?,
        Lines::Newest(0) => reader.skip_to_end()?,
        Lines::Newest(count) => reader.newest(count)?,
    }
    let silent = reader.printed == 0;
    if ask.follow {
        // What is not there yet may come with a reload.
        if silent && let Err(failure) = exists(client, ask) {
            eprintln!("supervise: {}; following all the same", failure.what);
        }
        reader.follow()?;
    } else if silent {
        exists(client, ask)?;
    }
    reader.end()
}

/// The child's bytes, or JSON lines, copied as they come.
fn stream(client: &Client, ask: &Logs, filters: &Filters, lines: Lines) -> Result<(), Failure> {
    let accept = if ask.output == LogFormat::Cat { "text/plain" } else { "application/x-ndjson" };
    let count;
    let mut query = borrowed(filters);
    match (&ask.after_cursor, lines) {
        (_, Lines::Newest(0)) => return Ok(()),
        (None, Lines::All) => query.push(("dir", "fwd")),
        (None, Lines::Newest(n)) => {
            count = n.to_string();
            query.extend([("dir", "back"), ("limit", &count)]);
        }
        (Some(cursor), Lines::All) => query.extend([("dir", "fwd"), ("cursor", cursor)]),
        (Some(cursor), Lines::Newest(n)) => {
            count = n.to_string();
            query.extend([("dir", "fwd"), ("cursor", cursor), ("limit", &count)]);
        }
    }
    let mut body = client.open("/logs", &query, accept)?.into_body();
    // Past std's line buffer: what came in one piece goes out in one piece.
    let mut out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut buffer = vec![0; 128 << 10];
    let mut input = body.as_reader();
    let mut copied = false;
    // Of JSON, a terminal is shown what it does not obey.
    let mut lines = (ask.output == LogFormat::Json && out.is_terminal()).then(Vec::new);
    loop {
        let length = input.read(&mut buffer).map_err(|error| client.unreachable(&error.to_string()))?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
        copied = true;
        let Some(lines) = &mut lines else {
            out.write_all(bytes)?;
            continue;
        };
        lines.extend_from_slice(bytes);
        let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let shown: Vec<u8> = lines.drain(..whole).collect();
        out.write_all(json_shown(&String::from_utf8_lossy(&shown)).as_bytes())?;
    }
    if copied { Ok(()) } else { exists(client, ask) }
}

struct Reader<'a> {
    client: &'a Client,
    screen: &'a mut Screen,
    ask: &'a Logs,
    filters: Filters,
    /// The place after the last record seen.
    cursor: Option<String>,
    printed: u64,
    /// More had been written than the last page could have.
    behind: bool,
}

impl Reader<'_> {
    /// The newest `count`, oldest of them first.
    fn newest(&mut self, count: u64) -> Result<(), Failure> {
        let mut pages = Vec::new();
        let mut before: Option<String> = None;
        let mut left = count;
        while left > 0 {
            let limit = left.min(PAGE).to_string();
            let mut query = borrowed(&self.filters);
            query.extend([("dir", "back"), ("limit", limit.as_str())]);
            query.extend(before.as_deref().map(|cursor| ("cursor", cursor)));
            let page = self.client.get("/logs", &query)?;
            self.behind |= is_true(&page, "behind");
            let found = items(&page).len() as u64;
            left = left.saturating_sub(found);
            before = next_cursor(&page);
            pages.push(page);
            if found == 0 || before.is_none() {
                break;
            }
        }
        for page in pages.iter().rev() {
            // Where reading backwards goes on, the page's own records begin.
            self.print(items(page), next_cursor(page).as_deref())?;
        }
        Ok(())
    }

    /// From the cursor, or the oldest, as far as it goes now.
    fn forward(&mut self, count: u64) -> Result<(), Failure> {
        if self.ask.output == LogFormat::Cat && count == u64::MAX {
            while self.pass("0s")? > 0 {}
            return Ok(());
        }
        let (mut left, mut empty) = (count, 0);
        while left > 0 {
            let page = self.page(left.min(PAGE), None)?;
            self.behind = is_true(&page, "behind");
            let found = self.take(&page)?;
            left = left.saturating_sub(found);
            empty = if found == 0 { empty + 1 } else { 0 };
            if found == 0 && (!self.behind || empty > MOST_EMPTY) {
                break;
            }
        }
        Ok(())
    }

    /// To the place after the newest record, printing nothing.
    fn skip_to_end(&mut self) -> Result<(), Failure> {
        let narrow = self.filters.iter().filter(|(key, _)| matches!(*key, "run" | "program"));
        let mut query: Vec<_> = narrow.map(|(key, value)| (*key, value.as_str())).collect();
        query.extend([("dir", "back"), ("limit", "1")]);
        let page = self.client.get("/logs", &query)?;
        self.cursor = items(&page).last().and_then(cursor_of);
        Ok(())
    }

    /// What comes, until the run is over; a program is followed through all its runs.
    fn follow(&mut self) -> Result<(), Failure> {
        let mut failures = 0;
        loop {
            self.screen.flush()?;
            // The run before its output: when it is over here, all it wrote is in the pages that follow.
            let over = self.is_over()?;
            let wait = if over { None } else { Some(if self.run().is_some() { RUN_POLL } else { POLL }) };
            let taken = match self.ask.output {
                LogFormat::Cat => self.pass(wait.unwrap_or("0s")),
                LogFormat::Short | LogFormat::Json => self.page(PAGE, wait).and_then(|page| self.take(&page)),
            };
            match taken {
                Ok(0) if over => return Ok(()),
                Ok(_) => failures = 0,
                Err(failure) if failure.code == code::UNREACHABLE && failures < RECONNECTS => {
                    if failures == 0 {
                        eprintln!("supervise: the daemon went away, asking again; {}", failure.what);
                    }
                    failures += 1;
                    pause(Duration::from_secs(1));
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn run(&self) -> Option<&str> {
        self.filters.iter().find(|(key, _)| *key == "run").map(|(_, id)| id.as_str())
    }

    /// Whether a run is followed that will write no more by itself.
    fn is_over(&self) -> Result<bool, Failure> {
        let Some(id) = self.run() else { return Ok(false) };
        match self.client.get(&format!("/runs/{id}"), &[]) {
            Ok(run) => Ok(is_ended(&run)),
            Err(failure) if failure.code == code::UNREACHABLE => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    fn page(&self, limit: u64, wait: Option<&str>) -> Result<Value, Failure> {
        let limit = limit.to_string();
        let mut query = borrowed(&self.filters);
        query.extend([("dir", "fwd"), ("limit", limit.as_str())]);
        query.extend(self.cursor.as_deref().map(|cursor| ("cursor", cursor)));
        query.extend(wait.map(|wait| ("wait", wait)));
        self.client.get("/logs", &query)
    }

    /// Prints what was written behind the cursor, byte for byte; how much it was.
    fn pass(&mut self, wait: &str) -> Result<u64, Failure> {
        let mut bytes = Bytes::new(self.client, self.filters.clone());
        bytes.cursor = self.cursor.take();
        let page = bytes.next(wait, None).map(|page| {
            self.printed += page.len() as u64;
            self.screen.bytes(&page).map(|()| page.len() as u64)
        });
        self.cursor = bytes.cursor;
        Ok(page??)
    }

    /// Prints a page read forwards and moves on behind it; how many records it had.
    fn take(&mut self, page: &Value) -> Result<u64, Failure> {
        let from = self.cursor.clone();
        let records = items(page);
        self.print(records, from.as_deref())?;
        if let Some(next) = next_cursor(page) {
            self.cursor = Some(next);
        }
        Ok(records.len() as u64)
    }

    /// Prints records that come right after the cursor `from`.
    fn print(&mut self, records: &[Value], from: Option<&str>) -> Result<(), Failure> {
        if let Some(cursor) = records.last().and_then(cursor_of) {
            self.cursor = Some(cursor);
        }
        self.printed += records.len() as u64;
        // JSON cannot carry bytes that are no text; where some were replaced, they are asked for as they are.
        let torn = |record: &Value| text(record, "text").contains('\u{fffd}');
        if self.ask.output == LogFormat::Cat && records.iter().any(torn) {
            let limit = records.len().to_string();
            let mut query = borrowed(&self.filters);
            query.extend([("dir", "fwd"), ("limit", limit.as_str())]);
            query.extend(from.map(|cursor| ("cursor", cursor)));
            let mut bytes = Vec::new();
            let mut body = self.client.open("/logs", &query, "text/plain")?.into_body();
            let read = body.as_reader().read_to_end(&mut bytes);
            read.map_err(|error| self.client.unreachable(&error.to_string()))?;
            return Ok(self.screen.bytes(&bytes)?);
        }
        for record in records {
            match self.ask.output {
                LogFormat::Short => {
                    let line = short(self.screen, record);
                    self.screen.line(&line)?;
                }
                LogFormat::Json => self.screen.json(record)?,
                LogFormat::Cat => {
                    self.screen.bytes(text(record, "text").as_bytes())?;
                    if ends_line(record) {
                        self.screen.bytes(b"\n")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        if let Some(cursor) = self.cursor.as_deref().filter(|_| self.ask.show_cursor) {
            self.screen.line(&format!("-- cursor: {}", escape(cursor)))?;
        }
        self.screen.flush()?;
        if self.behind && !self.ask.follow {
            eprintln!(
                "supervise: more was written than the daemon has taken in so far; `supervise status` says what it waits for"
            );
        }
        Ok(())
    }
}

/// The options as the API has them. A program's name costs no question.
fn filters(client: &Client, ask: &Logs) -> Result<Filters, Failure> {
    let mut filters = Filters::new();
    if is_program_name(&ask.name) && !looks_like_suffix(&ask.name) {
        filters.push(("program", ask.name.clone()));
    } else {
        match Target::find(client, &ask.name)? {
            Target::Program(name, _) => filters.push(("program", name)),
            Target::Run(id, _) => filters.push(("run", id)),
        }
    }
    if ask.since.is_some() || ask.until.is_some() {
        // By its clock "5m ago" is meant, not by ours.
        client.get("/runs", &[("limit", "1")])?;
    }
    let now = when::now();
    let mut put = |key, value: Option<String>| filters.extend(value.map(|value| (key, value)));
    put("since", ask.since.as_deref().map(|text| when::parse(text, now)).transpose()?);
    put("until", ask.until.as_deref().map(|text| when::parse(text, now)).transpose()?);
    put("grep", ask.grep.clone());
    put("level", ask.level.as_deref().map(str::to_ascii_lowercase));
    put("class", ask.class.clone());
    put("attempt", ask.attempt.map(|number| number.to_string()));
    put("stream", if ask.stdout { Some("stdout".into()) } else { ask.stderr.then(|| "stderr".into()) });
    Ok(filters)
}

/// A lower-case end of an id that could be a name as well: only then the daemon is asked which it is.
fn looks_like_suffix(name: &str) -> bool {
    name.len() >= 6
        && name.chars().all(|c| c.is_ascii_alphanumeric())
        && name.contains(|c: char| c.is_ascii_digit())
}

/// Nothing was found: because there is no such thing, or because it wrote nothing?
fn exists(client: &Client, ask: &Logs) -> Result<(), Failure> {
    let target = Target::find(client, &ask.name)?;
    let program = match &target {
        Target::Program(name, _) => name,
        Target::Run(_, run) => text(run, "program"),
    };
    if let Some(class) = &ask.class {
        warn_of_class(client, program, class);
    }
    Ok(())
}

/// A class that no rule finds is a slip of the hand, or one of rules that were changed since: no failure.
fn warn_of_class(client: &Client, program: &str, class: &str) {
    // The rules of a program that was removed are gone with it.
    let Ok(rules) = client.get("/classes", &[("program", program)]) else { return };
    let own = items(&rules).iter().map(|rule| text(rule, "class"));
    let known: Vec<_> = Class::BUILTIN.iter().copied().chain(own).collect();
    if known.contains(&class) {
        return;
    }
    let help = match did_you_mean(class, known) {
        Some(near) => format!("did you mean `{}`?", escape(near)),
        None => format!("`supervise classes {}` lists them", escape(program)),
    };
    eprintln!("supervise: no rule of {} finds the class `{}`; {help}", escape(program), escape(class));
}

fn borrowed(filters: &Filters) -> Vec<(&str, &str)> {
    filters.iter().map(|(key, value)| (*key, value.as_str())).collect()
}

fn cursor_of(record: &Value) -> Option<String> {
    record.get("cursor").and_then(plain)
}

/// Whether the child ended a line with this record.
pub(crate) fn ends_line(record: &Value) -> bool {
    is_true(record, "newline")
}

fn is_true(record: &Value, key: &str) -> bool {
    record.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// `12:00:07.004Z scraper/2 err [rate_limited] HTTP 429`
fn short(screen: &Screen, record: &Value) -> String {
    let stream = if text(record, "stream") == "stderr" { "err" } else { "out" };
    let attempt = record.get("attempt").and_then(Value::as_u64).unwrap_or(0);
    let head =
        format!("{} {}/{attempt} {stream}", escape(text(record, "at")), escape(text(record, "program")));
    let class = match text(record, "class") {
        "" => String::new(),
        class => screen.paint(Tint::Waiting, &format!("[{}] ", escape(class))),
    };
    let tint = match text(record, "level") {
        "error" => Tint::Bad,
        "warn" => Tint::Waiting,
        _ => Tint::Plain,
    };
    let mark = if is_true(record, "partial") && !ends_line(record) { "…" } else { "" };
    let written = text(record, "text");
    let written = if screen.is_terminal() { last_state(written) } else { written };
    let line = screen.paint(tint, &escape(written));
    format!("{} {class}{line}{mark}", screen.paint(Tint::Dim, &head))
}

/// What a terminal would show at last of a line that begins anew at each carriage return.
fn last_state(line: &str) -> &str {
    let line = line.trim_end_matches('\r');
    line.rsplit('\r').next().unwrap_or(line)
}

/// Waits; nothing can end it early.
pub(crate) fn pause(time: Duration) {
    let (_sender, silence) = mpsc::channel::<()>();
    let _ = silence.recv_timeout(time);
}
