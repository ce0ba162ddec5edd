//! A start that fails says which part was wrong, and what to do.

use crate::{bad_input::compare, bench_of_one::bench};
use actix_process::{Program, actors::model::Phase};
use std::os::unix::fs::PermissionsExt;

#[actix::test]
async fn which_of_script_interpreter_cwd_or_permission_was_wrong_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
    };
    write("fine.sh", "exit 0\n", 0o644);
    write("bad_interpreter", "#!/usr/bin/pyhton3\n", 0o755);
    write("locked", "#!/bin/sh\nexit 0\n", 0o644);
    write("no_format", "neither script nor program\n", 0o755);
    std::os::unix::fs::symlink("/bin/sh", folder.path().join("escape")).expect("linked");
    let path = folder.path().to_owned();
    let script = |name: &str, script: &str| Program::script(name, script).script_path([path.clone()]);
    let bench = bench([
        script("fine", "fine"),
        script("missing", "scrpe"),
        script("interpreter", "bad_interpreter"),
        script("permission", "locked"),
        script("escape", "escape"),
        script("cwd", "fine").cwd("/nowhere/at/all"),
        script("env-file", "fine").env_file("/nowhere/.env"),
        Program::command("unknown", ["no-such-program-anywhere"]),
        Program::command("slash", ["./no-such-file"]),
    ])
    .await;
    let run = bench.run("fine").await;
    assert_eq!(run.phase, Phase::Succeeded, "{run:?}");
    for (name, parts) in [
        ("missing", &["scrpe"][..]),
        ("interpreter", &["/usr/bin/pyhton3"]),
        ("permission", &["locked", "executable"]),
        ("escape", &["escape"]),
        ("cwd", &["/nowhere/at/all"]),
        ("env-file", &["/nowhere/.env"]),
        ("unknown", &["no-such-program-anywhere"]),
        ("slash", &["no-such-file"]),
    ] {
        let run = bench.run(name).await;
        assert_eq!((run.phase, run.attempt), (Phase::Failed, 1), "{name} is not tried again");
        let reason = run.reason.expect("a reason");
        for part in parts {
            assert!(reason.message.contains(part), "{name}: {:?} does not name {part}", reason.message);
        }
        assert!(!reason.help.is_empty(), "{name} has no help");
    }
    bench.end().await;
}

#[actix::test]
async fn what_is_said_to_starts_that_fail() {
    let folder = tempfile::tempdir().expect("a folder");
    let real = folder.path().canonicalize().expect("there");
    let write = |name: &str, text: &[u8], mode: u32| {
        let path = real.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
    };
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, real.join(name)).expect("linked");
    };
    write("scripts/scrape.py", b"pass\n", 0o644);
    write("scripts/interpreter", b"#!/usr/bin/pyhton3\n", 0o755);
    write("scripts/locked", b"#!/bin/sh\n", 0o644);
    write("scripts/locked_plain", b"exit 0\n", 0o644);
    write("scripts/no_line", b"exit 0\n", 0o755);
    write("scripts/crlf", b"#!/bin/sh\r\necho ok\r\n", 0o755);
    write("scripts/marked", b"\xef\xbb\xbf#!/bin/sh\necho ok\n", 0o755);
    write("bad.env", b"A=1\nexport B=2\n", 0o644);
    write("quoted.env", b"A=1\nB=\"x\" # fine\nC=\"x\"y\n", 0o644);
    write("open.env", b"A='x\n", 0o644);
    write("latin1.env", b"A=\xe9\n", 0o644);
    write("bin/tool", b"#!/bin/sh\n", 0o755);
    write("bin/closed", b"#!/bin/sh\n", 0o644);
    write("bin/python3", b"#!/bin/sh\n", 0o755);
    link("../bin/tool", "scripts/out");
    link("gone.sh", "scripts/dangling");
    link("/nowhere/tool", "bin/dangling");
    std::fs::create_dir(real.join("scripts/directory")).expect("made");
    crate::user_files::pipe(&real.join("pipe.env"));
    std::fs::File::create(real.join("large.env")).expect("made").set_len(20 << 30).expect("sparse");
    let script = |script: &str| Program::script("job", script).script_path(["scripts"]).base_dir(&real);
    let path = real.join("bin").display().to_string();
    let command = |word: &str| Program::command("job", [word]).base_dir(&real).env("PATH", &path);
    let fine = || Program::command("job", ["/bin/true"]).base_dir(&real);
    let mut text = String::new();
    for (what, program) in [
        ("a script that is not there", script("load")),
        ("a mistyped script", script("scrpe")),
        ("a script that is a directory", script("directory")),
        ("an interpreter that is not there", script("interpreter")),
        (
            "an interpreter that is not on the path",
            script("scrape").interpreter(["pyhton3"]).env("PATH", &path),
        ),
        ("a script that is not executable", script("locked")),
        ("the same without a `#!` line", script("locked_plain")),
        ("an executable script without a `#!` line", script("no_line")),
        ("a script with the line ends of Windows", script("crlf")),
        ("the same as a command", command("./scripts/crlf")),
        ("a script with a byte order mark", script("marked")),
        ("a link that leads out of the search path", script("out")),
        ("a link that leads nowhere", script("dangling")),
        ("a program that is not on the path", command("no-such-program")),
        ("a mistyped program", command("tolo")),
        ("a program on the path that is not executable", command("closed")),
        ("a path that is not there", command("./bin/nothing")),
        ("a path that is a directory", command("./bin")),
        ("a link to a program that is not there", command("./bin/dangling")),
        ("a working directory that is not there", fine().cwd("data")),
        ("a working directory that is a file", fine().cwd("bad.env")),
        ("an env file that is not there", fine().env_file("none.env")),
        ("an env file that is a directory", fine().env_file("scripts")),
        ("an env file that is a pipe", fine().env_file("pipe.env")),
        ("an env file that is a device", fine().env_file("/dev/zero")),
        ("an env file that is too large", fine().env_file("large.env")),
        ("an env file that is no text", fine().env_file("latin1.env")),
        ("an env file with a line that is none", fine().env_file("bad.env")),
        ("an env file with something behind a quote", fine().env_file("quoted.env")),
        ("an env file with a quote that does not end", fine().env_file("open.env")),
    ] {
        let bench = bench([program]).await;
        let run = bench.run("job").await;
        bench.end().await;
        assert_eq!((run.phase, run.attempt), (Phase::Failed, 1), "{what} is not tried again");
        let reason = run.reason.expect("a reason");
        text.push_str(&format!("{what}\n  {}\n  help: {}\n\n", reason.message, reason.help));
    }
    compare("spawn", &text.replace(real.to_str().expect("text"), "FOLDER"));
}

#[actix::test]
async fn what_could_not_be_executed_in_a_program_is_not_tried_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let real = folder.path().canonicalize().expect("there");
    let write = |name: &str, text: &str, mode: u32| {
        std::fs::write(real.join(name), text).expect("written");
        std::fs::set_permissions(real.join(name), std::fs::Permissions::from_mode(mode)).expect("set");
    };
    write("by_env", "#!/usr/bin/env python99\n", 0o755);
    write("crlf", "#!/usr/bin/env sh\r\n", 0o755);
    write("locked", "#!/bin/sh\n", 0o644);
    let program = |name: &str, argv: &[&str]| Program::command(name, argv.iter().copied()).base_dir(&real);
    let bench = bench([
        program("by_env", &["./by_env"]),
        program("crlf", &["./crlf"]),
        program("locked", &["sh", "-c", "./locked"]),
        program("quiet", &["sh", "-c", "exit 127"]),
    ])
    .await;
    for (name, help) in [
        ("by_env", "was not found"),
        ("crlf", "Windows"),
        ("locked", "may not be executed"),
        ("quiet", "was not found"),
    ] {
        let run = bench.run(name).await;
        let reason = run.reason.expect("a reason");
        assert_eq!((run.phase, run.attempt, reason.class.as_str()), (Phase::Failed, 1, "config"), "{name}");
        assert!(reason.help.contains(help), "{name}: {}", reason.help);
    }
    bench.end().await;
}
