//! What is said of where the daemon listens, and what a run that waits says.

use crate::daemon::{Daemon, PATIENCE, run, supervise};
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::Stdio,
    sync::mpsc::channel,
};

const CONFIG: &str = "version = 1\n[store]\npath = \"store\"\n[program.job]\ncommand = [\"echo\", \"hello\"]\n\
    breakers = [\"site:cdn\", \"site:shop\"]\n";

#[test]
fn an_address_that_others_can_reach_is_warned_of_and_answers_nobody_without_the_token() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("supervise.toml"), CONFIG).expect("written");
    let mut up = supervise(folder.path());
    up.args(["up", "--listen", "0.0.0.0:0"]);
    let mut daemon = Daemon::start(up, folder.path());
    let line = daemon.hear("warning: ");
    for part in ["http://0.0.0.0:", "reachable from the network", "unencrypted", "store/token", "/healthz"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    daemon.url = daemon.url.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(daemon.ask(&["ps"]).code, 0);
    for verb in
        [&["ps"][..], &["status"], &["why", "job"], &["logs", "job"], &["events"], &["breaker"], &["classes"]]
    {
        let mut without = daemon.command(verb);
        without.env("SUPERVISE_TOKEN", "");
        let said = run(without);
        assert!(said.code == 1 && said.err.contains("token"), "{verb:?}: {said:?}");
    }
    assert_eq!(daemon.end(), 0);
}

#[test]
fn what_is_no_request_is_refused_without_a_line_in_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::of(CONFIG, folder.path());
    for nonsense in ["GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /healthz HTTP/1.1\r\nho st: x\r\n\r\n"] {
        let mut stream = TcpStream::connect(daemon.url.trim_start_matches("http://")).expect("it listens");
        stream.write_all(nonsense.as_bytes()).expect("it is sent");
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).expect("it is answered");
        assert!(answer.starts_with("HTTP/1.1 400"), "{nonsense:?}: {answer}");
    }
    daemon.signal(libc::SIGHUP);
    let said = daemon.hear_all("configuration reloaded");
    assert!(!said.iter().any(|line| line.contains("ERROR")), "{said:?}");
    assert_eq!(daemon.end(), 0);
}

#[test]
fn a_run_that_is_waited_for_says_what_holds_it_and_says_so_again_when_that_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::of(CONFIG, folder.path());
    for scope in ["site:shop", "site:cdn"] {
        let open = ["breaker", "open", scope, "--ttl", "1h", "--reason", "maintenance"];
        assert_eq!(daemon.ask(&open).code, 0, "{scope}");
    }
    let mut waits = daemon.command(&["run", "job", "--wait"]);
    let mut child = waits.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let (tell, said) = channel();
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(tell.send(line))));
    for scope in ["site:cdn", "site:shop"] {
        let line = said.recv_timeout(PATIENCE).expect("it says what it waits for");
        for part in [&format!(" waits for {scope}: "), "maintenance", "asks again in ", "supervise why "] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert_eq!(daemon.ask(&["breaker", "reset", scope]).code, 0);
    }
    assert!(child.wait().expect("it ends").success());
    assert!(said.recv_timeout(PATIENCE).is_err(), "told once");
    assert_eq!(daemon.end(), 0);
}
