//! A manager over a store that is thrown away: what every test of this binary begins with.

use crate::recordings;
use actix_process::{
    ProcessManager, Program, RunHandle, RunStatus,
    actors::model::{JournalRecord, Phase, Stream},
    simulate,
};
use std::{future::Future, time::Duration};

/// Longest wait for something that must happen. Generous: the machine may be busy with the other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Bench {
    pub(crate) pm: ProcessManager,
    pub(crate) folder: tempfile::TempDir,
}

/// A place where children wait for a word. We hold both ends, so nobody's opening or closing is a race.
pub(crate) struct Gate {
    path: std::path::PathBuf,
    ends: std::fs::File,
}

impl Gate {
    pub(crate) fn new(folder: &std::path::Path) -> Self {
        let path = folder.join("gate");
        let name = std::ffi::CString::new(path.to_str().expect("text")).expect("no NUL");
        // SAFETY: the name is a C string that outlives the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let ends = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("it opens");
        Self { path, ends }
    }

    /// Shell that waits here.
    pub(crate) fn wait(&self) -> String {
        format!("read -r word < {}", self.path.display())
    }

    /// Lets one of those who wait go on.
    pub(crate) fn open(&self) {
        std::io::Write::write_all(&mut &self.ends, b"go\n").expect("there is room");
    }
}

/// A manager with these programs.
pub(crate) async fn bench(programs: impl IntoIterator<Item = Program>) -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let pm = ProcessManager::builder()
        .store(folder.path().join("store"))
        .programs(programs)
        .start()
        .await
        .expect("the manager starts");
    Bench { pm, folder }
}

/// A program that runs this line of shell.
pub(crate) fn shell(name: &str, line: &str) -> Program {
    Program::command(name, ["sh", "-c", line])
}

/// What must happen, or a panic that says what did not.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen within {PATIENCE:?}"),
    }
}

impl Bench {
    pub(crate) async fn start(&self, program: &str) -> RunHandle {
        self.pm.start(program).send().await.expect("the start fits")
    }

    /// Starts a program and waits for its end.
    pub(crate) async fn run(&self, program: &str) -> RunStatus {
        let run = self.start(program).await;
        in_time("the end of the run", run.wait()).await.expect("the run ends");
        run.status().await.expect("the run is known")
    }

    /// Waits until the run is in this phase.
    pub(crate) async fn phase(&self, run: &RunHandle, phase: Phase) -> RunStatus {
        let look = async {
            let mut seen = 0;
            loop {
                let status = run.status().await.expect("the run is known");
                if status.phase == phase {
                    return status;
                }
                seen = self.news(seen).await;
            }
        };
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(status) => status,
            Err(_) => panic!("never {phase:?}: {:#?}\n{:#?}", run.status().await, self.journal().await),
        }
    }

    /// Waits for journal records after this one; the newest.
    pub(crate) async fn news(&self, after: u64) -> u64 {
        use actix_process::actors::manager::GetEvents;
        let get = GetEvents { after, limit: 0, wait_ms: 200 };
        let events = self.pm.addr().send(get).await.expect("the manager lives").expect("the journal reads");
        events.last().map_or(after, |record| record.seq)
    }

    /// Everything a run wrote to a stream, byte for byte.
    pub(crate) async fn output(&self, run: &RunHandle, stream: Stream) -> Vec<u8> {
        let mut reader = run.logs().stream(stream).read();
        let mut bytes = Vec::new();
        while let Some(record) = in_time("a record", reader.next_record()).await.expect("output reads") {
            bytes.extend(record.bytes);
            if record.newline {
                bytes.push(b'\n');
            }
        }
        bytes
    }

    /// The whole journal.
    pub(crate) async fn journal(&self) -> Vec<JournalRecord> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map_or(0, |record: &JournalRecord| record.seq);
            let page = self.pm.events(after).await.expect("the journal reads");
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// Every decision of the test is made again first, and must be the same.
    pub(crate) async fn end(self) {
        recordings::keep(&self.pm).await;
        let compared = simulate::decide_again(&self.pm).await.expect("the journal reads");
        let differs: Vec<_> = compared.iter().filter(|one| !one.agrees()).collect();
        assert!(differs.is_empty(), "{} of {}: {:#?}", differs.len(), compared.len(), differs.first());
        in_time("the shutdown", self.pm.shutdown()).await.expect("an orderly end");
    }
}
