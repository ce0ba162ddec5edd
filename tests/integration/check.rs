//! The command line reads a file: what it says of good ones and of bad ones.

use crate::death::supervise;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn check(folder: &Path, text: &str) -> Output {
    fs::write(folder.join("supervise.toml"), text).expect("the folder can be written to");
    let mut command = Command::new(supervise());
    command.args(["check", "supervise.toml"]).current_dir(folder).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_file_with_doubtful_places_is_ok_and_its_warnings_are_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = "[program.p]\nscript = \"x\"\n[program.p.retry]\nmax_failing = \"10s\"\n\
                [program.p.classes.rate_limted]\nretry = false\n";
    let answer = check(folder.path(), file);
    assert_eq!((answer.status.code(), text(&answer.stdout).as_str()), (Some(0), "ok\n"));
    let told = text(&answer.stderr);
    assert!(told.contains("warning[config.conflict]") && told.contains("supervise.toml:4:15"), "{told}");
    assert!(told.contains("warning[config.unknown_class]") && told.contains("supervise.toml:5:20"), "{told}");
}

#[test]
fn a_bad_file_is_told_everything_at_once_and_ends_with_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = "[program.p]\ncomand = [\"x\"]\nscript = \"x\"\ntimeout = 5\nretry.factor = 0.5\n";
    let answer = check(folder.path(), file);
    assert_eq!((answer.status.code(), answer.stdout.as_slice()), (Some(2), &b""[..]));
    let told = text(&answer.stderr);
    for place in ["supervise.toml:2:1", "supervise.toml:4:11", "supervise.toml:5:16"] {
        assert!(told.contains(place), "{place} in\n{told}");
    }
    assert!(told.contains("| ^^^^^^\n") && told.contains("help: did you mean `command`?"), "{told}");
}
