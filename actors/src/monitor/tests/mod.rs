//! The actor with real files, its store, and a manager that only listens.

mod early;
mod gaps;
mod overtaken;
mod paging;
mod taking_in;

use super::*;
use crate::{
    model::{
        AttemptId, Command, Direction, ExitStatus, LogQuery, Page, Program, Record, RunId, Spool, SpoolSizes,
        Stream,
    },
    store::{Output, Retention, Store},
};
use actix::{Actor, Addr, Context, Handler};
use std::{
    fs::OpenOptions,
    io::Write,
    os::fd::OwnedFd,
    os::unix::net::UnixDatagram,
    path::Path,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;

type Heard = Arc<Mutex<Vec<Report>>>;

struct Listener(Heard);

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Report> for Listener {
    type Result = ();

    fn handle(&mut self, report: Report, _: &mut Context<Self>) {
        self.0.lock().unwrap().push(report);
    }
}

/// A Monitor with one place for its store and its spools.
struct World {
    dir: TempDir,
    output: Option<Output>,
    monitor: Addr<MonitorActor>,
    wakes: UnixDatagram,
    heard: Heard,
}

impl World {
    fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap())
    }

    fn in_dir(dir: TempDir) -> Self {
        let store = Store::open(&dir.path().join("store")).unwrap();
        let output = Output::open(&store, Retention::default()).unwrap();
        let (wakes, hears) = UnixDatagram::pair().unwrap();
        let heard = Heard::default();
        let manager = Listener(heard.clone()).start();
        let monitor = MonitorActor::new(output.clone(), OwnedFd::from(hears), manager.recipient()).start();
        Self { dir, output: Some(output), monitor, wakes, heard }
    }

    fn spool(&self, attempt: AttemptId) -> Spool {
        Spool {
            token: u64::from(attempt.number),
            stdout: self.dir.path().join(format!("{}.{}.out", attempt.run, attempt.number)),
            stderr: self.dir.path().join(format!("{}.{}.err", attempt.run, attempt.number)),
        }
    }

    fn write(&self, attempt: AttemptId, stream: Stream, bytes: &[u8]) {
        let spool = self.spool(attempt);
        append(if stream == Stream::Stdout { &spool.stdout } else { &spool.stderr }, bytes);
    }

    async fn watch(&self, attempt: AttemptId, program: &Program) {
        self.watch_with(attempt, program, &[]).await;
    }

    async fn watch_with(&self, attempt: AttemptId, program: &Program, secrets: &[&str]) {
        let secrets = secrets.iter().map(|s| (*s).to_owned()).collect();
        let watch = Watch {
            attempt,
            program: Arc::new(program.clone()),
            spool: self.spool(attempt),
            secrets,
            first_output: false,
            judged: false,
        };
        self.monitor.send(watch).await.unwrap();
    }

    async fn query(&self, query: LogQuery) -> Page {
        self.monitor.send(Query { query, wait_ms: 0 }).await.unwrap().unwrap()
    }

    async fn all(&self, attempt: AttemptId, page: usize) -> Vec<Record> {
        self.forward(query_of(attempt, page)).await
    }

    async fn forward(&self, mut query: LogQuery) -> Vec<Record> {
        query.direction = Direction::Forward;
        let mut records = Vec::new();
        loop {
            let page = self.query(query.clone()).await;
            query.cursor = page.next;
            let end = page.records.is_empty();
            records.extend(page.records);
            if end {
                return records;
            }
        }
    }

    async fn backward(&self, mut query: LogQuery) -> Vec<Record> {
        query.direction = Direction::Back;
        let mut pages = Vec::new();
        loop {
            let page = self.query(query.clone()).await;
            pages.push(page.records);
            query.cursor = page.next;
            if query.cursor.is_none() {
                return pages.into_iter().rev().flatten().collect();
            }
        }
    }

    async fn close(&self, attempt: AttemptId) {
        let spool = self.spool(attempt);
        let size = |path| std::fs::metadata(path).map_or(0, |meta: std::fs::Metadata| meta.len());
        let sizes = SpoolSizes { stdout: size(&spool.stdout), stderr: size(&spool.stderr) };
        self.monitor.send(Close { attempt, sizes }).await.unwrap();
    }

    async fn drain(&self, attempt: AttemptId, exit: ExitStatus, stdout: u64, stderr: u64) -> Drained {
        self.monitor
            .send(Drain { attempt, exit, up_to: SpoolSizes { stdout, stderr }, more: false })
            .await
            .unwrap()
    }

    /// Ends the Monitor and its store without any farewell, as a crash does; what was not flushed is lost.
    async fn crash(mut self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(self.dir.path(), copy.path());
        self.output = None;
        copy
    }
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn attempt(n: u64) -> AttemptId {
    AttemptId { run: RunId::from_parts(1_700_000_000_000, u128::from(n)), number: u32::try_from(n).unwrap() }
}

fn program() -> Program {
    Program::new("scraper", Command::Argv(vec!["true".into()]))
}

fn query_of(attempt: AttemptId, limit: usize) -> LogQuery {
    let mut query = LogQuery { limit, ..LogQuery::default() };
    query.filter.run = Some(attempt.run);
    query
}

/// The child's bytes again.
fn bytes(records: &[Record], stream: Stream) -> Vec<u8> {
    let mut all = Vec::new();
    for record in records.iter().filter(|record| record.stream == stream) {
        all.extend_from_slice(&record.bytes);
        if record.newline {
            all.push(b'\n');
        }
    }
    all
}

fn text(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(&record.bytes).into_owned()).collect()
}

#[track_caller]
fn assert_same(found: &[u8], expected: &[u8]) {
    let at = found.iter().zip(expected).position(|(a, b)| a != b);
    assert!(
        found == expected,
        "{} bytes in place of {}, first difference at {at:?}",
        found.len(),
        expected.len()
    );
}
