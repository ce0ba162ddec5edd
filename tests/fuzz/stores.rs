//! Damaged stores: a bit or a piece of any file. Each is opened; what is gone is counted where it was, or said in the log.

use crate::{draw::Draw, witness};
use actix_process::{
    ProcessManager, Program, RetryPolicy,
    actors::{manager::GetRuns, model::Stream},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(120);
const LINES: usize = 3_000;

fn programs() -> Vec<Program> {
    let once = || RetryPolicy::exponential("1s").max_retries(0).no_intensity();
    let shell =
        |name: &str, line: &str| Program::command(name, ["sh", "-c", line]).retry(once()).no_breaker();
    // Digits that hardly compress, so that there is more than one chunk of more than one part.
    let digits = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); x=$(((x*1103515245+12345+i)%2147483648)); \
                  echo \"line $i $x $((x*7919%2147483629)) $((x*104729%2147483587))\"; done";
    vec![shell("many", digits), shell("one", "echo one"), shell("fails", "echo 'HTTP 429'; exit 1")]
}

async fn open(store: &Path) -> actix_process::Result<ProcessManager> {
    let opening = ProcessManager::builder().store(store).programs(programs()).start();
    match tokio::time::timeout(PATIENCE, opening).await {
        Ok(opened) => opened,
        Err(_) => panic!("{} is not opened in time", store.display()),
    }
}

/// What a store tells of itself.
struct Told {
    /// With their phases.
    runs: BTreeMap<String, String>,
    /// Lines of `many` that are there, and those that a notice in their place counts.
    lines: usize,
    noticed: usize,
}

/// Lines that a notice of loss stands for.
fn lost(line: &str) -> Option<usize> {
    let rest = line.strip_prefix('[')?.strip_suffix("lost: the store was damaged here]")?;
    rest.split(' ').next()?.parse().ok()
}

async fn told(pm: &ProcessManager) -> Told {
    let mut all = GetRuns::default();
    all.limit = 1_000;
    let runs = pm.runs(all).await.expect("it answers");
    let runs =
        runs.iter().map(|run| (run.id.to_string(), format!("{} {:?}", run.program, run.phase))).collect();
    let mut reader = pm.logs().program("many").stream(Stream::Stdout).read();
    let (mut lines, mut noticed, mut seen) = (0, 0, BTreeSet::new());
    loop {
        let record = tokio::time::timeout(PATIENCE, reader.next_record()).await.expect("an answer in time");
        let Some(record) = record.expect("it reads") else { break };
        let line = String::from_utf8_lossy(&record.bytes).into_owned();
        match lost(&line) {
            Some(count) => noticed += count,
            None => {
                assert!(
                    line.starts_with("line ") && seen.insert(line.clone()),
                    "foreign or doubled: {line:?}"
                );
                lines += 1;
            }
        }
    }
    Told { runs, lines, noticed }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            drop(std::fs::copy(entry.path(), target))
        }
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() { files(&entry.path(), found) } else { found.push(entry.path()) }
    }
}

/// What was done to a file, in words.
fn damage(draw: &mut Draw, path: &Path) -> String {
    let mut bytes = std::fs::read(path).expect("it reads");
    let place = usize::try_from(draw.next() % bytes.len().max(1) as u64).expect("a place");
    let word = match draw.between(0, 5) {
        0..=2 if !bytes.is_empty() => {
            // Where something stands: a file of the database is mostly empty.
            let from = (0..bytes.len()).map(|step| (place + step) % bytes.len()).find(|at| bytes[*at] != 0);
            let bit = draw.between(0, 7);
            let at = from.unwrap_or(place);
            bytes[at] ^= 1 << bit;
            format!("bit {bit} of byte {at}")
        }
        3 => {
            bytes.truncate(place);
            format!("cut to {place} bytes")
        }
        4 if !bytes.is_empty() => {
            let end = bytes.len().min(place + 512);
            bytes[place..end].fill(0);
            format!("zeros from {place} to {end}")
        }
        _ => {
            bytes.truncate(0);
            "emptied".to_owned()
        }
    };
    std::fs::write(path, bytes).expect("written");
    word
}

#[actix::test]
async fn damaged_stores_are_opened_and_say_what_is_gone() {
    witness::watch();
    let (times, mut draw) = crate::cases(2);
    let folder = tempfile::tempdir().expect("a folder");
    let original = folder.path().join("original");
    let pm = open(&original).await.expect("it starts");
    for name in ["many", "one", "fails", "one"] {
        let run = pm.start(name).send().await.expect("it fits");
        tokio::time::timeout(PATIENCE, run.wait()).await.expect("in time").expect("it ends");
    }
    let whole = told(&pm).await;
    assert_eq!((whole.lines, whole.noticed, whole.runs.len()), (LINES, 0, 4));
    pm.shutdown().await.expect("an orderly end");
    let mut names = Vec::new();
    files(&original, &mut names);
    names.sort();
    let mut silent = Vec::new();
    for round in 0..times {
        for (number, name) in names.iter().enumerate() {
            let store = folder.path().join(format!("damaged-{round}-{number}"));
            copy(&original, &store);
            let relative = name.strip_prefix(&original).expect("inside");
            let what = format!("{}: {}", relative.display(), damage(&mut draw, &store.join(relative)));
            let (_, before) = witness::damage_logged(0);
            let pm = match open(&store).await {
                Ok(pm) => pm,
                Err(error) => {
                    let said = error.to_string();
                    assert!(
                        said.contains(relative.to_str().expect("text")) || error.help().is_some(),
                        "{what}: {said}"
                    );
                    continue;
                }
            };
            let now = told(&pm).await;
            let run = pm.start("one").send().await.expect("it works on");
            let end = tokio::time::timeout(PATIENCE, run.wait()).await.expect("in time").expect("it ends");
            assert!(end.is_success(), "{what}: {end:?}");
            pm.shutdown().await.expect("an orderly end");
            let (said, _) = witness::damage_logged(before);
            let runs = whole.runs.iter().filter(|(id, phase)| now.runs.get(*id) != Some(*phase)).count();
            let lines = LINES.saturating_sub(now.lines + now.noticed);
            if (runs > 0 || lines > 0) && said.is_empty() {
                silent.push(format!("{what}: {runs} runs and {lines} lines are gone"));
            }
            assert!(now.lines + now.noticed <= LINES, "{what}: {} lines and {} lost", now.lines, now.noticed);
            std::fs::remove_dir_all(&store).expect("removed");
        }
    }
    assert!(silent.is_empty(), "without a word: {silent:#?}");
    witness::assert_no_panic("a damaged store");
}
