//! Each verb on nothing, on something that runs, on something that ended, and with a name that is mistyped.

use crate::{
    daemon::{Daemon, Said, run, supervise},
    rows::Rows,
};
use serde_json::Value;

const CONFIG: &str = r#"
version = 1
[store]
path = "store"
[program.idle]
command = ["sleep", "1000"]
[program.server]
command = ["sh", "-c", "echo serving; exec sleep 1000"]
restart = "always"
[program.sleeper]
command = ["sh", "-c", "echo sleeping with $1; exec sleep 1000", "sh", "{pillow}"]
[program.sleeper.params.pillow]
type = "string"
default = "wool"
[program.greeter]
command = ["sh", "-c", "echo hello; echo ERROR nobody there >&2; exit 0"]
[program.failing]
command = ["sh", "-c", "echo HTTP 503; exit 3"]
retry = { max_retries = 0 }
classes = { upstream = { weight = 1.0 } }
breakers = ["site:shop"]
[program.killed]
command = ["sh", "-c", "kill -9 $$"]
retry = { max_retries = 0 }
[program.unstartable]
command = ["no-such-program-here"]
retry = { max_retries = 0 }
[program.busy]
command = ["sleep", "1000"]
max_concurrent = 1
queue = 1
[breaker."site:*"]
failures = 2
penalty = "10m"
penalty_jitter = 0.0
"#;

/// Verbs that need a daemon, in a form that would work with one.
const EVERY_VERB: [&[&str]; 14] = [
    &["run", "idle"],
    &["start", "idle"],
    &["stop", "idle"],
    &["restart", "idle"],
    &["retry", "ABCDEFGH"],
    &["ps"],
    &["status"],
    &["status", "idle"],
    &["why", "idle"],
    &["logs", "idle"],
    &["events"],
    &["breaker"],
    &["breaker", "reset", "site:x"],
    &["classes"],
];

/// Gives commands to one daemon and keeps the table.
struct Stranger {
    daemon: Daemon,
    rows: Rows,
    // Removed with everything in it when the test is over.
    _folder: tempfile::TempDir,
}

impl Stranger {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { daemon: Daemon::of(CONFIG, folder.path()), rows: Rows::default(), _folder: folder }
    }

    fn types(&mut self, line: &str, code: i32, words: &[&str]) -> Said {
        let args: Vec<&str> = line.split_whitespace().collect();
        let said = self.daemon.ask(&args);
        self.rows.check(&format!("supervise {line}"), &said, code, words);
        said
    }

    /// As a script does whose variable is not set.
    fn misses_a_name(&mut self, args: &[&str]) {
        let said = self.daemon.ask(args);
        self.rows.check(
            &format!("supervise {args:?}"),
            &said,
            2,
            &["a name is missing", "supervise ps", "!/runs/"],
        );
    }

    fn json(&mut self, line: &str) -> Value {
        let said = self.types(line, 0, &[]);
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{line}: {error}: {}", said.out))
    }

    /// A new run, by the end of its id that `ps` shows.
    fn starts(&mut self, line: &str) -> String {
        let said = self.types(line, 0, &[]);
        let id = said.out.lines().next().unwrap_or_default().to_owned();
        assert_eq!(id.len(), 26, "{line}: {said:?}");
        id[18..].to_owned()
    }

    fn end(self) {
        self.rows.end();
        assert_eq!(self.daemon.end(), 0);
    }
}

#[test]
fn without_a_daemon_every_verb_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut rows = Rows::default();
    for verb in EVERY_VERB {
        let mut command = supervise(folder.path());
        // The discard port: nobody listens there.
        command.args(verb).env("SUPERVISE_URL", "http://127.0.0.1:9");
        let words = ["no daemon answers at http://127.0.0.1:9", "supervise up"];
        rows.check(&format!("supervise {}, no daemon", verb.join(" ")), &run(command), 5, &words);
    }
    for (line, words) in [
        ("up --detach-on-exit", &["not built", "leave it out"][..]),
        ("upp", &["similar subcommand exists: 'up'"]),
        ("ps --ouput json", &["similar argument exists: '--output'"]),
        ("ps -o yaml", &["possible values: table, json"]),
        ("run idle --if-blocked refsue", &["similar value exists: 'refuse'"]),
        ("run idle host", &["name=value"]),
        ("run", &["<PROGRAM>"]),
        ("retry", &["<RUN>"]),
        ("logs x -p eror", &["similar value exists: 'error'"]),
        ("logs x -n some", &["`all`"]),
        ("logs x --stdout --stderr", &["cannot be used with"]),
        ("breaker opne site:x", &["similar subcommand exists: 'open'"]),
        ("--url ftp://x ps", &["http://HOST:PORT"]),
    ] {
        let mut command = supervise(folder.path());
        command.args(line.split_whitespace()).env("SUPERVISE_URL", "http://127.0.0.1:9");
        rows.check(&format!("supervise {line}"), &run(command), 2, words);
    }
    rows.end();
}

#[test]
fn on_nothing_every_verb_answers() {
    let mut stranger = Stranger::new();
    stranger.types("ps", 0, &["NAME", "idle", "never started"]);
    stranger.types("status", 0, &["actix-process", "programs: 8", "runs: none yet", "store: "]);
    stranger.types("status idle", 0, &["never started"]);
    stranger.types("why idle", 0, &["never run", "until somebody starts it"]);
    stranger.types("logs idle", 0, &["!error"]);
    stranger.types("events", 0, &["\"kind\":\"program_configured\"", "\"change\":\"added\""]);
    stranger.types("breaker", 0, &["SCOPE", "STATE"]);
    stranger.types("classes", 0, &["RULE", "rate_limited"]);
    stranger.types("classes idle", 0, &["RULE", "rate_limited"]);
    stranger.types("stop idle", 3, &["no living run", "help: "]);
    stranger.types("restart idle", 3, &["no living run"]);
    for verb in
        [&["run", ""][..], &["retry", ""], &["retry", " "], &["breaker", "reset", ""], &["classes", ""]]
    {
        stranger.misses_a_name(verb);
    }
    stranger.misses_a_name(&["simulate", "--from-journal", ""]);
    for name in ["x", "/", "site:shop"] {
        for verb in ["retry", "simulate --from-journal"] {
            let words = ["cannot be the name of a run", "at least 6 letters", "!/runs/"];
            stranger.types(&format!("{verb} {name}"), 2, &words);
        }
    }
    stranger.types("simulate --from-journal idle", 2, &["is a program, and this needs a run"]);
    for verb in ["status", "why", "logs", "stop", "start", "restart"] {
        stranger.misses_a_name(&[verb, ""]);
        stranger.types(&format!("{verb} idel"), 4, &["no program `idel`", "did you mean `idle`?"]);
        stranger.types(&format!("{verb} Idle"), 4, &["did you mean `idle`?"]);
        stranger.types(&format!("{verb} elsewhere-entirely"), 4, &["there is busy, failing, greeter"]);
        stranger.types(&format!("{verb} 0123456789"), 4, &["there is no run", "at least 6 characters"]);
    }
    stranger.types("run idel", 4, &["did you mean `idle`?"]);
    stranger.types("classes idel", 4, &["did you mean `idle`?"]);
    stranger.types("retry idle", 2, &["is a program, and this needs a run"]);
    stranger.types("run sleeper pilow=down", 2, &["pilow", "pillow"]);
    stranger.types("breaker reset program:idle", 4, &["no breaker `program:idle`"]);
    stranger.types("events --after-cursor x", 2, &["`x` is not a whole number"]);
    stranger.types("logs idle --class nope", 0, &["no rule of idle finds the class `nope`", "classes idle"]);
    stranger.types("logs idle --class rate_limted", 0, &["did you mean `rate_limited`?"]);
    stranger.types("logs idle --class oom -o cat", 0, &["!no rule"]);
    stranger.types("logs idle -S soon", 2, &["`soon` is no time", "10:30"]);
    stranger.types("logs idle -g (", 2, &["unclosed group", "regular expression"]);
    stranger.types("logs idle --after-cursor x", 2, &["cursor"]);
    stranger.end();
}

#[test]
fn on_something_that_runs_every_verb_answers() {
    let mut stranger = Stranger::new();
    let id = stranger.starts("run sleeper pillow=down --by alice --label team=night");
    stranger.daemon.until(&["logs", &id], "sleeping with down");
    stranger.types("ps", 0, &["sleeper", "● running", &id, "1/6"]);
    for name in ["sleeper", id.as_str(), &id.to_lowercase(), &id[2..]] {
        stranger.types(
            &format!("why {name}"),
            0,
            &["is running, attempt 1", "asked for by alice", "pillow=down"],
        );
        stranger.types(&format!("logs {name}"), 0, &["sleeper/1 out sleeping with down"]);
        stranger.types(&format!("status {name}"), 0, &["running", "pillow=down"]);
    }
    stranger.types(&format!("status {id}"), 0, &["by alice", "labels: team=night", "uses: ", "lives"]);
    let run = stranger.json(&format!("status {id} -o json"));
    assert_eq!((&run["phase"], &run["requested_by"]), (&"running".into(), &"alice".into()));
    assert_eq!(run["usage"]["processes"], 1, "{run}");
    assert!(run["usage"]["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{run}");
    let all = stranger.json("ps -o json");
    assert!(all["items"].as_array().is_some_and(|programs| programs.len() == 8), "{all}");
    assert!(stranger.json("why sleeper -o json")["chain"].as_array().is_some_and(|chain| chain.len() >= 2));
    assert_eq!(stranger.json("status -o json")["phases"]["running"], 1);
    assert_eq!(stranger.json("breaker ls -o json")["items"][0]["state"], "closed");
    stranger.types(&format!("start {id}"), 0, &[&id]); // It runs: that is what was asked for.
    let other = if id.ends_with('0') { '1' } else { '0' };
    let mistyped = format!("{}{other}", &id[..7]);
    stranger.types(&format!("stop {mistyped}"), 4, &["did you mean", &id]);
    assert!(stranger.daemon.first_line(&["logs", "-f", &id]).contains("sleeping with down"));
    assert!(stranger.daemon.first_line(&["events", "-f"]).starts_with('{'));

    stranger.types(&format!("restart {id}"), 0, &[&id]);
    stranger.daemon.until(&["ps"], "2/6");
    let again = stranger.starts(&format!("retry {id} pillow=straw"));
    stranger.daemon.until(&["logs", &again], "sleeping with straw");
    assert_ne!(id, again);
    stranger.types(&format!("retry {id} pilow=x"), 2, &["pilow"]);
    stranger.types(&format!("stop {again}"), 0, &["stopped"]);
    stranger.types("stop sleeper", 0, &["sleeper stopped"]);
    stranger.types(&format!("status {id}"), 0, &["■ stopped", "SIGTERM", "operator_stop"]);

    stranger.starts("start server");
    stranger.daemon.until(&["logs", "server"], "serving");
    stranger.types("run server", 1, &["runs already"]);
    stranger.starts("start server"); // Again is as good as once.
    stranger.types("stop server", 0, &["server stopped"]);
    stranger.types("stop server", 3, &["no living run"]);

    stranger.starts("run busy");
    stranger.starts("run busy");
    stranger.types("run busy", 6, &["as many runs of `busy` wait as its queue takes (1)", "help: "]);
    stranger.types("stop busy", 0, &[]);
    stranger.end();
}

/// Past a breaker that somebody holds open.
fn forces_its_way(stranger: &mut Stranger) {
    stranger.types("run failing --force --if-blocked refuse", 2, &["cannot be used with"]);
    stranger.types("run failing --priority 1001", 2, &["1001 is not in -1000..=1000"]);
    stranger.types("run failing --force --priority -5 --wait", 3, &["HTTP 503", "supervise: failed"]);
    stranger.types(
        "why failing",
        0,
        &["asked for, past the breakers, at priority -5", "forced past the breakers"],
    );
    stranger.types("start failing --force", 0, &[]);
}

#[test]
fn on_something_that_ended_every_verb_answers() {
    let mut stranger = Stranger::new();
    let said = stranger.types("run greeter --wait", 0, &["hello", "ERROR nobody there"]);
    assert!(
        said.err.contains("nobody there") && !said.out.contains("nobody there"),
        "on its own stream: {said:?}"
    );
    let id = said.out.lines().next().unwrap_or_default()[18..].to_owned();
    for name in ["greeter", &id] {
        stranger.types(&format!("status {name}"), 0, &["✔ succeeded"]);
        stranger.types(&format!("why {name}"), 0, &["succeeded", "attempt 1 started"]);
    }
    for (filter, words) in [
        ("", &["out hello", "err ERROR nobody there"][..]),
        (" -n 1", &["!out hello", "nobody there"]),
        (" -n all -o cat", &["hello\n", "ERROR nobody there\n", "!greeter/1"]),
        (" -o json", &["\"text\":\"hello\"", "\"stream\":\"stderr\""]),
        (" --stdout", &["hello", "!nobody"]),
        (" --stderr", &["!hello", "nobody"]),
        (" -g h.llo", &["hello", "!nobody"]),
        (" -p error", &["!hello", "nobody"]),
        (" -p WARN", &["!hello", "nobody"]),
        (" --attempt 1", &["hello"]),
        (" --attempt 2", &["!hello"]),
        (" --class network", &["!hello"]),
        (" -S 1h", &["hello"]),
        (" -S 1h -U 30m", &["!hello"]),
        (" -f", &["hello", "nobody"]), // It is over, so following it ends.
        (" --show-cursor", &["-- cursor: "]),
    ] {
        stranger.types(&format!("logs {id}{filter}"), 0, words);
    }
    let said = stranger.types(&format!("logs {id} -n all --show-cursor"), 0, &[]);
    let cursor = said.out.split("-- cursor: ").nth(1).map(str::trim).unwrap_or_default().to_owned();
    stranger.types(&format!("logs {id} --after-cursor {cursor}"), 0, &["!hello", "!nobody"]);
    stranger.types(&format!("stop {id}"), 3, &["is over (succeeded)"]);
    stranger.types("stop greeter", 3, &["no living run"]);
    stranger.types(&format!("start {id}"), 0, &[&id]);
    stranger.daemon.until(&["status", &id], "succeeded");
    stranger.types(&format!("restart {id}"), 0, &[&id]);
    let again = stranger.starts(&format!("retry {id}"));
    stranger.daemon.until(&["status", &again], "succeeded");
    let said = stranger.types("events", 0, &["\"kind\":\"run_ended\""]);
    let last = said.out.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let cursor = last.as_ref().and_then(|record| record["cursor"].as_str()).unwrap_or_default().to_owned();
    stranger.types(&format!("events --after-cursor {cursor}"), 0, &["!run_queued"]);

    stranger.types("run failing --wait", 3, &["HTTP 503", "supervise: failed", "supervise why "]);
    stranger.types("run killed --wait", 137, &["supervise: failed"]);
    stranger.types("run unstartable --wait", 1, &["no-such-program-here"]);
    stranger.types("status failing", 0, &["✖ failed", "upstream (exit 3)", "errors, and how many a minute"]);
    stranger.types("why failing", 0, &["upstream", "HTTP 503"]);

    stranger.types("run failing --wait", 3, &[]);
    stranger.types("breaker", 0, &["site:shop", "▲ open"]);
    stranger.types(
        "run failing --if-blocked refuse",
        6,
        &["site:shop", "asking again may help in", "help: "],
    );
    let waits = stranger.starts("run failing");
    stranger.daemon.until(&["ps"], "▲ blocked");
    stranger.types(&format!("why {waits}"), 0, &["held", "site:shop"]);
    stranger.types("breaker close site:shop", 1, &["nobody forced it", "breaker reset"]);
    stranger.types("breaker reset site:shpo", 4, &["did you mean `site:shop`?"]);
    stranger.types(&format!("stop {waits}"), 0, &["stopped"]);
    stranger.types("breaker reset site:shop --reason mended", 0, &["site:shop is closed"]);
    stranger.types("breaker open site:shop --ttl 1h --reason maintenance", 0, &["site:shop is forced_open"]);
    stranger.types("breaker open site:shop --ttl soon", 2, &["ttl"]);
    forces_its_way(&mut stranger);
    stranger.types("run failing --if-blocked refuse", 6, &["site:shop"]);
    stranger.types("breaker close site:shop", 0, &["site:shop is half_open"]);
    stranger.end();
}
