//! The page is what a strict reader expects, and its reference is made from the same table.

use super::*;
use actix_process_actors::model::{BreakerState, Scope, Timestamp};

#[path = "../../tests/integration/exposition.rs"]
mod strict;

fn breaker(scope: &str, state: BreakerState, level: u32) -> BreakerStatus {
    BreakerStatus {
        scope: Scope(scope.into()),
        state,
        level,
        until: None,
        failures_permille: 0,
        outcomes: 0,
        failed_permille: 0,
        total_permille: 0,
        probes: 0,
        why: "w".into(),
        changed_at: Timestamp(0),
    }
}

fn read(metrics: &Metrics, breakers: &[BreakerStatus]) -> BTreeMap<String, strict::Family> {
    let page = text(metrics, breakers, Some(4_096));
    let families = strict::parse(&page).unwrap_or_else(|why| panic!("{why}\n{page}"));
    families.into_iter().map(|family| (family.name.clone(), family)).collect()
}

#[test]
fn the_page_has_every_family_once_and_in_the_order_of_the_table() {
    let page = text(&Metrics::default(), &[], Some(0));
    let read: Vec<_> = strict::parse(&page).unwrap().into_iter().map(|f| (f.name, f.kind)).collect();
    let table: Vec<_> = families::ALL.iter().map(|f| (f.name.to_owned(), f.kind.name().to_owned())).collect();
    assert_eq!(read, table);
}

#[test]
fn a_program_that_never_ran_is_there_at_nought() {
    let mut metrics = Metrics::default();
    metrics.programs.insert("idle".into(), ProgramMetrics::default());
    let families = read(&metrics, &[]);
    for name in [
        "attempts_started_total",
        "restarts_total",
        "runs",
        "runs_ended_total",
        "starts_held_back_total",
        "runs_given_up_total",
        "retry_delay_seconds",
    ] {
        let family = &families[&format!("actix_process_{name}")];
        assert!(!family.samples.is_empty(), "{name}");
        for (_, labels, value) in &family.samples {
            assert_eq!((labels["program"].as_str(), *value), ("idle", 0.0), "{name}");
        }
    }
}

#[test]
fn what_people_and_children_name_cannot_break_the_page() {
    let hostile = "a\"} 1\n# TYPE x gauge\\";
    let mut metrics = Metrics::default();
    let mut program = ProgramMetrics::default();
    program.figures.retries.insert(hostile.into(), 7);
    metrics.programs.insert("p".into(), program);
    metrics.scopes.insert(hostile.into(), ScopeFigures::default());
    let families = read(&metrics, &[breaker(hostile, BreakerState::Open, 2)]);
    assert_eq!(families["actix_process_retries_scheduled_total"].sum("", &[("class", hostile)]), 7.0);
    assert_eq!(
        families["actix_process_breaker_state"].sum("", &[("scope", hostile), ("state", "open")]),
        1.0
    );
    assert_eq!(families["actix_process_breaker_level"].sum("", &[("scope", hostile)]), 2.0);
}

#[test]
fn more_breakers_than_there_are_labels_for_are_told_together() {
    let names: Vec<_> = (0..Figures::SCOPES_MAX + 20).map(|number| format!("site:{number:03}")).collect();
    let mut metrics = Metrics::default();
    let last = names.last().unwrap();
    metrics.scopes.insert(last.clone(), ScopeFigures::default());
    let breakers: Vec<_> = names.iter().map(|name| breaker(name, BreakerState::Open, 3)).collect();
    let families = read(&metrics, &breakers);
    let state = &families["actix_process_breaker_state"];
    assert_eq!(state.samples.len(), (Figures::SCOPES_MAX + 1) * Figures::BREAKER_STATES.len());
    assert_eq!(state.sum("", &[("state", "open")]), names.len() as f64);
    assert_eq!(state.sum("", &[("state", "open"), ("scope", Figures::OTHER)]), 20.0);
    assert_eq!(state.sum("", &[("state", "open"), ("scope", last)]), 1.0, "what did something has a label");
    assert_eq!(families["actix_process_breaker_level"].sum("", &[("scope", Figures::OTHER)]), 3.0);
}

/// The reference, from the table.
fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\nWhat `GET /api/v1/metrics` answers, and `ProcessManager::metrics` in code: the text format of Prometheus \
         (0.0.4).\nMade from the table in `src/metrics/families.rs`; a test compares.\n\n\
         - It needs the token, as every other request. For Prometheus:\n  `authorization: {credentials_file: …/supervise-data/token}` \
         and `metrics_path: /api/v1/metrics`.\n\
         - Counters begin at 0 with each supervisor, and are forgotten with it. Each counts journal records (lines aside): \
         `GET /events`\n  has the history behind every rise.\n\
         - Configured programs are there from the first moment, at 0, also those that never ran; classes and scopes when they are \
         first seen.\n",
    );
    page.push_str(&format!(
        "- Labels are bounded. Classes beyond the {}th of a program, parameters likewise, and scopes beyond the {}th are counted \
         as\n  `{}`. No label names a run, a pid or a user, unless a breaker is made for each user.\n\n",
        Figures::CLASSES_MAX,
        Figures::SCOPES_MAX,
        Figures::OTHER
    ));
    page.push_str("| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for family in families::ALL {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind) = (family.name, family.kind.name());
        page.push_str(&format!("| `{name}` | {kind} | {} | {} |\n", labels.join(", "), family.help));
    }
    let words = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    page.push_str(&format!("\nValues of `phase` are {}", words(&LIVING.map(Phase::name))));
    page.push_str(&format!(" and, of ended runs, {};\n", words(&ENDED.map(Phase::name))));
    page.push_str(&format!("of `state` {};\n", words(&Figures::BREAKER_STATES)));
    page.push_str(&format!("of `reason` of held back starts {},\n", words(&Figures::HELD_REASONS)));
    page.push_str(&format!("and of given up runs {}.\n", words(&Figures::GIVE_UP_REASONS)));
    page.push_str(
        "\nThree alerts to begin with:\n\n```yaml\n- alert: BreakerOpen\n  \
         expr: actix_process_breaker_state{state=\"open\"} > 0\n  for: 5m\n- alert: RunsGiveUp\n  \
         expr: increase(actix_process_runs_given_up_total[15m]) > 0\n- alert: StoreFull\n  \
         expr: actix_process_store_refuses > 0\n```\n",
    );
    page
}

#[test]
fn the_reference_page_of_metrics_is_the_one_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/metrics.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(path, reference()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == reference(), "say `UPDATE_REFERENCE=1 cargo test the_reference_page` and commit docs/");
}
