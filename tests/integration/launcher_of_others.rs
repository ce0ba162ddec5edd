//! A launcher of scrapers as people write it by hand: two options always, two with a value only if it is given, four switches
//! and a list. Written plainly, in a file and in code, it must give the same arguments in every combination.

use crate::{
    bench_of_one::{bench, in_time},
    death::Daemon,
};
use actix_process::{
    Arg, Param, Program,
    actors::model::Stream,
    config::{self, ConfigErrors},
};
use std::{fs, path::Path, process::Stdio};

/// Prints its arguments, each ended by NUL.
const PRINT: &str = r#"for a in "$@"; do printf '%s\0' "$a"; done"#;

const SWITCHES: [&str; 4] = ["headless", "dry_run", "verbose", "smart"];

const FILE: &str = r#"
[program.search]
command = ["sh", "-c", 'for a in "$@"; do printf "%s\0" "$a"; done', "sh"]
args = [
    "--industry", "{industry}", "--pages={pages}",
    ["--daterestrict", "{daterestrict}"],
    ["--mode={mode}"],
    { when = "headless", args = ["--headless"] },
    { when = "dry_run", args = ["--dry-run"] },
    { when = "verbose", args = ["-v"] },
    { when = "smart", args = ["--smart"] },
    ["--tag", "{tags*}"],
]
[program.search.params]
industry = { required = true }
pages = { type = "integer", default = 3 }
daterestrict = {}
mode = { type = "choice", choices = ["fast", "deep"] }
headless = { type = "boolean" }
dry_run = { type = "boolean", default = false }
verbose = { type = "boolean" }
smart = { type = "boolean" }
tags = { type = "list" }
"#;

fn in_code() -> Program {
    let program = Program::command("search", ["sh", "-c", PRINT, "sh"])
        .args((
            "--industry",
            "{industry}",
            "--pages={pages}",
            ["--daterestrict", "{daterestrict}"],
            ["--mode={mode}"],
            Arg::when("headless", ["--headless"]),
            Arg::when("dry_run", ["--dry-run"]),
            Arg::when("verbose", ["-v"]),
            Arg::when("smart", ["--smart"]),
            ["--tag", "{tags*}"],
        ))
        .param(Param::string("industry").required())
        .param(Param::integer("pages").default(3))
        .param(Param::string("daterestrict"))
        .param(Param::choice("mode", ["fast", "deep"]))
        .param(Param::list("tags"));
    let switch = |name: &str| {
        let param = Param::boolean(name);
        if name == "dry_run" { param.default(false) } else { param }
    };
    SWITCHES.into_iter().fold(program, |program, name| program.param(switch(name)))
}

/// What must come out, by hand.
fn expected(bits: u32) -> Vec<&'static str> {
    let is = |bit: u32| bits & (1 << bit) != 0;
    let mut argv = vec!["--industry", "a b; $(id)", "--pages=3"];
    argv.extend(is(0).then_some(["--daterestrict", "d 7"]).into_iter().flatten());
    argv.extend(is(1).then_some("--mode=deep"));
    for (bit, switch) in (2..).zip(["--headless", "--dry-run", "-v", "--smart"]) {
        argv.extend(is(bit).then_some(switch));
    }
    argv.extend(is(6).then_some(["--tag", "x y", "--tag", "", "--tag", "'\"\n"]).into_iter().flatten());
    argv
}

#[test]
fn the_launcher_is_the_same_in_file_and_code() {
    let read = config::parse(FILE, Path::new("/x/supervise.toml"));
    let config = read.unwrap_or_else(|ConfigErrors(errors)| panic!("{errors:#?}"));
    assert_eq!(config.warnings, []);
    let (file, code) = (config.program("search").expect("it is there"), in_code());
    assert_eq!((&file.args, &file.params), (&code.args, &code.params));
    assert_eq!((code.check(), code.advice()), (vec![], vec![]));
}

#[actix::test]
async fn the_launcher_gives_its_arguments_in_all_128_combinations() {
    let read = config::parse(FILE, Path::new("/tmp/supervise.toml")).expect("it is right");
    let mut file = read.program("search").expect("it is there").clone();
    file.name = "file".into();
    let bench = bench([file, in_code()]).await;
    for bits in 0..128_u32 {
        let mut runs = Vec::new();
        for program in ["file", "search"] {
            let mut start = bench.pm.start(program).param("industry", "a b; $(id)");
            if bits & 1 != 0 {
                start = start.param("daterestrict", "d 7");
            }
            if bits & 2 != 0 {
                start = start.param("mode", "deep");
            }
            for (bit, name) in (2..).zip(SWITCHES) {
                // Unset and false are the same; both are tried.
                if bits & (1 << bit) != 0 || bit % 2 == 0 {
                    start = start.param(name, bits & (1 << bit) != 0);
                }
            }
            if bits & (1 << 6) != 0 {
                start = start.param("tags", ["x y", "", "'\"\n"]);
            }
            runs.push(start.send().await.expect("it fits"));
        }
        let argv: String = expected(bits).iter().map(|arg| format!("{arg}\0")).collect();
        for run in runs {
            assert!(in_time("its end", run.wait()).await.expect("it ends").is_success());
            let printed = bench.output(&run, Stream::Stdout).await;
            assert_eq!(String::from_utf8_lossy(&printed), argv, "{bits:07b}");
        }
    }
    bench.end().await;
}

#[actix::test]
async fn folder_and_environment_take_values_and_what_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("shop-a")).expect("it is made");
    let show = r#"pwd; echo "$WHERE|$WHO|${{HALF-unset}}"; printf '%s|' "$@""#;
    let program = Program::command("p", ["sh", "-c", show, "sh"])
        .args(["{url.host}", "{run}", "{attempt}", "{program}"])
        .base_dir(folder.path())
        .cwd("shop-{shop:lower}")
        .env("WHERE", "at {url.host}")
        .env("WHO", "{program} {attempt}")
        .env("HALF", "x{unset}")
        .param(Param::string("shop").required())
        .param(Param::string("unset"))
        .param(Param::url("url").required());
    let bench = bench([program]).await;
    let start = |shop: &str| {
        bench.pm.start("p").param("shop", shop).param("url", "https://me@Shop.Example.:8443/x?y")
    };
    let run = start("A").send().await.expect("it fits");
    assert!(in_time("its end", run.wait()).await.expect("it ends").is_success());
    let printed = bench.output(&run, Stream::Stdout).await;
    let real = folder.path().canonicalize().expect("it is there");
    let argv = format!("shop.example|{}|1|p|", run.id());
    let expected = format!("{}/shop-a\nat shop.example|p 1|unset\n{argv}", real.display());
    assert_eq!(String::from_utf8_lossy(&printed), expected);
    let error = start("../..").send().await.expect_err("it leads out");
    assert!(error.to_string().contains("leads out of its folder"), "{error}");
    bench.end().await;
}

#[test]
fn lists_and_secrets_come_by_http_and_by_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = r#"
[program.keyed]
command = ["sh", "-c", 'test "$KEY" = "from the file" && echo "file: $KEY" || echo "other: $KEY"']
params.key = { secret = true, env = "KEY" }
"#;
    fs::write(folder.path().join("supervise.toml"), format!("{FILE}{key}")).expect("it is written");
    fs::write(folder.path().join("key"), "from the file\n").expect("it is written");
    let daemon = Daemon::up(folder.path());
    let run = |args: &[&str]| daemon.answer(&[&["run", "--wait"], args].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let listed = run(&["search", "industry=x", "tags=a", "tags=b c", "headless=true"]);
    assert!(listed.status.success(), "{listed:?}");
    let status = daemon.cli(&["status", "search", "-o", "json"]);
    let plain: String = status.split_whitespace().collect();
    assert!(plain.contains(r#""tags":["a","bc"]"#), "{status}");
    let refused = run(&["search", "industry=x", "industry=y"]);
    assert!(text(&refused.stderr).contains("takes one value and not 2"), "{}", text(&refused.stderr));
    // What is read from a file or from standard input is the secret, and nothing warns.
    for word in ["key=@key", "key=-"] {
        let mut command = std::process::Command::new(crate::death::supervise());
        command.args(["run", "--wait", "keyed", word]).current_dir(folder.path());
        let input = fs::File::open(folder.path().join("key")).expect("it opens");
        command.env("SUPERVISE_URL", daemon.url()).stdin(Stdio::from(input));
        let answer = command.output().expect("it runs");
        assert_eq!(
            (text(&answer.stdout).contains("file: ***"), text(&answer.stderr).contains("warning")),
            (true, false),
            "{answer:?}"
        );
    }
    let shown = run(&["keyed", "key=on the command line"]);
    assert!(text(&shown.stderr).contains("warning: `key` is a secret"), "{shown:?}");
    assert!(text(&shown.stderr).contains("key=@FILE"), "{shown:?}");
    daemon.end();
}
