//! Programs that say when they are ready, and breakers that go by it.

use super::*;

/// A server whose breaker opens by slow starts alone.
const SERVER: &str = r#"
[program.api]
command = ["api"]
retry = { delay = "1s", jitter = "none", max_retries = 9 }
ready = { pattern = 'listening on', stream = "stderr" }
[program.api.breaker]
failures = 0
failure_rate = 0.0
slow_ready = "10s"
slow_rate = 0.5
window = { size = 4, min = 2 }
penalty = "1m"
penalty_jitter = 0.0
half_open = { success = "ready" }
"#;

fn story(config: &str, scenario: &str) -> Vec<String> {
    let lines = play(config, scenario);
    let told = |line: &&Value| {
        matches!(line["kind"].as_str(), Some("attempt_ready" | "breaker_changed" | "attempt_ended"))
    };
    lines.iter().filter(told).map(|line| short(line, &["after_ms", "slow_ready_ms", "from", "to"])).collect()
}

fn starts(attempts: &str) -> String {
    format!(
        "until = \"1h\"\n[[start]]\nprogram = \"api\"\n[[script]]\nprogram = \"api\"\nattempts = [{attempts}]"
    )
}

#[test]
fn slow_starts_open_a_breaker_and_a_probe_that_is_ready_in_time_closes_it() {
    let scenario = starts(
        r#"
        { lasts = "20s", exit = 1, ready_at = "3s" },
        { lasts = "20s", exit = 1, ready_at = "12s" },
        { lasts = "20s", exit = 1, ready_at = "11s" },
        { lasts = "forever", ready_at = "10s" },
        "#,
    );
    let expected = [
        "3 attempt_ready after_ms=3000",
        "20 attempt_ended",
        "33 attempt_ready after_ms=12000 slow_ready_ms=10000",
        "33 breaker_changed from=closed to=open",
        "41 attempt_ended",
        "93 breaker_changed from=open to=half_open",
        "104 attempt_ready after_ms=11000 slow_ready_ms=10000",
        "104 breaker_changed from=half_open to=open",
        "113 attempt_ended",
        "224 breaker_changed from=open to=half_open",
        "234 attempt_ready after_ms=10000",
        "234 breaker_changed from=half_open to=closed",
    ];
    assert_eq!(story(SERVER, &scenario), expected);
}

#[test]
fn a_line_of_output_makes_ready_at_its_own_time_and_once() {
    let lines = |at: &str| {
        let output = r#"["starting", "listening on 80", "listening on 81"]"#;
        story(SERVER, &starts(&format!("{{ lasts = \"20s\", output = {output}, {at} }}")))
    };
    assert_eq!(lines("output_at = \"5s\"")[0], "5 attempt_ready after_ms=5000");
    assert_eq!(
        lines("")[..2],
        ["20 attempt_ready after_ms=20000 slow_ready_ms=10000", "20 attempt_ended"],
        "before its end is told"
    );
    assert_eq!(
        lines("output_at = \"5s\", ready_at = \"2s\"")[..2],
        ["2 attempt_ready after_ms=2000", "20 attempt_ended"]
    );
    let silent = story(SERVER, &starts(r#"{ lasts = "20s", output = ["starting"] }"#));
    assert_eq!(silent, ["20 attempt_ended"]);
    let mute =
        SERVER.replace("ready = {", "labels = {").replace("slow_ready = \"10s\"\nslow_rate = 0.5\n", "");
    let mute = mute.replace("failures = 0", "failures = 9").replace("success = \"ready\"", "permits = 1");
    let silent = story(&mute, &starts(r#"{ lasts = "20s", output = ["listening on"] }"#));
    assert_eq!(silent, ["20 attempt_ended"], "nobody asked");
}

#[test]
fn a_probe_is_proved_by_its_first_output() {
    let config = JOB.replace(
        "breaker = false",
        "[program.job.breaker]\nfailures = 1\npenalty = \"10s\"\npenalty_jitter = 0.0\nhalf_open = { success = \"first_output\" }",
    );
    let scenario = r#"
        until = "6m"
        [[start]]
        program = "job"
        [[script]]
        program = "job"
        attempts = [{ lasts = "1s", exit = 1 }, { lasts = "forever", output = ["hello"], output_at = "4s" }]
    "#;
    let expected = [
        "1 attempt_ended",
        "1 breaker_changed from=closed to=open",
        "11 breaker_changed from=open to=half_open",
        "15 breaker_changed from=half_open to=closed",
    ];
    assert_eq!(story(&config, scenario), expected);
    let mute = scenario.replace(", output = [\"hello\"], output_at = \"4s\"", "");
    assert_eq!(story(&config, &mute)[3], "311 breaker_changed from=half_open to=open", "its lease is over");
}

/// The slow start before the supervisor died counts.
#[test]
fn slow_starts_are_remembered_over_a_restart() {
    let scenario = starts(
        r#"
        { lasts = "20s", exit = 1, ready_at = "12s" },
        { lasts = "forever", ready_at = "12s" },
        "#,
    );
    let restart = "\n[[restart_supervisor]]\nat = \"22s\"\ndown_for = \"5s\"\nsame_boot = false";
    let lines = story(SERVER, &(scenario + restart));
    assert_eq!(lines[0], "12 attempt_ready after_ms=12000 slow_ready_ms=10000");
    assert_eq!(lines[4], "40 breaker_changed from=closed to=open", "with the second one, in another life");
}
