//! Recordings of earlier versions: what their machines were told and decided, decided again by the machines of here and now.
//!
//! `tests/recordings` has a file for each test whose decisions were kept, and one of a supervisor that was killed again and
//! again. Each line is a commit; the first is the store's seed. `KEEP_RECORDINGS=FOLDER cargo test --test integration` writes
//! such files. A change of the rules that is meant changes what is decided: then these are recorded anew, in the commit
//! that changes them.

use actix_process::{
    ProcessManager,
    actors::model::Written,
    simulate::{Compared, Replay},
};
use serde_json::{Value, json};
use std::{fmt::Write as _, path::Path};

/// Bytes read at once.
const PAGE: usize = 1 << 20;

/// Writes what this manager was told and decided, where the environment asks for it.
pub(crate) async fn keep(pm: &ProcessManager) {
    let Some(folder) = std::env::var_os("KEEP_RECORDINGS") else { return };
    let (mut text, mut after) = (String::new(), (0, 0));
    loop {
        let page = pm.recording(after, PAGE).await.expect("the journal reads");
        if text.is_empty() {
            writeln!(text, "{}", json!({"seed": page.seed.to_string()})).expect("memory takes it");
        }
        let Some(last) = page.commits.last() else { break };
        after = last.place;
        for commit in &page.commits {
            let read = |lines: &[Vec<u8>]| -> Vec<Value> {
                lines.iter().map(|line| serde_json::from_slice(line).expect("it is JSON")).collect()
            };
            let line = json!({"records": read(&commit.records), "inputs": read(&commit.inputs)});
            writeln!(text, "{line}").expect("memory takes it");
        }
    }
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed").replace("::", "-");
    std::fs::write(Path::new(&folder).join(format!("{name}.jsonl")), text).expect("the folder takes it");
}

/// What was decided, decided again from a file.
fn decide_again(path: &Path) -> Vec<Compared> {
    let text = std::fs::read_to_string(path).expect("it reads");
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("it is JSON"));
    let seed = lines.next().expect("the seed");
    let mut replay = Replay::new(seed["seed"].as_str().expect("a text").parse().expect("a number"));
    let mut compared = Vec::new();
    for commit in lines {
        let of = |name: &str| {
            let lines = commit[name].as_array().expect("a list");
            lines.iter().map(|line| line.to_string().into_bytes()).collect()
        };
        let written = Written { records: of("records"), inputs: of("inputs"), ..Written::default() };
        compared.extend(replay.take(&written));
    }
    compared.extend(replay.finish());
    compared
}

#[test]
fn what_earlier_versions_decided_is_decided_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut decisions = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it reads").path();
        let compared = decide_again(&path);
        let differs = compared.iter().find(|one| !one.agrees());
        assert!(differs.is_none(), "{}: {differs:#?}", path.display());
        assert!(!compared.is_empty(), "{}: nothing was decided", path.display());
        decisions += compared.len();
    }
    assert!(decisions > 1_000, "only {decisions} decisions are kept");
}
