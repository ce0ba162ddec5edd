//! A typo in each kind of file, and in each kind of name.

use crate::{
    daemon::{Daemon, run, supervise},
    rows::Rows,
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

const HEAD: &str = "version = 1\n[store]\npath = \"store\"\n";

#[test]
fn a_typo_in_the_configuration_is_named_with_its_line_and_what_was_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rows = Rows::default();
    for (what, text, words) in [
        ("no typo", "[program.a]\ncommand = [\"true\"]\n", &["ok"][..]),
        ("a key", "[program.a]\ncomand = [\"true\"]\n", &["supervise.toml:5:1", "did you mean `command`?"]),
        ("a table", "[progam.a]\ncommand = [\"true\"]\n", &["supervise.toml:4:2", "did you mean `program`?"]),
        (
            "a word",
            "[program.a]\ncommand = [\"true\"]\nrestart = \"alway\"\n",
            &["supervise.toml:6", "did you mean \"always\"?"],
        ),
        (
            "a bare number",
            "[program.a]\ncommand = [\"true\"]\ntimeout = 5\n",
            &["supervise.toml:6", "\"5s\""],
        ),
        ("a bracket", "[program.a\ncommand = [\"true\"]\n", &["supervise.toml:4"]),
        (
            "two at once",
            "[program.a]\ncomand = [\"true\"]\nretry = { max_retrys = 3 }\n",
            &["`command`?", "`max_retries`?"],
        ),
        (
            "a pattern",
            "[program.a]\ncommand = [\"true\"]\nclassify = [{ class = \"x\", pattern = \"(\" }]\n",
            &["supervise.toml:6"],
        ),
        (
            "a parameter in braces",
            "[program.a]\ncommand = [\"echo\", \"{hots}\"]\n[program.a.params.host]\ntype = \"string\"\n",
            &["{hots}", "host"],
        ),
    ] {
        fs::write(folder.path().join("supervise.toml"), format!("{HEAD}{text}")).expect("written");
        let mut check = supervise(folder.path());
        check.arg("check");
        let code = if words == ["ok"] { 0 } else { 2 };
        rows.check(&format!("supervise check, {what}"), &run(check), code, words);
        if code != 0 {
            let mut up = supervise(folder.path());
            up.args(["up", "--listen", "127.0.0.1:0"]);
            rows.check(&format!("supervise up, {what}"), &run(up), 2, words);
        }
    }
    let mut missing = supervise(folder.path());
    missing.args(["check", "supervise.tmol"]);
    rows.check("supervise check supervise.tmol", &run(missing), 2, &["supervise.tmol", "does not exist"]);
    rows.end();
}

fn script(folder: &Path, name: &str, text: &str, mode: u32) {
    let path = folder.join(name);
    fs::write(&path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

#[test]
fn a_typo_in_a_script_an_environment_or_a_token_is_told_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    script(folder.path(), "there.sh", "#!/bin/sh\necho works\n", 0o755);
    script(folder.path(), "interpreter", "#!/bin/shh\necho never\n", 0o755);
    script(folder.path(), "words.sh", "#!/bin/sh\nehco hello\nexit 7\n", 0o755);
    fs::write(folder.path().join("bad.env"), "GOOD=1\nthis is no assignment\n").expect("written");
    let no_retry = "retry = { max_retries = 0 }\n";
    let program = |name: &str, keys: &str| format!("[program.{name}]\n{keys}\n{no_retry}");
    let config = [
        HEAD.to_owned(),
        program("works", "script = \"there\"\nscript_path = [\".\"]"),
        program("name", "script = \"theer\"\nscript_path = [\".\"]"),
        program("shebang", "script = \"interpreter\"\nscript_path = [\".\"]"),
        program("inside", "script = \"words\"\nscript_path = [\".\"]"),
        program("command", "command = [\"ehco\", \"hello\"]"),
        program("folder", "command = [\"true\"]\ncwd = \"nowehre\""),
        program("environment", "command = [\"true\"]\nenv_file = \"bad.env\""),
        program("no-environment", "command = [\"true\"]\nenv_file = \"bda.env\""),
    ]
    .concat();
    let daemon = Daemon::of(&config, folder.path());
    let mut rows = Rows::default();
    for (program, code, words) in [
        ("works", 0, &["works"][..]),
        ("name", 1, &["theer"]),
        ("shebang", 1, &["/bin/shh"]),
        ("inside", 7, &["ehco"]),
        ("command", 1, &["`ehco`"]),
        ("folder", 1, &["nowehre"]),
        ("environment", 1, &["bad.env is not KEY=value"]),
        ("no-environment", 1, &["bda.env"]),
    ] {
        let said = daemon.ask(&["run", program, "--wait"]);
        rows.check(&format!("supervise run {program} --wait"), &said, code, words);
        if code != 0 {
            let said = daemon.ask(&["why", program]);
            rows.check(&format!("supervise why {program}"), &said, 0, words);
        }
    }
    fs::write(folder.path().join("wrong-token"), "0123\n").expect("written");
    let said = daemon.ask(&["ps", "--token-file", "wrong-token"]);
    rows.check(
        "supervise ps --token-file wrong-token",
        &said,
        1,
        &["token is not the right one", "wrong-token"],
    );
    let said = daemon.ask(&["ps", "--token-file", "wrong-tokne"]);
    rows.check("supervise ps --token-file wrong-tokne", &said, 2, &["wrong-tokne"]);
    rows.end();
    assert_eq!(daemon.end(), 0);
}
