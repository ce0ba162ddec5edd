//! Whose turn it is: the highest priority, and of equal ones who waits longest, for a place, a breaker or tokens.

use super::*;

/// The starts of a scenario: when, and of which run.
#[track_caller]
fn starts(config: &str, scenario: &str) -> Vec<String> {
    let lines = play(config, scenario);
    let started = of_kind(&lines, "attempt_started").into_iter();
    started.map(|line| short(line, &["run"]).replace("attempt_started run=", "")).collect()
}

/// Four more runs wait from the first second on, of which the last but one and the last have priorities of their own.
const QUEUE: &str = r#"
until = "5m"
[[start]]
program = "job"
[[start]]
program = "job"
at = "1s"
[[start]]
program = "job"
at = "2s"
[[start]]
program = "job"
at = "3s"
priority = 5
[[start]]
program = "job"
at = "4s"
priority = -5
[[script]]
program = "job"
attempts = [{ lasts = "10s", exit = 0 }]
"#;

#[test]
fn a_place_goes_to_the_highest_priority_and_of_equal_ones_to_who_waits_longest() {
    let places = |priority: i32| {
        JOB.replace("breaker = false", &format!("breaker = false\nmax_concurrent = 1\npriority = {priority}"))
    };
    assert_eq!(starts(&places(0), QUEUE), ["0 r1", "10 r4", "20 r2", "30 r3", "40 r5"]);
    assert_eq!(starts(&places(-9), QUEUE), ["0 r1", "10 r4", "20 r5", "30 r2", "40 r3"], "its program's");
    let lines = play(&places(-9), QUEUE);
    let queued = of_kind(&lines, "run_queued");
    let told: Vec<_> = queued.iter().map(|line| short(line, &["run", "priority"])).collect();
    assert_eq!(
        (told[1].as_str(), told[3].as_str()),
        ("1 run_queued run=r2 priority=-9", "3 run_queued run=r4 priority=5")
    );
}

#[test]
fn a_priority_is_remembered_over_the_supervisor_s_death() {
    let config = JOB.replace("breaker = false", "breaker = false\nmax_concurrent = 1");
    let death = "[[restart_supervisor]]\nat = \"6s\"\ndown_for = \"1s\"\n";
    assert_eq!(starts(&config, &format!("{QUEUE}{death}")), ["0 r1", "10 r4", "20 r2", "30 r3", "40 r5"]);
}

#[test]
fn the_next_probe_and_each_start_of_the_ramp_go_to_the_highest_priority() {
    let config = r#"
    [program.job]
    command = ["job"]
    breakers = ["site:x"]
    breaker = false
    retry = { max_retries = 0 }
    classes.exit_nonzero = { scopes = ["shared"], trips = true }
    [breaker."site:*"]
    penalty = "1m"
    penalty_jitter = 0.0
    ramp = { over = "10m", spacing = "7s" }
    half_open = { lease = "10m" }
    "#;
    let scenario = |more: &str| {
        QUEUE
            .replace("exit = 0", "exit = 1")
            .replace(
                "[[script]]\n",
                "[[script]]\nrun = \"r1\"\nattempts = [{ lasts = \"500ms\", exit = 1 }]\n[[script]]\n",
            )
            .replace("lasts = \"10s\", exit = 1", "lasts = \"10s\", exit = 0")
            + more
    };
    // The first opens the scope at half a second. A probe in turn proves it, and the others follow apart.
    let order = ["0 r1", "60.5 r4", "70.5 r2", "77.5 r3", "84.5 r5"];
    assert_eq!(starts(config, &scenario("")), order);
    // Who comes late goes before all that are lower, also while the scope is being ramped up.
    let late = "[[start]]\nprogram = \"job\"\nat = \"72s\"\npriority = 9\n";
    let order = ["0 r1", "60.5 r4", "70.5 r2", "77.5 r6", "84.5 r3", "91.5 r5"];
    assert_eq!(starts(config, &scenario(late)), order);
    let death = "[[restart_supervisor]]\nat = \"30s\"\ndown_for = \"1s\"\n";
    assert_eq!(starts(config, &scenario(death))[1], "60.5 r4", "also with the next supervisor");
}

#[test]
fn tokens_go_to_the_highest_priority() {
    let config = r#"
    [retry_budget]
    capacity = 1.0
    deposit = 0.0
    refill_per_minute = 1.0
    [program.job]
    command = ["job"]
    breaker = false
    retry = { delay = "1s", jitter = "none", max_retries = 1 }
    "#;
    let scenario = QUEUE.replace("exit = 0", "exit = 1");
    // The first to fail has the token that is there, and each minute brings another one.
    let order = ["0 r1", "1 r2", "2 r3", "3 r4", "4 r5", "11 r1", "71 r4", "131 r2", "191 r3", "251 r5"];
    assert_eq!(starts(config, &scenario), order);
}

#[test]
fn a_priority_out_of_range_is_refused_where_it_stands() {
    let rules = rules(JOB);
    let text = "until = \"1m\"\n[[start]]\nprogram = \"job\"\npriority = 1001\n[[script]]\nprogram = \"job\"\nattempts = [{ lasts = \"1s\" }]\n";
    let Err(ConfigErrors(errors)) = scenario(&rules, text) else { panic!("accepted") };
    let told: Vec<_> = errors.iter().map(|e| (e.line, e.column, e.code.as_str())).collect();
    assert_eq!(told, [(4, 12, "config.range")]);
}

#[test]
fn who_waits_first_goes_first_also_when_its_turn_needs_tokens() {
    let config = r#"
    [retry_budget]
    capacity = 100.0
    [program.job]
    command = ["job"]
    breakers = ["site:x"]
    breaker = false
    max_concurrent = 2
    retry = { delay = "1s", jitter = "none", max_retries = 3 }
    classes.exit_nonzero = { scopes = ["shared"], trips = true }
    [breaker."site:*"]
    penalty = "1m"
    penalty_jitter = 0.0
    ramp = { over = "10m", spacing = "7s" }
    half_open = { lease = "10m", success = "exit" }
    "#;
    // Two retries wait for the scope, and a first start for a place. The end of the probe frees both at once.
    let scenario = r#"
    until = "5m"
    [[start]]
    program = "job"
    [[start]]
    program = "job"
    at = "1s"
    [[start]]
    program = "job"
    at = "20s"
    [[script]]
    run = "r1"
    attempts = [{ lasts = "10s", exit = 1 }, { lasts = "10s", exit = 0 }]
    [[script]]
    run = "r2"
    attempts = [{ lasts = "11s", exit = 1 }, { lasts = "10s", exit = 0 }]
    [[script]]
    run = "r3"
    attempts = [{ lasts = "10s", exit = 0 }]
    "#;
    assert_eq!(starts(config, scenario), ["0 r1", "1 r2", "70 r1", "80 r2", "87 r3"]);
}
