//! What `why` says about real histories, as files that people read: `tests/why/*.txt` in the repository's root.
//!
//! Each history is played in virtual time by the machines themselves. `UPDATE_REFERENCE=1 cargo test --test why` writes
//! the files anew; read them before they are committed.
#![expect(clippy::expect_used, reason = "a scenario that cannot go on fails")]

mod world;

use actix_process_actors::{
    explain::{Advice, Explanation},
    model::{
        Adjust, BreakerPolicy, ClassOverride, Classify, Command, Jitter, ParamSpec, Phase, Program, Ready,
        Restart, RetryBudget, RetryPolicy, SpawnFailure, SpawnProblem, Timestamp, format_duration_ms,
    },
};
use std::{fmt::Write as _, fs, path::PathBuf};
use world::{Life, START, World, exits, killed, says};

/// The explanation as the command line shows it, with times since the beginning.
fn page(why: &Explanation) -> String {
    let mut page = format!("{}\n", why.summary);
    let since = |at: Timestamp| format!("+{}", format_duration_ms(at.since(START)));
    for run in &why.runs {
        let _ = writeln!(page, "  {}", run.text);
    }
    for breaker in &why.breakers {
        let _ = writeln!(page, "  breaker {breaker}");
    }
    if !why.chain.is_empty() {
        let whose = why.runs.first().map(|run| format!(" to run {}", run.run.short())).unwrap_or_default();
        let _ = writeln!(page, "what happened{whose}:");
    }
    for step in &why.chain {
        let _ = writeln!(page, "  {:<11}  {}", since(step.at), step.text);
    }
    if let Some(holds) = &why.holds {
        let _ = writeln!(page, "held by: {holds}");
    }
    let _ = writeln!(page, "next: {}", why.next);
    if let Some(forecast) = &why.forecast {
        let _ = writeln!(page, "{}:", forecast.given);
        for step in &forecast.steps {
            let at = step.at.map(since).unwrap_or_default();
            let _ = writeln!(page, "  {at:<11}  {}", step.text);
        }
    }
    for Advice { text, act, .. } in &why.advice {
        let act = act.as_ref().map(|act| format!(" ({act})")).unwrap_or_default();
        let _ = writeln!(page, "help: {text}{act}");
    }
    page
}

#[track_caller]
fn golden(name: &str, why: &Explanation) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/why").join(format!("{name}.txt"));
    let said = page(why);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&file, &said).expect("the file is written");
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(said, expected, "say `UPDATE_REFERENCE=1 cargo test --test why`, and read what it wrote");
}

fn command(name: &str) -> Program {
    Program::new(name, Command::Argv(vec![format!("./{name}").into()]))
}

fn scraper() -> Program {
    command("scraper")
        .param(ParamSpec::string("host").required())
        .param(ParamSpec::integer("qpi").default(100).range(10..=200).adjust_scope("site:{host}"))
        .shared_breaker("site:{host}")
        .class("rate_limited", ClassOverride::retry().adjust("qpi", Adjust::multiply(0.5)))
}

const HOST: [(&str, &str); 1] = [("host", "shop.example")];
const TOO_MANY: &str = "ERROR HTTP 429 from shop.example/list?page=7";

#[test]
fn rate_limited_then_adjusted_then_succeeded() {
    let lives = [says(12_000, TOO_MANY, 1), says(95_000, TOO_MANY, 1), exits(240_000, 0)];
    let mut world = World::new(vec![scraper()], vec![]).lives("scraper", lives);
    let run = world.start("scraper", &HOST, Some("alice"));
    world.pass_until(run, Phase::Backoff);
    golden("rate_limited_and_waiting", &world.why(run));
    world.pass_until(run, Phase::Succeeded);
    world.pass(60_000);
    golden("rate_limited_then_adjusted_then_succeeded", &world.why(run));
}

#[test]
fn a_breaker_that_siblings_opened_holds_back_a_run_that_did_nothing() {
    let mut world = World::new(vec![scraper()], vec![]).lives("scraper", [says(9_000, TOO_MANY, 1)]);
    for _ in 0..5 {
        world.start("scraper", &HOST, Some("alice"));
        world.pass(1_000);
    }
    world.pass(10_000);
    let run = world.start("scraper", &HOST, Some("bob"));
    world.pass(5_000);
    golden("breaker_opened_by_siblings", &world.why(run));
    golden("program_with_an_open_breaker", &world.why_program("scraper"));
}

#[test]
fn a_run_that_waits_for_a_probe_of_another_says_so() {
    let shared = vec![("site:*", BreakerPolicy::failures(2).penalty("1m"))];
    let lives = [says(9_000, TOO_MANY, 1), says(9_000, TOO_MANY, 1), Life::Lives];
    let mut world = World::new(vec![scraper()], shared).lives("scraper", lives);
    for _ in 0..3 {
        world.start("scraper", &HOST, None);
        world.pass(if world.now < START.plus(1_000) { 0 } else { 12_000 });
        world.pass(500);
    }
    world.pass(12_000);
    world.start("scraper", &HOST, Some("bob")); // first in line, so the probe
    let run = world.start("scraper", &HOST, Some("carol"));
    world.pass(70_000);
    golden("waits_for_the_probe_of_another_run", &world.why(run));
}

#[test]
fn a_run_that_stands_behind_others_in_line_says_when_its_turn_is() {
    let shared = vec![("site:*", BreakerPolicy::failures(3).penalty("5m"))];
    let mut world = World::new(vec![scraper()], shared).lives("scraper", [says(9_000, TOO_MANY, 1)]);
    let runs: Vec<_> = (0..3).map(|_| world.start("scraper", &HOST, Some("alice"))).collect();
    world.pass(100_000);
    golden("third_in_line_of_an_open_breaker", &world.why(runs[2]));
}

#[test]
fn a_start_that_somebody_forced_says_who_and_that_no_breaker_hears_of_it() {
    let shared = vec![("site:*", BreakerPolicy::failures(1).penalty("5m"))];
    let mut world = World::new(vec![scraper()], shared).lives("scraper", [says(9_000, TOO_MANY, 1)]);
    world.start("scraper", &HOST, Some("alice"));
    world.pass(10_000);
    let run = world.start("scraper", &HOST, Some("bob"));
    world.pass(5_000);
    world.force(run, "carol");
    world.pass(2_000);
    golden("forced_past_an_open_breaker", &world.why(run));
}

#[test]
fn a_run_that_waits_for_tokens_says_when_they_come() {
    let budget = RetryBudget::tokens(1.0).deposit(0.0).refill_per_minute(1.0);
    let job = command("sync").retry(RetryPolicy::constant("1s").jitter(Jitter::None).max_retries(4));
    let mut world = World::new(vec![job], vec![]).budget(budget).lives("sync", [exits(5_000, 1)]);
    let run = world.start("sync", &[], Some("alice"));
    world.pass_until(run, Phase::Backoff);
    golden("retries_that_the_budget_will_hold_back", &world.why(run));
    world.pass_until(run, Phase::Blocked);
    golden("waits_for_tokens", &world.why(run));
}

#[test]
fn a_share_of_failures_that_would_open_a_breaker_is_foreseen() {
    let breaker = BreakerPolicy::failures(0).failure_rate(0.5).window(10, "1h", 3).penalty("5m");
    let job = command("sync").retry(RetryPolicy::constant("1s").jitter(Jitter::None)).breaker(breaker);
    let mut world = World::new(vec![job], vec![]).lives("sync", [exits(5_000, 1)]);
    let run = world.start("sync", &[], Some("alice"));
    world.pass_until(run, Phase::Backoff);
    golden("share_of_failures_would_open", &world.why(run));
}

#[test]
fn a_parameter_that_siblings_lowered_before_is_told_at_the_first_start() {
    let lives = [says(9_000, TOO_MANY, 1), Life::Lives];
    let mut world = World::new(vec![scraper()], vec![]).lives("scraper", lives);
    world.start("scraper", &HOST, None);
    world.pass(15_000);
    let run = world.start("scraper", &HOST, Some("dave"));
    world.pass(5_000);
    golden("parameter_lowered_before", &world.why(run));
}

#[test]
fn a_probe_that_fails_makes_the_penalty_grow() {
    let shared = vec![("site:*", BreakerPolicy::failures(2).penalty("1m"))];
    let mut world = World::new(vec![scraper()], shared).lives("scraper", [says(9_000, TOO_MANY, 1)]);
    let run = world.start("scraper", &HOST, None);
    world.pass(240_000);
    golden("probe_fails_and_the_penalty_grows", &world.why(run));
}

#[test]
fn a_start_that_was_slow_says_so_and_which_breaker_that_opened() {
    let breaker = BreakerPolicy::failures(5).slow_ready("10s", 0.5).window(20, "1h", 3).penalty("1m");
    let server = command("tiles").ready(Ready::pattern("listening on")).breaker(breaker.penalty_jitter(0.0));
    let mut world = World::new(vec![server], vec![]).lives("tiles", [Life::Lives]);
    let runs: Vec<_> = (0..3).map(|_| world.start("tiles", &[], Some("alice"))).collect();
    for (run, after_ms) in runs.iter().zip([4_000, 7_500, 2_000]) {
        world.pass(after_ms);
        world.is_ready(*run);
    }
    world.pass(10_000);
    golden("slow_start_opened_the_breaker", &world.why(runs[2]));
}

#[test]
fn a_run_gives_up_when_its_retries_are_used_up() {
    let job = command("report").retry(RetryPolicy::exponential("1s").max_retries(3));
    let lives = [says(2_000, "upstream answered: HTTP 503 Service Unavailable", 1)];
    let mut world = World::new(vec![job], vec![]).lives("report", lives);
    let run = world.start("report", &[], Some("cron"));
    world.pass(2_500);
    golden("upstream_and_waiting", &world.why(run));
    world.pass_until(run, Phase::Failed);
    golden("gave_up_by_max_retries", &world.why(run));
    world.pass(3_600_000);
    golden("program_whose_last_run_failed", &world.why_program("report"));
}

#[test]
fn a_run_that_is_called_wrongly_is_not_tried_again() {
    let mut world = World::new(vec![command("import")], vec![]).lives("import", [exits(40, 78)]);
    let run = world.start("import", &[], None);
    world.pass_until(run, Phase::Failed);
    golden("not_retryable_exit_78", &world.why(run));
}

#[test]
fn a_script_that_is_missing_is_not_tried_again() {
    let failure = SpawnFailure {
        problem: SpawnProblem::NotFound,
        errno: "ENOENT".into(),
        message: "cannot start `mail`: no file `mial.sh` in scripts".into(),
        help: "there is `mail.sh`; correct script in [program.mail]".into(),
    };
    let mut world = World::new(vec![command("mail")], vec![]).lives("mail", [Life::CannotStart(failure)]);
    let run = world.start("mail", &[], Some("alice"));
    golden("script_missing", &world.why(run));
}

#[test]
fn a_run_that_ends_at_once_again_and_again_is_quarantined() {
    let policy = RetryPolicy::constant("200ms").max_retries(1_000).intensity(5, "1m");
    let job = command("worker").retry(policy).no_breaker();
    let mut world = World::new(vec![job], vec![]).lives("worker", [says(20, "panic: nil map", 2)]);
    let run = world.start("worker", &[], None);
    world.pass(150);
    golden("restarting_fast", &world.why(run));
    world.pass_until(run, Phase::Quarantined);
    golden("quarantined_by_intensity", &world.why(run));
}

#[test]
fn a_run_that_its_site_wants_left_alone_is_quarantined_for_a_time() {
    let policy = RetryPolicy::constant("200ms").max_retries(1_000).intensity(5, "1m").quarantine("10m");
    let job = command("worker").retry(policy).no_breaker().shared_breaker("site:shop.example");
    let site = BreakerPolicy::failures(100).failure_rate(0.0).quarantine("6h");
    let mut world =
        World::new(vec![job], vec![("site:*", site)]).lives("worker", [says(20, "panic: nil map", 2)]);
    let run = world.start("worker", &[], None);
    world.pass(150);
    golden("restarting_fast_at_a_site", &world.why(run));
    world.pass(5_000);
    golden("quarantined_by_a_site", &world.why(run));
}

#[test]
fn a_run_that_takes_too_long_is_stopped() {
    let job = command("export").timeout("10m").retry(RetryPolicy::exponential("30s").max_retries(2));
    let mut world = World::new(vec![job], vec![]).lives("export", [Life::Lives]);
    let run = world.start("export", &[], None);
    world.pass(60_000);
    golden("running_with_a_timeout", &world.why(run));
    world.pass_until(run, Phase::Backoff);
    golden("timeout", &world.why(run));
}

#[test]
fn a_run_that_says_nothing_is_stopped() {
    let job = command("crawl").idle_timeout("2m").retry(RetryPolicy::exponential("10s").max_retries(1));
    let mut world = World::new(vec![job], vec![]).lives("crawl", [Life::Lives]);
    let run = world.start("crawl", &[], None);
    world.pass_until(run, Phase::Failed);
    golden("stalled", &world.why(run));
}

#[test]
fn a_daemon_that_flaps_waits_longer_each_time() {
    let daemon = command("api").restart(Restart::Always);
    let mut world =
        World::new(vec![daemon], vec![]).lives("api", [says(1_500, "cannot open /var/lib/api: locked", 1)]);
    let run = world.start("api", &[], None);
    world.pass(7_000);
    golden("daemon_flapping", &world.why(run));
    golden("program_of_a_flapping_daemon", &world.why_program("api"));
}

#[test]
fn a_run_that_somebody_stopped_says_who() {
    let mut world = World::new(vec![command("sync")], vec![]).lives("sync", [Life::Lives]);
    let run = world.start("sync", &[], Some("alice"));
    world.pass(90_000);
    world.stop(run, "bob");
    world.pass(1_000);
    golden("operator_stop", &world.why(run));
}

#[test]
fn a_run_whose_supervisor_died_is_tried_again() {
    let mut world = World::new(vec![command("sync")], vec![]).lives("sync", [Life::Lives]);
    let run = world.start("sync", &[], Some("alice"));
    world.pass(90_000);
    world.dies_for(12_000);
    world.pass(30_000);
    golden("supervisor_died_and_run_was_lost", &world.why(run));
}

#[test]
fn a_run_that_the_kernel_killed_for_its_memory_is_told_as_such() {
    let job = command("render")
        .classify(Classify::signal("oom", "SIGKILL"))
        .param(ParamSpec::integer("tiles").default(64).range(4..=64))
        .class("oom", ClassOverride::retry().adjust("tiles", Adjust::multiply(0.5)));
    let lives = [killed(33_000, "SIGKILL"), killed(41_000, "SIGKILL"), Life::Lives];
    let mut world = World::new(vec![job], vec![]).lives("render", lives);
    let run = world.start("render", &[], None);
    world.pass(120_000);
    golden("oom_kill", &world.why(run));
}

#[test]
fn a_job_that_ends_well_with_too_few_items_says_how_many_these_were() {
    let job = command("scrape").success_items(r"scraped (\d+) items", 1);
    let lives = [says(3_000, "scraped 0 items", 0), says(3_000, "scraped 7 items", 0)];
    let mut world = World::new(vec![job], vec![]).lives("scrape", lives);
    let run = world.start("scrape", &[], None);
    world.pass_until(run, Phase::Succeeded);
    golden("too_few_items", &world.why(run));
}

#[test]
fn an_end_that_shows_two_classes_says_why_it_is_the_one() {
    let job = command("fetch")
        .classify(Classify::pattern("stale", "older than a day"))
        .class("network", ClassOverride::retry().priority(10).max_retries(1));
    let lives = [says(3_000, "prices are older than a day\nConnection refused", 1), exits(3_000, 0)];
    let mut world = World::new(vec![job], vec![]).lives("fetch", lives);
    let run = world.start("fetch", &[], None);
    world.pass_until(run, Phase::Succeeded);
    golden("class_by_priority", &world.why(run));
}

#[test]
fn a_run_in_line_says_for_what_it_waits() {
    let mut world =
        World::new(vec![command("encode").max_concurrent(2)], vec![]).lives("encode", [Life::Lives]);
    for _ in 0..3 {
        world.start("encode", &[], None);
        world.pass(1_000);
    }
    let run = world.start("encode", &[], Some("carol"));
    world.pass(240_000);
    golden("queued_by_max_concurrent", &world.why(run));
}

#[test]
fn a_program_that_never_ran_says_how_to_start_it() {
    let mut world = World::new(vec![scraper()], vec![]);
    golden("program_that_never_ran", &world.why_program("scraper"));
}

#[test]
fn a_hostile_line_of_output_cannot_leave_its_quotes() {
    let line = format!("ERROR \u{1b}[2J\u{1b}]0;owned\u{7} HTTP 429 \"quoted\" {}", "x".repeat(400));
    let mut world = World::new(vec![scraper()], vec![]).lives("scraper", [says(1_000, &line, 1)]);
    let run = world.start("scraper", &HOST, None);
    world.pass_until(run, Phase::Backoff);
    let why = world.why(run);
    golden("hostile_line_of_output", &why);
    assert!(!page(&why).chars().any(|c| c.is_control() && c != '\n'));
}

#[test]
fn what_is_foreseen_comes_true_also_where_breakers_open_on_the_way() {
    for failures in [1, 2, 4] {
        let policy = BreakerPolicy::failures(failures).failure_rate(0.0).penalty("1m").penalty_jitter(0.0);
        let lives = [says(9_000, TOO_MANY, 1)];
        let mut world = World::new(vec![scraper()], vec![("site:*", policy)]).lives("scraper", lives);
        let run = world.start("scraper", &HOST, None);
        world.pass_until(run, Phase::Backoff);
        let forecast = world.why(run).forecast.expect("it would fail again");
        world.pass_until(run, Phase::Failed);
        let foreseen: Vec<_> = forecast
            .steps
            .iter()
            .filter(|step| step.text.starts_with("attempt "))
            .map(|step| (step.at.expect("a start has a time"), step.text.clone()))
            .collect();
        let started = world.started(run);
        assert!(foreseen.len() == 4 && started.len() == 6, "{foreseen:#?}");
        for ((at, text), (number, started_at, qpi, probe)) in foreseen.iter().zip(started.iter().skip(1)) {
            assert_eq!(at, started_at, "failures = {failures}: {text}");
            assert!(text.starts_with(&format!("attempt {number} in ")), "{text}");
            assert!(text.ends_with(&format!("with qpi={qpi}")), "failures = {failures}: {text}, not {qpi}");
            assert_eq!(text.contains("as a probe"), *probe, "failures = {failures}: {text}");
        }
    }
}

#[test]
fn a_long_story_is_told_by_its_beginning_and_its_latest_part() {
    let policy = RetryPolicy::constant("1m").no_intensity();
    let daemon = command("api").restart(Restart::Always).retry(policy).no_breaker();
    let mut world = World::new(vec![daemon], vec![]).lives("api", [exits(10, 1)]);
    let run = world.start("api", &[], None);
    world.pass(100 * 60_000);
    let why = world.why(run);
    let texts: Vec<_> = why.chain.iter().map(|step| step.text.as_str()).collect();
    let [first, left_out, .., last] = texts.as_slice() else { panic!("{texts:#?}") };
    assert_eq!((*first, texts.len()), ("asked for", 101));
    assert!(left_out.starts_with("… ") && left_out.contains("steps are left out here"), "{left_out}");
    assert!(last.starts_with("failure 1") && last.contains("in a row (exit_nonzero)"), "{last}");
    let facts = world.facts(run);
    assert_eq!((facts.read_after(50, 100), facts.read_after(5_000, 100)), (1, 4_900), "the latest count");
}

#[test]
fn asking_why_changes_nothing() {
    let history = |ask: bool| {
        let mut world = World::new(vec![scraper()], vec![]).lives("scraper", [says(9_000, TOO_MANY, 1)]);
        let run = world.start("scraper", &HOST, None);
        for _ in 0..60 {
            world.pass(5_000);
            if ask {
                world.why(run);
                world.why_program("scraper");
            }
        }
        page(&world.why(run))
    };
    assert_eq!(history(true), history(false));
}
