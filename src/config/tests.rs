//! Reading good files and bad ones, and keeping the table of keys true.

use super::{
    keys::{Keys, Kind},
    root::ROOT,
    *,
};
use crate::{
    Adjust, Arg, Backlog, BreakerMode, Classify, InlineAction, Jitter, Leftovers, OnLost, OnOpen,
    OnProbeExpiry, OutputPolicy, Param, ParamKind, ProbeParams, ProbeSuccess, Program, Ready, Restart,
    ScopeKind, StderrMode, StreamChoice, actors::model::Command,
};
use proptest::prelude::*;
use std::{fs, path::Path};

mod doubts;
mod error_page;
mod errors;
mod rows;
mod rules;

const FULL: &str = include_str!("../../tests/config/full.toml");

#[track_caller]
pub(super) fn good(text: &str) -> Config {
    match parse(text, Path::new("/etc/shop/supervise.toml")) {
        Ok(config) => config,
        Err(errors) => panic!("{errors}\nin\n{text}"),
    }
}

#[track_caller]
pub(super) fn bad(text: &str) -> Vec<Diagnostic> {
    match parse(text, Path::new("/etc/shop/supervise.toml")) {
        Ok(config) => panic!("accepted: {config:#?}\nfrom\n{text}"),
        Err(ConfigErrors(errors)) => errors,
    }
}

#[test]
fn an_empty_file_has_the_defaults() {
    let config = good("");
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:9700");
    assert_eq!(config.server.tokens_file, Path::new("/etc/shop/tokens.toml"));
    assert_eq!(config.store.path, Path::new("/etc/shop/supervise-data"));
    let day = 86_400_000;
    assert_eq!((config.store.logs_max_age_ms, config.store.logs_max_bytes), (14 * day, 2 << 30));
    assert_eq!((config.store.runs_max_age_ms, config.store.runs_max_count), (90 * day, 50_000));
    assert_eq!((config.store.journal_max_age_ms, config.store.journal_max_bytes), (90 * day, 512 << 20));
    assert_eq!((config.programs.len(), config.shared_breakers.len()), (0, 0));
    assert_eq!((config.retry_budget, config.warnings.len()), (None, 0));
}

#[test]
fn a_program_that_says_little_is_as_one_built_in_code() {
    let config = good("[program.api]\ncommand = [\"./server\"]\n[program.job]\nscript = \"scrape\"\n");
    assert_eq!(config.program("api"), Some(&Program::command("api", ["./server"]).base_dir("/etc/shop")));
    assert_eq!(config.program("job"), Some(&Program::script("job", "scrape").base_dir("/etc/shop")));
}

#[test]
fn every_key_reaches_its_field() {
    let config = good(FULL);
    assert_eq!(config.server.listen, Listen::Unix("/etc/shop/run/shop.sock".into()));
    assert_eq!(config.server.allowed_hosts, ["ops.example"]);
    assert_eq!(config.store.path, Path::new("/etc/shop/var"));
    assert_eq!((config.store.logs_max_bytes, config.store.runs_max_count), (512 << 20, 1000));
    let journal = (config.store.journal_max_age_ms, config.store.journal_max_bytes);
    assert_eq!(journal, (30 * 86_400_000, 64 << 20));
    let budget = config.retry_budget.unwrap();
    assert_eq!((budget.capacity_permille, budget.deposit_permille), (10_500, 125));
    assert_eq!((budget.refill_per_minute_permille, budget.on_empty), (1000, crate::OnEmpty::GiveUp));
    let of_a_site = config.rules_of_scope("site:x").and_then(|rules| rules.retry_budget);
    assert_eq!(of_a_site, Some(RetryBudget::tokens(5.0)));
    let names: Vec<_> = config.programs.iter().map(|program| program.name.as_str()).collect();
    assert_eq!(names, ["crawler", "api"], "in the order of the file");
    assert_eq!(config.program("crawler"), Some(&with_policies(crawler())));
    let api = config.program("api").unwrap();
    assert_eq!(
        api.command,
        Command::Argv(["./server", "--port", "8081", "--name", "my shop"].map(Into::into).into())
    );
    assert_eq!((api.restart, api.autostart, &api.breaker), (Restart::Always, true, &None));
    assert_eq!((api.retry.delay_ms, api.retry.max_delay_ms, api.retry.intensity), (600_000, 600_000, None));
    assert_eq!(api.stop_timeout_ms, 20_000, "from [defaults]");
    assert_eq!(config.rules_of_scope("site:x").map(|rules| rules.failures), Some(2));
    assert_eq!(config.rules_of_scope("global").map(|rules| rules.failures), Some(50));
    assert_eq!(config.rules_of_scope("user:x"), None);
}

/// What the full example says, in code; its policies are in [`with_policies`].
fn crawler() -> Program {
    let mut rate = Param::decimal("rate").default(2).adjust_scope("site:{shop}").adjust_cooldown_ms(120_000);
    rate.min = Some(rate.parse("0.5").unwrap());
    rate.max = Some(rate.parse("10.25").unwrap());
    rate.restore = Some(crate::actors::model::Restore {
        hold_ms: 60_000,
        every_ms: 30_000,
        add_micros: Some(500_000),
        avoid_ms: 3_600_000,
    });
    rate.on_floor = crate::OnFloor::GiveUp;
    Program::script("crawler", "crawl")
        .description("Crawls shops")
        .script_path(["bin", "../shared"])
        .interpreter(["python3", "-u"])
        .args((
            "--shop={shop}",
            "{mode}",
            "{{literal}}",
            ["--since", "{since}"],
            Arg::when("headless", ["--headless"]).otherwise(("--window", ["--size", "{size*}"])),
        ))
        .base_dir("/etc/shop")
        .cwd("work")
        .env("LC_ALL", "C")
        .env("MODE", "fast-{mode}")
        .env_file("crawler.env")
        .env_clear()
        .restart(Restart::No)
        .success_exit_codes([0, 3])
        .success_min_lines(2)
        .success_items(r"scraped (\d+) items", 3)
        .timeout("1h30m")
        .idle_timeout("90s")
        .max_concurrent(3)
        .queue(7)
        .priority(-20)
        .label("team", "data")
        .shared_breaker("site:{shop}")
        .stop_signal("SIGINT")
        .stop_timeout("3s")
        .leftovers(Leftovers::Keep)
        .on_lost(OnLost::Fail)
        .param(Param::string("shop").required().allow_dash())
        .param(Param::choice("mode", ["quick", "deep"]).default("quick").env("CRAWL_MODE"))
        .param(rate)
        .param(Param::duration("wait").default("5s").max("1m"))
        .param(Param::string("key").secret("SHOP_KEY"))
        .param(Param::string("since"))
        .param(Param::boolean("headless").default(false))
        .param(Param::list("size").items(ParamKind::Integer).max_items(2).default([800, 600]))
        .classify(
            Classify::pattern("rate_limited", "HTTP 429")
                .stream(StreamChoice::Stderr)
                .retry_after(r"retry in (\d+) s"),
        )
        .classify(Classify::exit_code("oom", 137))
        .classify(Classify::signal("crash", "SEGV"))
}

fn with_policies(program: Program) -> Program {
    program
        .retry(
            crate::RetryPolicy::exponential("2s")
                .max_retries(9)
                .factor(1.5)
                .max_delay("10m")
                .min_delay("250ms")
                .jitter(Jitter::proportional(0.2))
                .reset_after("15m")
                .max_failing("24h")
                .startup_spread("1m")
                .intensity(20, "5m")
                .quarantine("1h")
                .reset_on_config_change(false)
                .retry_after_max("2h"),
        )
        .ready(Ready::pattern("crawling now").stream(StreamChoice::Stdout))
        .breaker(
            crate::BreakerPolicy::failures(3)
                .failure_rate(0.25)
                .window(50, "2h", 10)
                .slow_ready("20s", 0.3)
                .penalty("1m")
                .penalty_factor(3.0)
                .max_penalty("1h")
                .penalty_jitter(0.05)
                .decay_after("20m")
                .half_open(2, 2, 1)
                .lease("10m")
                .stable("30s")
                .probe_params(ProbeParams::Current)
                .probe_success(ProbeSuccess::Exit)
                .on_probe_expiry(OnProbeExpiry::Release)
                .ramp("2m", "5s")
                .on_open(OnOpen::Stop)
                .retry_budget(
                    RetryBudget::tokens(3.0).deposit(0.1).refill_per_minute(1.5).give_up_when_empty(),
                )
                .quarantine("2h")
                .mode(BreakerMode::MetricsOnly),
        )
        .class(
            "rate_limited",
            crate::ClassRule::retry()
                .counts(false)
                .weight(2.5)
                .scopes([ScopeKind::Shared, ScopeKind::User])
                .trips()
                .delay("45s")
                .max_delay("2h")
                .max_retries(4)
                .cost(1.5)
                .adjust("rate", Adjust::multiply(0.5))
                .adjust("wait", Adjust::add(10_000))
                .adjust("mode", Adjust::step(-1))
                .inline(5, "1m", InlineAction::Restart)
                .priority(10),
        )
        .output(
            OutputPolicy::default()
                .max_line("8KiB")
                .recent("2MiB")
                .stderr(StderrMode::Merge)
                .backlog("64MiB")
                .on_backlog(Backlog::Block)
                .stall("7s")
                .redact(r"token=\S+")
                .strip_ansi(),
        )
}

#[test]
fn what_has_no_effect_yet_is_warned_of() {
    let config = good(FULL);
    let keys: Vec<_> =
        config.warnings.iter().filter(|w| w.code == "config.not_yet").map(|w| w.source.clone()).collect();
    assert_eq!(keys.len(), 2, "{keys:#?}");
    assert!(keys.iter().any(|line| line.contains("tokens_file")), "{keys:#?}");
    assert!(config.warnings.iter().all(|w| w.severity == Severity::Warning && w.line > 0));
}

/// Visits every table of keys with its path, `NAME` standing for names of the writer's choice.
pub(super) fn each_table(path: &str, keys: Keys, visit: &mut impl FnMut(&str, Keys)) {
    visit(path, keys);
    for key in keys.iter().filter(|key| key.name != "defaults") {
        let below = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        match &key.kind {
            Kind::Table(keys) | Kind::TableOrFalse(keys) | Kind::Rows(keys) => {
                each_table(&below, *keys, visit)
            }
            Kind::Tables(keys) => each_table(&format!("{below}.NAME"), *keys, visit),
            _ => {}
        }
    }
}

#[test]
fn each_default_of_the_table_is_the_default_in_force() {
    let mut count = 0;
    each_table("", &ROOT, &mut |path, keys| {
        let below = match path {
            "" => "",
            "program.NAME" => "script = \"x\"",
            "program.NAME.classify" => "class = \"oom\"\npattern = \"x\"",
            "program.NAME.ready" => "pattern = \"x\"",
            "program.NAME.classes.NAME.inline" => "count = 1\nper = \"1m\"",
            _ => "",
        };
        let header = path.replace("NAME", "x");
        let header = match path {
            "" => String::new(),
            "program.NAME.classify" => format!("[[{header}]]"),
            _ => format!("[{header}]"),
        };
        // An adjustable parameter needs a number.
        let numeric =
            if path.ends_with("restore") { "[program.x.params.x]\ntype = \"integer\"\n" } else { "" };
        let command = if path.starts_with("program.NAME.") { "[program.x]\ncommand = [\"x\"]\n" } else { "" };
        let of_a_list = |name: &str| ["items", "max_items"].contains(&name);
        let text = |name: &str, line: &str| {
            let below = if of_a_list(name) { "type = \"list\"" } else { below };
            format!("{command}{numeric}{header}\n{below}\n{line}\n")
        };
        for key in keys.iter().filter(|key| !key.default.is_empty() && !key.default.starts_with('(')) {
            let written = good(&text(key.name, &format!("{} = {}", key.name, key.default)));
            assert_eq!(written, good(&text(key.name, "")), "{path}.{}", key.name);
            count += 1;
        }
    });
    assert!(count > 60, "{count}");
}

#[test]
fn the_full_example_has_every_key_and_the_reference_too() {
    let tree: toml::Table = FULL.parse().unwrap();
    let page = reference();
    each_table("", &ROOT, &mut |path, keys| {
        let mut places = vec![toml::Value::Table(tree.clone())];
        for name in path.split('.').filter(|name| !name.is_empty()) {
            let step = |value: &toml::Value| -> Vec<toml::Value> {
                match (name, value.as_table()) {
                    ("NAME", Some(table)) => table.values().cloned().collect(),
                    (_, Some(table)) => table.get(name).cloned().into_iter().collect(),
                    _ => Vec::new(),
                }
            };
            places = places.iter().flat_map(step).collect();
            places = places
                .into_iter()
                .flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value]))
                .collect();
        }
        for key in keys.iter().filter(|_| !path.starts_with("breaker.NAME")) {
            let here = |value: &toml::Value| value.get(key.name).is_some();
            assert!(places.iter().any(here), "{path}.{}", key.name);
            assert!(page.contains(&format!("| `{}` |", key.name)), "{path}.{}", key.name);
        }
    });
}

#[test]
fn the_reference_page_is_the_one_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/config.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(path, reference()).unwrap();
    }
    let page = fs::read_to_string(path).unwrap_or_default();
    assert!(page == reference(), "say `UPDATE_REFERENCE=1 cargo test the_reference_page` and commit docs/");
}

#[test]
fn defaults_give_way_key_by_key() {
    let config = good(
        "[defaults]\nscript = \"all\"\nscript_path = [\"s\"]\ntimeout = \"1m\"\n\
         [defaults.breaker]\nfailures = 9\nwindow = { size = 30 }\n\
         [program.a]\n[program.b]\ncommand = [\"b\"]\nbreaker = false\n\
         [program.c]\nscript = \"own\"\ntimeout = \"2m\"\n[program.c.breaker.window]\nmin = 7\n",
    );
    let [a, b, c] = config.programs.as_slice() else { panic!("{:?}", config.programs) };
    assert_eq!(a.timeout_ms, Some(60_000));
    assert_eq!((&b.command, &b.breaker), (&Command::Argv(vec!["b".into()]), &None));
    let Command::Script { name, path, .. } = &c.command else { panic!() };
    assert_eq!(
        (name.as_str(), path.as_slice(), c.timeout_ms),
        ("own", ["s".into()].as_slice(), Some(120_000))
    );
    let breaker = c.breaker.as_ref().unwrap();
    assert_eq!((breaker.failures, breaker.window.size, breaker.window.min), (9, 30, 7));
}

#[test]
fn included_files_have_folders_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("more")).unwrap();
    write(
        "main.toml",
        "include = [\"more/shop.toml\"]\n[defaults]\nenv_file = \"all.env\"\n[program.a]\nscript = \"a\"\n",
    );
    write("more/shop.toml", "[program.b]\nscript = \"b\"\n[breaker.global]\n[store]\npath = \"data\"\n");
    let config = load(&folder.path().join("main.toml")).unwrap();
    let (a, b) = (config.program("a").unwrap(), config.program("b").unwrap());
    assert_eq!(a.base_dir, folder.path());
    assert_eq!(a.env_file.as_deref(), Some(Path::new("all.env")));
    assert_eq!(b.base_dir, folder.path().join("more"));
    assert_eq!(b.env_file, Some(folder.path().join("all.env")), "relative to the file that says it");
    assert_eq!(config.store.path, folder.path().join("more/data"));
    assert_eq!(config.shared_breakers.len(), 1);
}

#[test]
fn includes_that_go_wrong_are_told_at_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("main.toml", "\ninclude = [\"a.toml\",\n \"missing.toml\"]\n[program.p]\nscript = \"p\"\n");
    write("a.toml", "include = [\"main.toml\"]\n[program.p]\nscript = \"again\"\n[program.q]\n");
    let ConfigErrors(errors) = load(&folder.path().join("main.toml")).unwrap_err();
    let short: Vec<_> = errors
        .iter()
        .map(|e| (e.file.file_name().unwrap().to_str().unwrap(), e.line, e.column, e.code.as_str()))
        .collect();
    let expected = [
        ("main.toml", 3, 2, "config.include"),
        ("a.toml", 1, 12, "config.include"),
        ("a.toml", 2, 10, "config.duplicate"),
        ("a.toml", 4, 10, "config.required"),
    ];
    assert_eq!(short, expected, "{errors:#?}");
    assert!(errors[1].message.contains("includes itself"), "{}", errors[1]);
    assert!(errors[2].message.ends_with("main.toml:4"), "{}", errors[2]);
}

#[test]
fn a_directory_is_no_include() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("main.toml");
    for name in [".", "./.", ""] {
        fs::write(&file, format!("include = [\"{name}\"]\n")).unwrap();
        let ConfigErrors(errors) = load(&file).unwrap_err();
        let message = format!("`{name}` is a directory, and `include` takes files");
        assert_eq!((errors.len(), errors[0].message.as_str()), (1, message.as_str()), "{errors:#?}");
        assert!(errors[0].help.contains("name each file"), "{}", errors[0]);
    }
}

#[test]
fn text_from_elsewhere_reads_no_file() {
    let ConfigErrors(errors) =
        parse_alone("include = [\"/etc/passwd\"]\n", Path::new("/x/y.toml")).unwrap_err();
    assert_eq!((errors.len(), errors[0].code.as_str()), (1, "config.include"));
    assert!(parse_alone(FULL, Path::new("/x/y.toml")).is_ok());
}

#[test]
fn a_short_delay_lowers_the_shortest_one_that_nobody_wrote() {
    let min_delay = |text: &str| {
        let config = good(&format!("[program.p]\nscript = \"x\"\n[program.p.retry]\n{text}\n"));
        config.programs[0].retry.min_delay_ms
    };
    assert_eq!(min_delay("delay = \"50ms\""), 50);
    assert_eq!(min_delay("delay = \"50ms\"\nmin_delay = \"20ms\""), 20);
    assert_eq!(min_delay("delay = \"5s\""), 100);
}

#[test]
fn a_file_that_cannot_be_read_is_one_error() {
    let ConfigErrors(errors) = load(Path::new("/nonexistent/supervise.toml")).unwrap_err();
    assert_eq!((errors.len(), errors[0].code.as_str(), errors[0].line), (1, "config.read", 0));
    assert!(errors[0].to_string().contains("--> /nonexistent/supervise.toml\n"), "{}", errors[0]);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _ = parse(&text, Path::new("/nonexistent/x.toml")).map_err(|errors| errors.to_string());
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_reader_panic(
        start in 0..FULL.len(), length in 0..40_usize, insert in "[\\[\\]{}=\"'\\\\#.,a-z0-9 \n\t\u{0}é]{0,8}",
    ) {
        let mut bytes = FULL.as_bytes().to_vec();
        bytes.splice(start..(start + length).min(FULL.len()), insert.bytes());
        let text = String::from_utf8_lossy(&bytes);
        if let Err(ConfigErrors(errors)) = parse(&text, Path::new("/nonexistent/x.toml")) {
            prop_assert!(!errors.is_empty());
            for error in &errors {
                prop_assert!(error.line <= text.lines().count() + 1);
                prop_assert!(!error.help.is_empty() && !error.message.is_empty(), "{error:?}");
                prop_assert!(error.to_string().lines().count() >= 3);
            }
        }
    }
}
