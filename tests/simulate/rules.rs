//! Rules that end, hold back or let go: each key as a user meets it, in a scenario.

use super::*;

/// The ends of the runs of a scenario: when, how, and why.
fn ends(config: &str, scenario: &str) -> Vec<String> {
    let lines = play(config, scenario);
    of_kind(&lines, "run_ended").into_iter().map(|line| short(line, &["phase", "end_reason"])).collect()
}

#[test]
fn a_job_that_brings_too_little_is_an_empty_result_and_is_tried_again() {
    let config = JOB.replace("breaker = false", "breaker = false\nsuccess = { min_lines = 2 }");
    let lines = play(
        &config,
        r#"
        until = "1h"
        [[start]]
        program = "job"
        [[script]]
        program = "job"
        attempts = [
            { lasts = "1s", exit = 0 },
            { lasts = "1s", exit = 0, output = ["an item"] },
            { lasts = "1s", exit = 0, output = ["an item", "another"] },
        ]
        "#,
    );
    let classes: Vec<_> = of_kind(&lines, "attempt_ended").iter().map(|line| line["class"].clone()).collect();
    assert_eq!(classes, ["empty_result".into(), "empty_result".into(), Value::Null]);
}

#[test]
fn a_job_that_ends_well_with_too_few_items_is_an_empty_result() {
    let job = |items: &str| {
        JOB.replace(
            "breaker = false",
            &format!("breaker = false\nsuccess = {{ items = '{items}', min_items = 2 }}"),
        )
    };
    let scenario = r#"
    until = "1h"
    [[start]]
    program = "job"
    [[script]]
    program = "job"
    attempts = [
        { lasts = "1s", exit = 0 },
        { lasts = "1s", exit = 0, output = ["scraped 1 items", "done"] },
        { lasts = "1s", exit = 1, output = ["scraped 0 items"] },
        { lasts = "1s", exit = 0, output = ["scraped 2 items", "scraped 1 items"] },
    ]
    "#;
    for items in [r"scraped (\d+) items", "^scraped"] {
        let lines = play(&job(items), scenario);
        let ends: Vec<_> =
            of_kind(&lines, "attempt_ended").iter().map(|line| line["class"].clone()).collect();
        assert_eq!(ends, ["empty_result".into(), "empty_result".into(), "exit_nonzero".into(), Value::Null]);
        let why = of_kind(&lines, "attempt_ended")[1]["line"].clone();
        assert_eq!(why, "it ended well with 1 items, and success.min_items = 2");
    }
}

#[test]
fn an_end_that_shows_several_classes_has_the_one_of_the_highest_priority_and_says_so() {
    let job = |classes: &str| JOB.replace("breaker = false", &format!("breaker = false\n{classes}"));
    let scenario = r#"
    until = "10s"
    [[start]]
    program = "job"
    [[script]]
    program = "job"
    attempts = [{ lasts = "1s", exit = 1, output = ["HTTP 429", "Connection refused"] }]
    "#;
    let first = "preferred to network, which was seen too: the rule of rate_limited comes first";
    let higher = "preferred to rate_limited, which was seen too: network has the higher priority (5, and rate_limited 0)";
    for (classes, class, preferred) in
        [("", "rate_limited", first), ("classes.network.priority = 5", "network", higher)]
    {
        let lines = play(&job(classes), scenario);
        let end = of_kind(&lines, "attempt_ended")[0];
        assert_eq!((&end["class"], &end["preferred"]), (&class.into(), &preferred.into()), "{end}");
    }
}

#[test]
fn a_quarantine_with_a_time_ends_by_itself() {
    let config = r#"
    [program.api]
    command = ["api"]
    restart = "always"
    breaker = false
    retry = { delay = "1s", max_delay = "1s", jitter = "none", intensity = { restarts = 2, window = "1m" }, quarantine = "10m" }
    "#;
    let lines = play(
        config,
        r#"
        until = "30m"
        [[start]]
        program = "api"
        [[script]]
        program = "api"
        attempts = [{ lasts = "1s", exit = 1 }]
        "#,
    );
    let starts: Vec<_> = of_kind(&lines, "attempt_started")
        .iter()
        .map(|line| line["at_ms"].as_u64().unwrap_or_default() / 1_000)
        .collect();
    assert_eq!(starts, [0, 2, 4, 605, 1206], "two restarts, then one start in ten minutes");
    assert!(of_kind(&lines, "run_ended").is_empty(), "it is not over");
}

#[test]
fn the_longest_quarantine_of_the_scopes_that_gate_a_run_holds() {
    let config = |own: &str, sites: &str| {
        format!(
            r#"
            [program.api]
            command = ["api"]
            restart = "always"
            breaker = false
            breakers = ["site:{{host}}"]
            params.host = {{ required = true }}
            [program.api.retry]
            delay = "1s"
            max_delay = "1s"
            jitter = "none"
            intensity = {{ restarts = 2, window = "1m" }}
            {own}
            [breaker."site:*"]
            failures = 100
            failure_rate = 0.0
            {sites}
            "#
        )
    };
    let scenario = r#"
    until = "30m"
    [[start]]
    program = "api"
    params = { host = "shop.example" }
    [[script]]
    program = "api"
    attempts = [{ lasts = "1s", exit = 1 }]
    "#;
    let (often, again) = (
        "2 automatic restarts within 1m are the most that intensity allows",
        "the start after its quarantine failed",
    );
    for (own, sites, seconds, left_alone) in [
        ("", r#"quarantine = "10m""#, 600, "quarantined for 10m by site:shop.example, then one start"),
        (
            r#"quarantine = "5m""#,
            r#"quarantine = "10m""#,
            600,
            "quarantined for 10m by site:shop.example, then one start",
        ),
        (r#"quarantine = "10m""#, r#"quarantine = "5m""#, 600, "quarantined for 10m, then one start"),
    ] {
        let lines = play(&config(own, sites), scenario);
        let starts: Vec<_> = of_kind(&lines, "attempt_started")
            .iter()
            .map(|line| line["at_ms"].as_u64().unwrap_or_default() / 1_000)
            .collect();
        assert_eq!(starts, [0, 2, 4, 5 + seconds, 6 + 2 * seconds], "{own} {sites}");
        let why: Vec<_> = of_kind(&lines, "retry_scheduled").iter().map(|line| line["why"].clone()).collect();
        let expected = [
            format!("failure 3 in a row (exit_nonzero); {often}; {left_alone}"),
            format!("failure 4 in a row (exit_nonzero); {again}; {left_alone}"),
        ];
        assert_eq!(why[2..4], expected);
    }
    let over = ends(&config("", ""), scenario);
    assert_eq!(over, ["5 run_ended phase=quarantined end_reason=intensity"], "where nobody says how long");
}

#[test]
fn an_empty_budget_defers_or_ends_a_run_as_its_rules_say() {
    let scenario = r#"
    until = "1h"
    [[start]]
    program = "job"
    params = { host = "a" }
    [[start]]
    program = "job"
    params = { host = "a" }
    [[start]]
    program = "job"
    params = { host = "b" }
    [[script]]
    program = "job"
    attempts = [{ lasts = "1s", exit = 1 }, { lasts = "1s", exit = 0 }]
    "#;
    let config = |budget: &str| {
        format!(
            r#"
            [program.job]
            command = ["job"]
            retry = {{ delay = "1s", jitter = "none" }}
            breaker = false
            breakers = ["site:{{host}}"]
            params.host = {{ required = true }}
            [breaker."site:*"]
            failures = 100
            failure_rate = 0.0
            retry_budget = {{ capacity = 1.0, deposit = 0.0, refill_per_minute = 6.0{budget} }}
            "#
        )
    };
    let waits = ends(&config(""), scenario);
    assert_eq!(
        waits,
        [
            "3 run_ended phase=succeeded end_reason=exit",
            "3 run_ended phase=succeeded end_reason=exit",
            "13 run_ended phase=succeeded end_reason=exit",
        ],
        "a site's two retries share a token, and another site has its own"
    );
    let gives_up = ends(&config(", on_empty = \"give_up\""), scenario);
    assert_eq!(gives_up[0], "2 run_ended phase=failed end_reason=budget");
    assert_eq!(gives_up.len(), 3);
}

#[test]
fn a_failure_at_the_floor_opens_the_scope_at_once_where_the_parameter_says_so() {
    let config = r#"
    [program.job]
    command = ["job"]
    retry = { delay = "1s", jitter = "none" }
    params.qpi = { type = "integer", default = 20, min = 10, on_floor = "trip" }
    classes.crash = { adjust = { qpi = { multiply = 0.5 } } }
    breaker = { failures = 100, penalty_jitter = 0.0 }
    "#;
    let lines = play(
        config,
        r#"
        until = "20s"
        [[start]]
        program = "job"
        [[script]]
        program = "job"
        attempts = [{ lasts = "1s", exit = 1, class = "crash" }]
        "#,
    );
    let opened = of_kind(&lines, "breaker_changed");
    assert_eq!(short(opened[0], &["to"]), "3 breaker_changed to=open", "at the second failure");
    let why = opened[0]["why"].as_str().unwrap_or_default();
    assert!(why.contains("at its floor"), "{why}");
    let changed = of_kind(&lines, "param_changed");
    assert_eq!((&changed[0]["from"], &changed[0]["to"]), (&20.into(), &10.into()), "numbers, not text");
    assert_eq!(of_kind(&lines, "param_exhausted")[0]["value"], 10);
}

#[test]
fn an_attempt_says_why_its_parameters_are_not_as_asked_for() {
    let config = r#"
    [program.job]
    command = ["job"]
    retry = { delay = "1s", jitter = "none" }
    params.qpi = { type = "integer", default = 100, min = 10 }
    classes.crash = { adjust = { qpi = { multiply = 0.5 } } }
    breaker = false
    "#;
    let lines = play(
        config,
        r#"
        until = "1m"
        [[start]]
        program = "job"
        [[script]]
        program = "job"
        attempts = [{ lasts = "1s", exit = 1, class = "crash" }, { lasts = "1s", exit = 0 }]
        "#,
    );
    let starts = of_kind(&lines, "attempt_started");
    assert!(starts[0]["param_reasons"].is_null());
    let reason = &starts[1]["param_reasons"]["qpi"][0];
    assert_eq!((&reason["from"], &reason["to"]), (&100.into(), &50.into()));
    assert_eq!(reason["why"], "crash: times 0.5 gives 50");
}

#[test]
fn a_choice_is_a_ladder_that_failures_step_down() {
    let config = r#"
    [program.job]
    command = ["job"]
    retry = { delay = "1s", jitter = "none" }
    params.pace = { type = "choice", choices = ["crawl", "walk", "run"], default = "run", on_floor = "give_up" }
    classes.crash = { adjust = { pace = { step = -1 } } }
    breaker = false
    "#;
    let lines = play(
        config,
        r#"
        until = "1m"
        [[start]]
        program = "job"
        [[script]]
        program = "job"
        attempts = [{ lasts = "1s", exit = 1, class = "crash" }]
        "#,
    );
    let changed: Vec<_> =
        of_kind(&lines, "param_changed").iter().map(|line| short(line, &["from", "to", "why"])).collect();
    assert_eq!(
        changed,
        [
            "1 param_changed from=run to=walk why=crash: 1 step down gives walk",
            "3 param_changed from=walk to=crawl why=crash: 1 step down gives crawl, which is its floor"
        ]
    );
    let ended = of_kind(&lines, "run_ended");
    assert_eq!(
        short(ended[0], &["phase", "end_reason"]),
        "6 run_ended phase=failed end_reason=not_retryable"
    );
}

#[test]
fn a_forced_start_passes_an_open_breaker_that_neither_hears_of_it_nor_lets_the_next_one_through() {
    let config = r#"
    [program.job]
    command = ["job"]
    retry = { delay = "1s", jitter = "none", max_retries = 2 }
    breaker = { failures = 1, penalty = "30m", penalty_jitter = 0.0 }
    "#;
    let lines = play(
        config,
        r#"
        until = "30s"
        [[start]]
        program = "job"
        [[start]]
        program = "job"
        at = "5s"
        [[start]]
        program = "job"
        at = "6s"
        force = true
        [[operator]]
        at = "10s"
        do = "start"
        run = "r2"
        force = true
        [[script]]
        program = "job"
        attempts = [{ lasts = "1s", exit = 1 }]
        [[script]]
        run = "r3"
        attempts = [{ lasts = "1s", exit = 0 }]
        "#,
    );
    let starts: Vec<_> = lines
        .iter()
        .filter(|line| line["kind"] == "attempt_started")
        .map(|line| short(line, &["run", "attempt", "forced"]))
        .collect();
    assert_eq!(
        starts,
        [
            "0 attempt_started run=r1 attempt=1",
            "6 attempt_started run=r3 attempt=1 forced=true",
            "10 attempt_started run=r2 attempt=1 forced=true"
        ]
    );
    assert_eq!(of_kind(&lines, "breaker_changed").len(), 1, "neither success nor failure moved it");
    let ended: Vec<_> =
        of_kind(&lines, "run_ended").iter().map(|line| short(line, &["run", "phase"])).collect();
    assert_eq!(ended, ["7 run_ended run=r3 phase=succeeded"]);
    let held = of_kind(&lines, "start_blocked");
    assert_eq!(short(held[held.len() - 1], &["run", "reason"]), "12 start_blocked run=r2 reason=breaker");
}

#[test]
fn force_that_waits_for_a_place_is_remembered_over_the_supervisor_s_death() {
    let config = r#"
    [program.job]
    command = ["job"]
    max_concurrent = 1
    retry = { delay = "1s", jitter = "none" }
    "#;
    let lines = play(
        config,
        r#"
        until = "1m"
        [[start]]
        program = "job"
        [[start]]
        program = "job"
        at = "1s"
        force = true
        [[restart_supervisor]]
        at = "5s"
        down_for = "1s"
        [[script]]
        program = "job"
        attempts = [{ lasts = "10s", exit = 0 }]
        "#,
    );
    let last = of_kind(&lines, "attempt_started");
    assert_eq!(short(last[last.len() - 1], &["run", "forced"]), "10 attempt_started run=r2 forced=true");
}

#[test]
fn failures_that_lower_a_parameter_open_no_breaker_by_their_share_alone() {
    // As the README has it, with the default rules of a shared scope: each run is asked gently enough at its fourth attempt.
    let config = r#"
    [program.scraper]
    command = ["scrape", "--site", "{host}", "--qpi", "{qpi}"]
    breakers = ["site:{host}"]
    retry = { delay = "1s", max_delay = "5m", max_retries = 5, jitter = "none" }
    classes.rate_limited = { delay = "30s", adjust = { qpi = { multiply = 0.5 } } }
    [program.scraper.params]
    host = { type = "string", required = true }
    qpi = { type = "integer", default = 100, min = 10, max = 200 }
    "#;
    let start = |at: &str| {
        format!("[[start]]\nprogram = \"scraper\"\nat = \"{at}\"\nparams = {{ host = \"shop.example\" }}\n")
    };
    let script = r#"
    [[script]]
    program = "scraper"
    attempts = [
      { lasts = "1s", exit = 1, class = "rate_limited" },
      { lasts = "1s", exit = 1, class = "rate_limited" },
      { lasts = "1s", exit = 1, class = "rate_limited" },
      { lasts = "1s", exit = 0 },
    ]
    "#;
    let starts: String = (0..6).map(|n| start(&format!("{}m", n * 10))).collect();
    let lines = play(config, &format!("until = \"2h\"\n{starts}{script}"));
    assert_eq!(of_kind(&lines, "breaker_changed").len(), 0, "no run was in the way of another");
    let ended = of_kind(&lines, "run_ended");
    assert!(ended.len() == 6 && ended.iter().all(|line| line["phase"] == "succeeded"));

    // Asking for less does not help here, so that five in a row open it all the same.
    let failing = script.replace("{ lasts = \"1s\", exit = 0 },", "");
    let lines = play(config, &format!("until = \"2h\"\n{}{failing}", start("0s")));
    let opened = of_kind(&lines, "breaker_changed");
    let why = opened.first().and_then(|line| line["why"].as_str()).unwrap_or_default();
    assert!(why.starts_with("5 failures in a row"), "{why}");
}
