//! A start that fails says which part was wrong, and what to do.

use crate::bench_of_one::bench;
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
