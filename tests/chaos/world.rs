//! The folder of a test: the configuration with programs of every kind, the store, and the ledgers beside it.

use crate::{
    ledgers::{AttemptKey, Ledgers, read_again, read_on},
    supervisor::example,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

pub(crate) struct World {
    folder: tempfile::TempDir,
}

/// No jitter and no spread: what is due can be worked out. No breaker and no intensity, where they are not the subject.
const HEAD: &str = r#"version = 1
[store]
path = "store"
[defaults]
queue = 5000
breaker = false
stop_timeout = "400ms"
retry = { backoff = "constant", delay = "100ms", min_delay = "1ms", jitter = "none", intensity = false, startup_spread = "0s" }
"#;

/// One of each: name, what it is told, what its table says beside that.
const PROGRAMS: [(&str, &str, &str); 14] = [
    ("steady", "lines endless block 5 gap-us 5000 pad 30", "restart = 'always'\nautostart = true"),
    ("errors", "lines endless block 1 gap-us 3000 stderr 1", "restart = 'always'\nautostart = true"),
    ("deaf", "lines endless block 2 gap-us 10000 deaf 1", "restart = 'always'\nautostart = true"),
    (
        "flapping",
        "lines 30 block 10 code 1 last-ms 5",
        "restart = 'always'\nautostart = true\nretry.delay = '300ms'",
    ),
    ("well", "lines {lines} block 7 gap-us 300 last-ms {last_ms}", ""),
    ("flop", "lines 1 code 1 last-ms {last_ms}", "retry = { max_retries = 3, delay = '150ms' }"),
    ("codes", "lines {lines} code {code}", "retry.max_retries = 1"),
    ("signals", "lines {lines} signal {signal}", "retry.max_retries = 1"),
    ("later", "lines 2 code 1", "retry = { max_retries = 2, delay = '3s' }"),
    (
        "guarded",
        "lines 1 code 1",
        "retry.max_retries = 2\n\
         breaker = { failures = 2, failure_rate = 0.0, penalty = '2s', penalty_factor = 1.0, penalty_jitter = 0.0 }",
    ),
    (
        "limited",
        "lines 3 word HTTP_429 code 1",
        "retry.max_retries = 1\nclasses.rate_limited = { delay = '200ms', max_delay = '200ms' }",
    ),
    ("silent", "code {code} last-ms {last_ms}", "retry.max_retries = 1"),
    (
        "flood",
        "lines {lines} block 100 pad 60 code {code}",
        "retry.max_retries = 1\noutput.on_backlog = 'wait'",
    ),
    ("leaves", "lines 3 leave 1 code {code}", "retry.max_retries = 1"),
];

/// Programs that are wanted up always: an end with exit 0 is no success of theirs.
pub(crate) fn is_daemon(program: &str) -> bool {
    PROGRAMS.iter().any(|(name, _, more)| *name == program && more.contains("always"))
}

/// How often a job is tried again.
pub(crate) fn max_retries(program: &str) -> Option<usize> {
    let (_, _, more) = PROGRAMS.iter().find(|(name, ..)| *name == program)?;
    let (_, after) = more.split_once("max_retries = ")?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

impl World {
    /// With these programs alone.
    pub(crate) fn of(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let world = Self { folder };
        std::fs::create_dir(world.ledgers()).expect("a folder");
        let mut config = HEAD.to_owned();
        config.push_str(&format!("env = {{ LEDGERS = {:?} }}\n", world.ledgers()));
        for (name, told, more) in PROGRAMS.iter().filter(|(name, ..)| names.contains(name)) {
            config.push_str(&program(name, told, more));
        }
        std::fs::write(world.path().join("supervise.toml"), config).expect("written");
        world
    }

    pub(crate) fn whole() -> Self {
        Self::of(&PROGRAMS.map(|(name, ..)| name))
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn ledgers(&self) -> PathBuf {
        self.path().join("ledgers")
    }

    /// What children of this world have in their environment.
    pub(crate) fn mark(&self) -> String {
        format!("LEDGERS={}", self.ledgers().display())
    }

    /// Reads those that are new or may have changed.
    pub(crate) fn read_ledgers(&self, known: &mut Ledgers) {
        read_on(&self.ledgers(), known);
    }

    /// Reads those again that are known, or told by the journal.
    pub(crate) fn read_ledgers_again<'a>(
        &self,
        known: &mut Ledgers,
        told: impl Iterator<Item = &'a AttemptKey>,
    ) {
        read_again(&self.ledgers(), known, told);
    }

    /// Names of the files between children and store.
    pub(crate) fn spool(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.path().join("store/spool")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Kept where it can be looked at.
    pub(crate) fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}

fn program(name: &str, told: &str, more: &str) -> String {
    let mut words: Vec<String> = vec![format!("{:?}", example("numbered_lines"))];
    let mut params = BTreeSet::new();
    for (place, word) in told.split(' ').enumerate() {
        words
            .push(format!("{:?}", if place % 2 == 0 { format!("--{word}") } else { word.replace('_', " ") }));
        if let Some(param) = word.strip_prefix('{') {
            params.insert(param.trim_end_matches('}').to_owned());
            *words.last_mut().expect("just pushed") = format!("{word:?}");
        }
    }
    let mut text = format!("[program.{name}]\ncommand = [{}]\n{more}\n", words.join(", "));
    for param in params {
        text.push_str(&format!("params.{param} = {{ type = \"integer\", required = true }}\n"));
    }
    text
}
