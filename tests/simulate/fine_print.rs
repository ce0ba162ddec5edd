//! What the simulator promises beside the policies themselves.

use super::*;

const ATTEMPTS: &str = r#"
until = "1h"
[[start]]
program = "job"
requested_by = "alice"
[[script]]
program = "job"
attempts = [
  { lasts = "10s", exit = 1, output = ["HTTP 503"] },
  { lasts = "3s", signal = "SIGKILL" },
  { lasts = "40s", exit = 0 },
]
"#;

#[test]
fn attempts_are_played_by_number_and_end_as_scripted() {
    let lines = play(JOB, ATTEMPTS);
    tells(
        &lines,
        &[
            "attempt",
            "exit",
            "signal",
            "class",
            "lasted_ms",
            "n",
            "raw_ms",
            "delay_ms",
            "phase",
            "end_reason",
        ],
        &[
            "0 run_queued",
            "0 attempt_started attempt=1",
            "10 attempt_ended attempt=1 exit=1 class=upstream lasted_ms=10000",
            "10 retry_scheduled attempt=1 n=1 raw_ms=1000 delay_ms=1000",
            "11 attempt_started attempt=2",
            "14 attempt_ended attempt=2 signal=SIGKILL class=crash lasted_ms=3000",
            "14 retry_scheduled attempt=2 n=2 raw_ms=2000 delay_ms=2000",
            "16 attempt_started attempt=3",
            "56 attempt_ended attempt=3 exit=0 lasted_ms=40000",
            "56 run_ended phase=succeeded end_reason=exit",
        ],
    );
    assert_eq!((&lines[0]["run"], &lines[0]["requested_by"]), (&"r1".into(), &"alice".into()));
    assert_eq!(lines[8]["class"], Value::Null, "a success has a class, and it is null");
}

#[test]
fn the_last_entry_repeats_and_a_run_of_its_own_wins_over_its_program() {
    let lines = play(
        JOB,
        r#"
        until = "1h"
        [[start]]
        program = "job"
        [[start]]
        program = "job"
        run = "mine"
        [[script]]
        program = "job"
        attempts = [{ lasts = "1s", exit = 1 }]
        [[script]]
        run = "mine"
        attempts = [{ lasts = "2s", exit = 0 }]
        "#,
    );
    let ends: Vec<_> = of_kind(&lines, "run_ended");
    assert_eq!((&ends[0]["run"], &ends[0]["phase"]), (&"mine".into(), &"succeeded".into()));
    assert_eq!((&ends[1]["run"], &ends[1]["end_reason"]), (&"r1".into(), &"max_retries".into()));
    assert_eq!(of_kind(&lines, "attempt_started").len(), 5, "four of r1, one of mine");
}

#[test]
fn windows_go_by_the_time_of_the_start() {
    let lines = play(
        JOB,
        r#"
        until = "1h"
        [[start]]
        at = "59s"
        program = "job"
        [[script]]
        program = "job"
        windows = [
          { from = "0s", to = "1m", lasts = "5s", exit = 1, class = "network" },
          { from = "1m", lasts = "4s", exit = 0 },
        ]
        "#,
    );
    tells(
        &of_kind(&lines, "attempt_ended").into_iter().cloned().collect::<Vec<_>>(),
        &["class", "exit"],
        &["64 attempt_ended class=network exit=1", "69 attempt_ended exit=0"],
    );
}

#[test]
fn a_start_in_a_gap_between_windows_ends_the_simulation_with_a_reason() {
    let rules = rules(JOB);
    let text = r#"
        until = "1h"
        [[start]]
        at = "2m"
        program = "job"
        [[script]]
        program = "job"
        windows = [{ to = "1m", lasts = "5s" }, { from = "3m", lasts = "5s" }]
    "#;
    let scenario = scenario(&rules, text).expect("a good file");
    let error = simulate::run(&rules, scenario, 0).find_map(Result::err).expect("an error");
    assert!(error.to_string().contains("attempt 1 of run r1 starts at 120000 ms"), "{error}");
}

#[test]
fn output_appears_at_the_end_unless_the_script_says_otherwise() {
    // A line older than a minute at the end shows no class any more.
    let old = r#"{ lasts = "5m", exit = 1, output = ["HTTP 429"], output_at = "1s" }"#;
    let fresh = r#"{ lasts = "5m", exit = 1, output = ["HTTP 429"] }"#;
    for (play_text, class) in [(old, "exit_nonzero"), (fresh, "rate_limited")] {
        let text = format!(
            "until = \"6m\"\n[[start]]\nprogram = \"job\"\n[[script]]\nprogram = \"job\"\nattempts = [{play_text}]"
        );
        assert_eq!(of_kind(&play(JOB, &text), "attempt_ended")[0]["class"], class);
    }
}

#[test]
fn a_spawn_error_never_lives_and_its_kind_decides_whether_to_try_again() {
    let text = |errno: &str| {
        format!(
            "until = \"1h\"\n[[start]]\nprogram = \"job\"\n[[script]]\nprogram = \"job\"\n\
             attempts = [{{ spawn_error = \"{errno}\" }}, {{ lasts = \"1s\" }}]"
        )
    };
    let gone = play(JOB, &text("ENOENT"));
    let ended = of_kind(&gone, "attempt_ended")[0];
    assert_eq!((&ended["spawn_error"], &ended["class"]), (&"ENOENT".into(), &"spawn_permanent".into()));
    assert_eq!(of_kind(&gone, "run_ended")[0]["end_reason"], "not_retryable");
    let short = play(JOB, &text("EAGAIN"));
    assert_eq!(of_kind(&short, "attempt_ended")[0]["class"], "spawn_transient");
    assert_eq!(of_kind(&short, "retry_scheduled")[0]["n"], 0, "it does not count");
    assert_eq!(of_kind(&short, "run_ended")[0]["phase"], "succeeded");
}

#[test]
fn a_stopped_attempt_ends_at_once_and_a_start_goes_on_with_its_next_number() {
    let lines = play(
        JOB,
        r#"
        until = "1h"
        [[start]]
        program = "job"
        [[script]]
        program = "job"
        attempts = [{ lasts = "forever" }, { lasts = "5s", exit = 0 }]
        [[operator]]
        at = "10m"
        do = "stop"
        run = "r1"
        [[operator]]
        at = "20m"
        do = "start"
        program = "job"
        "#,
    );
    tells(
        &lines,
        &["attempt", "signal", "class", "phase", "end_reason"],
        &[
            "0 run_queued",
            "0 attempt_started attempt=1",
            "600 attempt_ended attempt=1 signal=SIGTERM class=operator_stop",
            "600 run_ended phase=stopped end_reason=operator",
            "1200 run_queued",
            "1200 attempt_started attempt=2",
            "1205 attempt_ended attempt=2 exit=0".trim_end_matches(" exit=0"),
            "1205 run_ended phase=succeeded end_reason=exit",
        ],
    );
}

#[test]
fn equal_seeds_draw_equal_delays_and_others_do_not() {
    let jittered = JOB.replace("jitter = \"none\"", "jitter = \"full\"");
    let delays = |seed| {
        let lines = seeded(&jittered, ATTEMPTS, seed);
        of_kind(&lines, "retry_scheduled").iter().map(|line| line["delay_ms"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(delays(7), delays(7));
    assert_ne!(delays(7), delays(8));
}

#[test]
fn a_child_that_outlives_the_supervisor_is_taken_over_and_its_end_is_seen() {
    let restart = |same_boot: bool| {
        format!("[[restart_supervisor]]\nat = \"5s\"\ndown_for = \"3s\"\nsame_boot = {same_boot}\n{ATTEMPTS}")
            .replace("until = \"1h\"", "")
            + ""
    };
    let with = |same_boot| format!("until = \"1h\"\n{}", restart(same_boot));
    let lines = play(JOB, &with(true));
    let ended = of_kind(&lines, "attempt_ended")[0];
    assert_eq!(
        (&ended["at_ms"], &ended["exit"], &ended["lasted_ms"]),
        (&10_000.into(), &1.into(), &10_000.into())
    );
    assert_eq!(of_kind(&lines, "supervisor_restarted")[0]["at_ms"], 8_000);

    let lines = play(JOB, &with(false));
    let ended = of_kind(&lines, "attempt_ended")[0];
    assert_eq!((&ended["at_ms"], &ended["class"]), (&8_000.into(), &"lost".into()));
}

#[test]
fn an_end_that_nobody_saw_is_lost_and_is_tried_again_without_counting() {
    let text = format!("until = \"1h\"\n[[restart_supervisor]]\nat = \"5s\"\ndown_for = \"30s\"\n{}", {
        ATTEMPTS.replace("until = \"1h\"", "")
    });
    let lines = play(JOB, &text);
    tells(
        &lines[..6],
        &["attempt", "class", "n", "delay_ms"],
        &[
            "0 run_queued",
            "0 attempt_started attempt=1",
            "35 supervisor_restarted",
            "35 attempt_ended attempt=1 class=lost",
            "35 retry_scheduled attempt=1 n=0 delay_ms=1000",
            "36 attempt_started attempt=2",
        ],
    );
}

#[test]
fn the_example_is_played_to_its_end_in_kinds_of_the_contract_alone() {
    const KINDS: &[&str] = &[
        "run_queued",
        "attempt_started",
        "attempt_ended",
        "retry_scheduled",
        "start_blocked",
        "breaker_changed",
        "probe_expired",
        "late_outcome",
        "param_changed",
        "param_exhausted",
        "run_ended",
        "supervisor_restarted",
    ];
    let config = include_str!("../../examples/supervise.toml");
    let lines = play(config, include_str!("../../examples/outage.toml"));
    for line in &lines {
        let kind = line["kind"].as_str().unwrap_or_default();
        assert!(KINDS.contains(&kind), "{line}");
    }
    assert_eq!(of_kind(&lines, "supervisor_restarted").len(), 1);
    assert!(!of_kind(&lines, "breaker_changed").is_empty() && !of_kind(&lines, "run_ended").is_empty());
}

/// When the second attempt starts, in seconds, if its supervisor dies after a minute and comes back half a minute later.
fn second_start(same_boot: bool, wall_step: &str) -> f64 {
    let config =
        JOB.replace("delay = \"1s\"", "delay = \"10m\", max_delay = \"10m\", startup_spread = \"0s\"");
    let scenario = format!(
        r#"
        until = "1h"
        [[start]]
        program = "job"
        [[script]]
        program = "job"
        attempts = [{{ lasts = "10s", exit = 1 }}, {{ lasts = "forever" }}]
        [[restart_supervisor]]
        at = "1m"
        down_for = "30s"
        same_boot = {same_boot}
        wall_step = "{wall_step}"
        "#
    );
    let lines = play(&config, &scenario);
    let starts = of_kind(&lines, "attempt_started");
    starts[1]["at_ms"].as_f64().unwrap_or_default() / 1_000.0
}

#[test]
fn a_delay_survives_a_reboot_and_a_step_of_the_clock() {
    // Due at 610s; the supervisor is back at 90s.
    for (same_boot, wall_step, at) in [
        (true, "0s", 610.0),
        (true, "2h", 610.0),
        (true, "-2h", 610.0),
        (false, "0s", 610.0),
        (false, "1m", 550.0),
        (false, "2h", 90.0),
        (false, "-10s", 620.0),
        (false, "-2h", 640.0),
    ] {
        assert_eq!(
            second_start(same_boot, wall_step),
            at,
            "same_boot = {same_boot}, wall_step = {wall_step}"
        );
    }
}

#[test]
fn a_penalty_survives_a_reboot_as_a_delay_does() {
    let config = r#"
    [program.job]
    command = ["job"]
    retry = { delay = "10m", max_delay = "10m", jitter = "none" }
    breaker = { failures = 1, penalty = "10m", penalty_jitter = 0.0 }
    "#;
    for (wall_step, at) in [("1m", 550_000), ("-10s", 620_000), ("-2h", 640_000)] {
        let scenario = format!(
            r#"
            until = "20m"
            [[start]]
            program = "job"
            [[script]]
            program = "job"
            attempts = [{{ lasts = "10s", exit = 1 }}, {{ lasts = "forever" }}]
            [[restart_supervisor]]
            at = "1m"
            down_for = "30s"
            same_boot = false
            wall_step = "{wall_step}"
            "#
        );
        let lines = play(config, &scenario);
        let half_open = of_kind(&lines, "breaker_changed").into_iter().find(|line| line["to"] == "half_open");
        assert_eq!(half_open.map(|line| &line["at_ms"]), Some(&at.into()), "{wall_step}");
        assert_eq!(of_kind(&lines, "attempt_started")[1]["at_ms"], at, "{wall_step}: and the retry with it");
    }
}

#[test]
fn the_time_that_a_row_of_failures_has_lasted_survives_a_reboot() {
    let config =
        JOB.replace("max_retries = 3", "max_retries = 3, max_failing = \"30m\", startup_spread = \"0s\"");
    let end = |wall_step: &str| {
        let scenario = format!(
            r#"
            until = "3h"
            [[start]]
            program = "job"
            [[script]]
            program = "job"
            attempts = [{{ lasts = "20m", exit = 1 }}, {{ lasts = "10m", exit = 1 }}]
            [[restart_supervisor]]
            at = "25m"
            down_for = "30s"
            same_boot = false
            wall_step = "{wall_step}"
            "#
        );
        let lines = play(&config, &scenario);
        let ended = of_kind(&lines, "run_ended");
        (ended[0]["at_ms"].as_u64().unwrap() / 60_000, ended[0]["end_reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(end("0s"), (55, "max_retries".into()));
    assert_eq!(end("15m"), (35, "deadline".into()));
}
