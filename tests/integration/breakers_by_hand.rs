//! What an operator tells a breaker, also before any run has used it.

use crate::{
    bad_input::CONFIG,
    death::{Daemon, until},
};

#[test]
fn every_word_to_a_breaker_works_before_it_was_ever_used() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("supervise.toml"), CONFIG).expect("written");
    let daemon = Daemon::up(folder.path());
    let tell = |act: &str, scope: &str| daemon.cli(&["breaker", act, scope]);
    assert_eq!(tell("open", "program:fine"), "program:fine is forced_open\n");
    assert_eq!(tell("open", "site:never.example"), "site:never.example is forced_open\n");
    daemon.cli(&["run", "fine"]);
    until("it waits", || daemon.cli(&["ps"]).contains("blocked"));
    assert!(daemon.cli(&["why", "fine"]).contains("forced open"), "{}", daemon.cli(&["why", "fine"]));
    assert_eq!(tell("auto", "program:fine"), "program:fine is half_open\n");
    until("it goes on", || daemon.cli(&["ps"]).contains("succeeded"));
    assert_eq!(tell("disable", "program:scraper"), "program:scraper is disabled\n");
    assert_eq!(tell("metrics-only", "program:scraper"), "program:scraper is metrics_only\n");
    assert_eq!(tell("auto", "program:scraper"), "program:scraper is closed\n");
    assert_eq!(tell("metrics_only", "site:other.example"), "site:other.example is metrics_only\n");
    assert_eq!(tell("reset", "site:other.example"), "site:other.example is closed\n");
    for act in ["reset", "close", "auto"] {
        assert_eq!(tell(act, "site:nowhere"), "", "{act}: there is nothing to end");
    }
    daemon.end();
}
