//! Programs as they are built, checked and overridden.

use super::*;
use crate::model::{
    Adjust, BreakerPolicy, ClassOverride, Jitter, ParamSpec, ParamValue, RetryPolicy, ScopeKind,
};

mod arguments;

fn scraper() -> Program {
    Program::script("scraper", "scrape")
        .script_path(["scripts"])
        .args(["--site", "{host}", "--qpi", "{qpi}"])
        .param(ParamSpec::string("host").required())
        .param(ParamSpec::integer("qpi").default(100).range(10..=200))
        .classify(Classify::pattern("rate_limited", r"HTTP 429").retry_after(r"retry-after:\s*(\d+)"))
        .classify(Classify::signal("oom", "KILL"))
        .class("rate_limited", ClassOverride::retry().delay("30s").adjust("qpi", Adjust::multiply(0.5)))
        .retry(RetryPolicy::exponential("1s").max_delay("5m").max_retries(5))
        .breaker(BreakerPolicy::failures(5).penalty("30s"))
        .shared_breaker("site:{host}")
}

#[track_caller]
fn problems_of(program: &Program, expected: &[&str]) {
    let found: Vec<String> = program.check().iter().map(|p| format!("{} {}", p.path, p.code)).collect();
    assert_eq!(found, expected, "{:#?}", program.check());
    assert!(program.check().iter().all(|p| !p.help.is_empty() && !p.message.is_empty()));
}

#[test]
fn a_sound_program_has_no_problem() {
    problems_of(&scraper(), &[]);
    assert_eq!(scraper().advice(), []);
    problems_of(&Program::command("api", ["./server", "--port", "8081"]).restart(Restart::Always), &[]);
}

#[test]
fn what_a_builder_could_not_read_comes_out_of_the_check() {
    let program = scraper()
        .timeout("5")
        .stop_signal("SIGBOGUS")
        .retry(RetryPolicy::exponential("1.5s").factor(f64::NAN))
        .breaker(BreakerPolicy::failures(5).penalty("soon").failure_rate(0.33333))
        .class("oom", ClassOverride::retry().delay("?").weight(-1.0))
        .output(OutputPolicy::default().max_line("64"))
        .classify(Classify::exit_code("oom", 137).retry_after("(x)"));
    problems_of(
        &program,
        &[
            "timeout config.duration",
            "stop_signal config.signal",
            "classify[2].retry_after config.conflict",
            "classes.oom.delay config.duration",
            "classes.oom.weight config.range",
            "output.max_line config.size",
            "retry.delay config.duration",
            "retry.factor config.range",
            "breaker.penalty config.duration",
            "breaker.failure_rate config.range",
        ],
    );
}

#[test]
fn settings_of_retry_that_contradict_each_other_are_found() {
    let with = |policy| scraper().retry(policy);
    let base = || RetryPolicy::exponential("1s");
    problems_of(&with(base().max_delay("500ms")), &["retry.max_delay config.conflict"]);
    problems_of(&with(base().min_delay("2s")), &["retry.delay config.conflict"]);
    problems_of(&with(RetryPolicy::exponential("0s")), &["retry.delay config.conflict"]);
    problems_of(&with(RetryPolicy::exponential("0s").min_delay("0s")), &[]);
    problems_of(&with(base().max_delay("8d")), &["retry.max_delay config.range"]);
    problems_of(&with(base().factor(0.9)), &["retry.factor config.range"]);
    problems_of(&with(base().factor(10.5)), &["retry.factor config.range"]);
    problems_of(&with(base().jitter(Jitter::proportional(1.5))), &["retry.jitter config.range"]);
    problems_of(&with(base().reset_after("100ms")), &["retry.reset_after config.conflict"]);
    problems_of(&with(base().max_failing("10ms")), &["retry.max_failing config.range"]);
    problems_of(&with(base().intensity(0, "1m")), &["retry.intensity.restarts config.range"]);
    problems_of(&with(base().intensity(100, "10s")), &["retry.intensity config.conflict"]);
    problems_of(&with(base().no_intensity()), &[]);
    let slow = with(RetryPolicy::constant("10m").min_delay("10m"));
    problems_of(&slow, &[]);
    assert_eq!(slow.advice()[0].path, "classes.rate_limited.delay");
    problems_of(&with(RetryPolicy::exponential("10ms")), &[]);
    assert_eq!(RetryPolicy::exponential("10ms").min_delay_ms, 10);
    assert_eq!(RetryPolicy::exponential("0s").min_delay_ms, 100);
}

#[test]
fn settings_of_a_breaker_that_contradict_each_other_are_found() {
    let with = |policy| scraper().breaker(policy);
    let base = || BreakerPolicy::failures(5);
    problems_of(&with(BreakerPolicy::failures(0).failure_rate(0.0)), &["breaker.failures config.conflict"]);
    problems_of(&with(BreakerPolicy::failures(0)), &[]);
    problems_of(&with(BreakerPolicy::failures(1001)), &["breaker.failures config.range"]);
    problems_of(&with(base().window(20, "1h", 21)), &["breaker.window.min config.conflict"]);
    problems_of(
        &with(base().window(0, "1h", 1)),
        &["breaker.window.size config.range", "breaker.window.min config.conflict"],
    );
    problems_of(&with(base().window(20, "5ms", 5)), &["breaker.window.age config.range"]);
    problems_of(&with(base().penalty("1h")), &["breaker.max_penalty config.conflict"]);
    problems_of(&with(base().penalty("10ms")), &["breaker.penalty config.range"]);
    problems_of(&with(base().penalty_factor(0.5)), &["breaker.penalty_factor config.range"]);
    problems_of(&with(base().penalty_jitter(0.6)), &["breaker.penalty_jitter config.range"]);
    problems_of(&with(base().half_open(0, 1, 1)), &["breaker.half_open.permits config.range"]);
    problems_of(&with(base().half_open(2, 1, 1)), &["breaker.half_open.permits config.conflict"]);
    problems_of(&with(base().half_open(2, 2, 1)), &[]);
    problems_of(&with(base().lease("119s")), &["breaker.half_open.lease config.conflict"]);
    problems_of(&with(base().lease("120s")), &[]);
    problems_of(&with(base().stable("10ms")), &["breaker.half_open.stable config.range"]);
    problems_of(&with(base().quarantine("59s")), &["breaker.quarantine config.range"]);
    problems_of(&with(base().quarantine("60s")), &[]);
    problems_of(&with(base().quarantine("7d")), &[]);
    problems_of(&with(base().quarantine("8d")), &["breaker.quarantine config.range"]);
    let endless = scraper().retry(RetryPolicy::default().no_intensity());
    problems_of(&endless.breaker(base().quarantine("1h")), &["breaker.quarantine config.conflict"]);
}

#[test]
fn rules_that_name_nothing_are_found() {
    problems_of(&scraper().shared_breaker("site:{hots}"), &["breakers[1] config.unknown_param"]);
    problems_of(&scraper().args(["{host"]), &["args[0] config.template"]);
    problems_of(&scraper().env("A=B", "{hst}"), &["env.A=B config.value", "env.A=B config.unknown_param"]);
    let adjust = |name| scraper().class("network", ClassOverride::retry().adjust(name, Adjust::add(-10)));
    problems_of(&adjust("qpi"), &[]);
    problems_of(&adjust("qip"), &["classes.network.adjust.qip config.unknown_param"]);
    problems_of(&adjust("host"), &["classes.network.adjust.host config.value"]);
    let lost = scraper().class("rate_limitd", ClassOverride::no_retry().scopes([ScopeKind::Shared]));
    problems_of(&lost, &[]);
    assert_eq!(lost.advice()[0].help, "did you mean `rate_limited`?");
}

#[test]
fn secrets_stay_out_of_arguments() {
    let with = |spec: ParamSpec| scraper().param(spec);
    problems_of(&with(ParamSpec::string("key").secret("API_KEY")), &[]);
    problems_of(
        &with(ParamSpec::string("key").secret("API_KEY")).args(["--key={key}"]),
        &["args[0] config.secret"],
    );
    problems_of(
        &with(ParamSpec::string("key").secret("API_KEY").default("hunter2")),
        &["params.key.secret config.secret"],
    );
    let shown = format!("{:?}", with(ParamSpec::integer("key").secret("K").default("hunter2")).check());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn parameters_that_allow_no_value_are_found() {
    let with = |spec: ParamSpec| scraper().param(spec);
    problems_of(&with(ParamSpec::integer("n").min(5).max(1)), &["params.n.max config.conflict"]);
    problems_of(&with(ParamSpec::integer("n").min(5).default(1)), &["params.n.default config.conflict"]);
    problems_of(&with(ParamSpec::integer("n").default("many")), &["params.n.default config.value"]);
    problems_of(&with(ParamSpec::string("s").min(1)), &["params.s.min config.value"]);
    problems_of(&with(ParamSpec::choice("c", Vec::<String>::new())), &["params.c.choices config.required"]);
    problems_of(&with(ParamSpec::string("a b")), &["params.a b config.name"]);
    problems_of(
        &with(ParamSpec::string("a").env("X")).param(ParamSpec::string("b").env("X")),
        &["params.b.env config.conflict"],
    );
    problems_of(&scraper().autostart(), &["autostart config.conflict"]);
    let wait = ParamSpec::duration("wait").default("5s").max("1m");
    assert_eq!(with(wait).params["wait"].max, Some(ParamValue::DurationMs(60_000)));
}

#[test]
fn expressions_must_compile_small_and_capture() {
    let with = |rule| scraper().classify(rule);
    problems_of(&with(Classify::pattern("oom", "(")), &["classify[2].pattern config.regex"]);
    problems_of(&with(Classify::pattern("oom", "")), &["classify[2].pattern config.regex"]);
    problems_of(&with(Classify::pattern("oom", r"\w{5000}")), &["classify[2].pattern config.regex"]);
    problems_of(
        &with(Classify::pattern("oom", "x").retry_after(r"\d+")),
        &["classify[2].retry_after config.regex"],
    );
    problems_of(
        &with(Classify::exit_code("OOM", 300)),
        &["classify[2].class config.name", "classify[2].exit_code config.range"],
    );
    problems_of(&scraper().output(OutputPolicy::default().redact("[")), &["output.redact[0] config.regex"]);
}

#[test]
fn names_and_commands_must_be_usable() {
    problems_of(&Program::script("Scraper", "scrape"), &[" config.name"]);
    problems_of(&Program::script("a".repeat(64), "scrape"), &[" config.name"]);
    problems_of(&Program::script("a", "../scrape"), &["script config.value"]);
    problems_of(&Program::script("a", "b").script_path(Vec::<String>::new()), &["script_path config.value"]);
    problems_of(&Program::command("a", Vec::<String>::new()), &["command config.required"]);
    problems_of(&Program::command("a", ["b"]).interpreter(["sh"]), &["interpreter config.conflict"]);
    problems_of(&Program::command("a", ["b", "\0"]), &["command[1] config.value"]);
    problems_of(&Program::command("a", ["b"]).max_concurrent(0), &["max_concurrent config.range"]);
    problems_of(&Program::command("a", ["b"]).timeout("0s"), &["timeout config.range"]);
    problems_of(
        &Program::command("a", ["b"]).success_exit_codes([0, 256]),
        &["success_exit_codes[1] config.range"],
    );
}

#[test]
fn advice_counts_the_retries_that_fit() {
    let retry = RetryPolicy::exponential("1s").max_retries(5).max_failing("10s");
    let advice = scraper().retry(retry).advice();
    // 1 + 2 + 4 fit into ten seconds, the next delay of 8 does not.
    assert_eq!(advice[0].message, "only 3 of 5 retries fit into `max_failing`, by their delays alone");
    let retry = RetryPolicy::constant("1s").max_retries(u32::MAX).max_failing("10s");
    assert!(scraper().retry(retry).advice()[0].message.starts_with("only 10 of"));
}

#[test]
fn a_breaker_that_counts_nothing_needs_a_class_that_it_hears_of_and_that_trips() {
    let blind = || Program::script("p", "x").breaker(BreakerPolicy::failures(0).failure_rate(0.0));
    let trips = || ClassOverride::retry().trips();
    let never = &["breaker.failures config.conflict"][..];
    for (program, problems) in [
        (blind(), never),
        (blind().class("crash", ClassOverride::retry()), never),
        (blind().class("crash", trips()), &[]),
        // Shared scopes alone hear of it, unless the program says otherwise.
        (blind().class("network", trips()), never),
        (blind().class("network", trips().scopes([ScopeKind::Shared, ScopeKind::Program])), &[]),
        (blind().class("crash", trips().scopes([ScopeKind::Global])), never),
    ] {
        problems_of(&program, problems);
    }
}

#[test]
fn a_level_that_comes_down_before_the_penalty_is_over_is_refused_where_somebody_wrote_it() {
    let conflict = &["breaker.decay_after config.conflict"][..];
    for (policy, problems) in [
        (BreakerPolicy::failures(5).penalty("30s").decay_after("29s"), conflict),
        (BreakerPolicy::failures(5).penalty("30s").decay_after("30s"), &[]),
        // Longer than the default decay of 10m, which nobody wrote: the penalty holds.
        (BreakerPolicy::failures(5).penalty("20m"), &[]),
    ] {
        problems_of(&Program::script("p", "x").breaker(policy), problems);
    }
}
