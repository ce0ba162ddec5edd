//! The README's commands, read from the README, so that it cannot promise what does not work.

use crate::{
    daemon::{Daemon, example, run, supervise},
    rows::Rows,
};
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SUPERVISE: &str = "cargo run --release --example supervise -- ";

fn readme() -> String {
    std::fs::read_to_string(Path::new(ROOT).join("README.md")).expect("a README")
}

/// The commands of the blocks of shell, without their comments.
fn commands(readme: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut shell = false;
    for line in readme.lines() {
        match line.strip_prefix("```") {
            Some(language) => shell = !shell && language == "sh",
            None if shell => {
                let command = line.split(" # ").next().unwrap_or_default().trim();
                commands.extend(Some(command.to_owned()).filter(|command| !command.is_empty()));
            }
            None => {}
        }
    }
    commands
}

#[test]
fn the_readme_begins_with_commands_that_work() {
    let commands = commands(&readme());
    let of_supervise: Vec<&str> = commands.iter().filter_map(|line| line.strip_prefix(SUPERVISE)).collect();
    let [up, others @ ..] = of_supervise.as_slice() else { panic!("no command of supervise: {commands:?}") };
    for line in commands.iter().filter(|line| !line.starts_with(SUPERVISE)) {
        // That one is who runs us.
        assert_eq!(line, "cargo test --workspace", "the README has a command that nobody tries");
        println!("PASS  (this)  {line}");
    }

    // As it is written, but for the port and the store, which belong to whoever has them.
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("store");
    let mut command = supervise(Path::new(ROOT));
    command.args(up.split_whitespace()).arg("--data").arg(&store).args(["--listen", "127.0.0.1:0"]);
    assert!(up.starts_with("up "), "the first command starts the daemon: {up}");
    let daemon = Daemon::start(command, Path::new(ROOT));
    println!("PASS  (lives)  supervise {up}");
    let mut rows = Rows::default();
    for line in others {
        let data = store.to_str().expect("text");
        let mut args: Vec<&str> = line.split_whitespace().collect();
        args.extend(["--data", data]);
        if args.contains(&"-f") {
            let first = daemon.first_line(&args);
            assert!(first.contains("tick"), "{line}: {first}");
            println!("PASS  (follows)  supervise {line}");
            continue;
        }
        if args.contains(&"ps") {
            daemon.until(&args, "● running"); // It starts while we type.
        }
        let words: &[&str] = match args.as_slice() {
            ["ps", ..] => &["NAME", "clock", "running", "scraper", "report", "newsletter"],
            ["why", name, ..] => &[name, "attempt 1 started"],
            _ => &[],
        };
        rows.check(&format!("supervise {line}"), &daemon.ask(&args), 0, words);
    }
    rows.end();
    assert_eq!(daemon.end(), 0, "SIGTERM ends it in order");
}

#[test]
fn the_examples_that_the_readme_names_are_there_and_the_first_one_runs() {
    let readme = readme();
    let named: Vec<&str> = readme
        .split("cargo run --example ")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
        .collect();
    assert!(named.contains(&"quickstart"), "{named:?}");
    for name in &named {
        // Those that take long are run by `.ci/run`; and an example with tests of its own is built as a test alone.
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let there = [folder.join(format!("{name}.rs")), folder.join(name).join("main.rs")];
        assert!(there.iter().any(|file| file.is_file()), "the README names an example `{name}`");
        println!("PASS  (there)  {name}");
    }
    let mut rows = Rows::default();
    rows.check("quickstart", &run(std::process::Command::new(example("quickstart"))), 0, &["HTTP 429"]);
    rows.end();
}
