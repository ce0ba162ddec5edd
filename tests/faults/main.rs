//! Faults put into the rule books by hand, one at a time: each must make a test fail, or that test proves nothing.
//!
//! `breaker.toml`, `retry.toml` and `manager.toml` list them: `what` the fault is, the `file` of the room's machine, the text that it stands
//! for (`from`, once in that file) and what is put there (`to`), and the test below that machine which catches it
//! (`caught_by`). The tables in the rooms' `invariants.rs` (the Manager's `tests.rs`) say the same to who reads the tests.
//!
//! ```sh
//! cargo test --test faults -- --ignored --nocapture               # 10 to 20 minutes: builds the rooms once for each fault
//! FAULT=quarantine cargo test --test faults -- --ignored --nocapture     # those whose `what` has this word
//! ```

#![expect(clippy::disallowed_methods, reason = "cargo is started for each fault, and waited for")]
#![expect(clippy::unwrap_used, reason = "what cannot be read fails")]

use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The rooms, and where the table of their faults is.
const ROOMS: [(&str, &str, &str); 3] = [
    ("breaker", include_str!("breaker.toml"), "actors/src/breaker/machine/invariants.rs"),
    ("retry", include_str!("retry.toml"), "actors/src/retry/machine/tests/invariants.rs"),
    ("manager", include_str!("manager.toml"), "actors/src/manager/machine/tests.rs"),
];

#[derive(Deserialize)]
struct List {
    fault: Vec<Fault>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    what: String,
    file: String,
    from: String,
    to: String,
    caught_by: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn faults(list: &str) -> Vec<Fault> {
    toml::from_str::<List>(list).unwrap().fault
}

fn file_of(room: &str, fault: &Fault) -> String {
    format!("actors/src/{room}/machine/{}", fault.file)
}

#[test]
fn each_fault_has_its_place_and_stands_in_the_table_of_its_room() {
    for (room, list, table) in ROOMS {
        let (faults, text) = (faults(list), fs::read_to_string(root().join(table)).unwrap());
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with("//! | ")).skip(1).collect();
        let told: Vec<_> =
            faults.iter().map(|fault| format!("//! | {} | `{}` |", fault.what, fault.caught_by)).collect();
        assert_eq!(rows, told, "{table} and the list say the same, in the same order");
        for fault in &faults {
            let source = fs::read_to_string(root().join(file_of(room, fault))).unwrap();
            assert_eq!(
                source.matches(&fault.from).count(),
                1,
                "{room}: {}: its place is found once",
                fault.what
            );
            assert_ne!(fault.from, fault.to, "{}", fault.what);
        }
    }
}

#[test]
#[ignore = "10 to 20 minutes: builds the rooms once for each fault"]
fn each_fault_is_caught() {
    let tree = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults");
    fs::create_dir_all(&tree).unwrap();
    for part in
        ["Cargo.toml", "Cargo.lock", "actors", "src", "benches", "examples", "tests", "README.md", "docs"]
    {
        copy(&root().join(part), &tree.join(part));
    }
    let wanted = std::env::var("FAULT").unwrap_or_default();
    let (mut count, mut missed) = (0, Vec::new());
    for (room, list, _) in ROOMS {
        for fault in faults(list).iter().filter(|fault| fault.what.contains(&wanted)) {
            let path = tree.join(file_of(room, fault));
            let whole = fs::read_to_string(&path).unwrap();
            fs::write(&path, whole.replace(&fault.from, &fault.to)).unwrap();
            let test = format!("{room}::machine::{}", fault.caught_by);
            let output = run(&tree, &test);
            fs::write(&path, &whole).unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            count += 1;
            match text.lines().find(|line| line.starts_with("test result: ")) {
                Some(result) if result.contains("FAILED. 0 passed; 1 failed") => {
                    println!("caught: {room}: {} ({test})", fault.what);
                }
                Some(result) => missed.push(format!("{room}: {}: {test}: {result}", fault.what)),
                None => missed.push(format!(
                    "{room}: {}: not built\n{}",
                    fault.what,
                    String::from_utf8_lossy(&output.stderr)
                )),
            }
        }
    }
    println!("{} of {count} faults caught", count - missed.len());
    assert!(missed.is_empty() && count > 0, "{}", missed.join("\n"));
}

/// Runs one test of the rooms in that tree.
fn run(tree: &Path, test: &str) -> Output {
    Command::new(env!("CARGO"))
        .args(["test", "--package", "actix-process-actors", "--lib", "--", "--exact", test])
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", tree.join("target"))
        .env("CARGO_INCREMENTAL", "1")
        .output()
        .unwrap()
}

/// Copies what changed, so that what was built before in that tree is built on.
fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
        return;
    }
    let new = fs::read(from).unwrap();
    if fs::read(to).ok().as_ref() != Some(&new) {
        fs::write(to, new).unwrap();
    }
}
