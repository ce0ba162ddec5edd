//! Everything that is counted, as the text that Prometheus reads.
//!
//! The figures are those of the Manager, which folds what it writes down; nothing is measured for this page that would not
//! be known without it, but the size of the store and the state of the breakers, which are looked at when somebody asks.
//! Labels are bounded: programs, phases and parameters by the configuration, classes and scopes by a limit beyond which
//! they are counted as `other`. No label has a run, a pid or a value of a parameter that is no scope.

mod exposition;
mod families;
#[cfg(test)]
mod tests;

use actix_process_actors::{
    breaker::BreakerStatus,
    figures::{Delays, Figures, ScopeFigures},
    manager::{Metrics, ProgramMetrics},
    model::Phase,
};
use exposition::{Family, Page, seconds};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the format, as HTTP names it.
#[cfg(feature = "web")]
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const LIVING: [Phase; 6] =
    [Phase::Queued, Phase::Starting, Phase::Running, Phase::Backoff, Phase::Blocked, Phase::Stopping];
const ENDED: [Phase; 4] = [Phase::Succeeded, Phase::Failed, Phase::Stopped, Phase::Quarantined];

/// Changes that every breaker may make by its rules: known from the first day, so that the first one is seen as a rise.
const TRANSITIONS: [(&str, &str); 4] =
    [("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed")];

/// The page.
pub(crate) fn text(metrics: &Metrics, breakers: &[BreakerStatus], store_bytes: Option<u64>) -> String {
    let mut page = Page::default();
    page.family(&families::BUILD).add(&[env!("CARGO_PKG_VERSION")], 1);
    page.family(&families::STARTED).add(&[], seconds(metrics.started_at.0, 3));
    of_programs(&mut page, &metrics.programs);
    of_breakers(&mut page, &metrics.scopes, breakers);
    page.family(&families::KEEPERS_LOST).add(&[], metrics.keepers_lost);
    let store = metrics.store;
    if let Some(bytes) = store_bytes {
        page.family(&families::STORE_BYTES).add(&[], bytes);
    }
    page.family(&families::STORE_REFUSES).add(&[], u8::from(store.refuses));
    page.family(&families::STORE_OWED).add(&[], store.owed);
    page.family(&families::STORE_FLUSH).sum_and_count(&[], seconds(store.flush_us, 6), store.flushes);
    page.into_text()
}

type Programs = BTreeMap<String, ProgramMetrics>;

fn of_programs(page: &mut Page, programs: &Programs) {
    by_word(page, &families::RUNS, programs, LIVING.map(Phase::name), |program| &program.living);
    let mut samples = page.family(&families::STARTS);
    programs.iter().for_each(|(name, program)| samples.add(&[name], program.figures.attempts_started));
    let mut samples = page.family(&families::RESTARTS);
    programs.iter().for_each(|(name, program)| samples.add(&[name], program.figures.restarts));
    for (family, tallies) in [
        (&families::FAILURES, (|figures| &figures.failures) as fn(&Figures) -> &BTreeMap<_, _>),
        (&families::ERROR_LINES, |figures| &figures.error_lines),
    ] {
        let mut samples = page.family(family);
        for (name, program) in programs {
            for (class, tally) in tallies(&program.figures) {
                samples.add(&[name, class], tally.total);
            }
        }
    }
    by_word(page, &families::ENDED, programs, ENDED.map(Phase::name), |program| &program.figures.runs_ended);
    by_name(page, &families::FAILED, programs, |figures| &figures.runs_failed);
    let reasons = Figures::GIVE_UP_REASONS;
    by_word(page, &families::GAVE_UP, programs, reasons, |program| &program.figures.gave_up);
    by_name(page, &families::RETRIES, programs, |figures| &figures.retries);
    by_name(page, &families::DEFERRED, programs, |figures| &figures.deferred);
    let mut samples = page.family(&families::DELAY);
    for (name, program) in programs {
        let Delays { buckets, sum_ms, .. } = program.figures.delays;
        samples.histogram(&[name], &Delays::BOUNDS_MS, &buckets, sum_ms);
    }
    let reasons = Figures::HELD_REASONS;
    by_word(page, &families::HELD, programs, reasons, |program| &program.figures.held_back);
    by_name(page, &families::PARAM_CHANGES, programs, |figures| &figures.param_changes);
    by_name(page, &families::PARAMS_EXHAUSTED, programs, |figures| &figures.params_exhausted);
}

/// Words that are known beforehand are there from the first day, at nought.
fn by_word<const N: usize>(
    page: &mut Page,
    family: &'static Family,
    programs: &Programs,
    words: [&'static str; N],
    counts: impl Fn(&ProgramMetrics) -> &BTreeMap<&'static str, u64>,
) {
    let mut samples = page.family(family);
    for (name, program) in programs {
        for word in words {
            samples.add(&[name, word], counts(program).get(word).copied().unwrap_or(0));
        }
    }
}

/// What is named by the configuration, or by what happened.
fn by_name(
    page: &mut Page,
    family: &'static Family,
    programs: &Programs,
    counts: impl Fn(&Figures) -> &BTreeMap<String, u64>,
) {
    let mut samples = page.family(family);
    for (name, program) in programs {
        for (named, count) in counts(&program.figures) {
            samples.add(&[name, named], count);
        }
    }
}

fn of_breakers(page: &mut Page, counted: &BTreeMap<String, ScopeFigures>, breakers: &[BreakerStatus]) {
    let standing = Standing::of(counted, breakers);
    let mut samples = page.family(&families::BREAKER_STATE);
    for (scope, (states, _)) in &standing.0 {
        for state in Figures::BREAKER_STATES {
            samples.add(&[scope, state], states.get(state).copied().unwrap_or(0));
        }
    }
    let mut samples = page.family(&families::BREAKER_LEVEL);
    standing.0.iter().for_each(|(scope, (_, level))| samples.add(&[scope], level));
    let scopes: BTreeSet<&str> =
        standing.0.keys().copied().chain(counted.keys().map(String::as_str)).collect();
    let none = ScopeFigures::default();
    let scopes: Vec<_> =
        scopes.into_iter().map(|scope| (scope, counted.get(scope).unwrap_or(&none))).collect();
    let mut samples = page.family(&families::TRANSITIONS);
    for (scope, figures) in &scopes {
        let changes: BTreeSet<_> = TRANSITIONS.iter().chain(figures.transitions.keys()).collect();
        for change in changes {
            let count = figures.transitions.get(change).copied().unwrap_or(0);
            samples.add(&[scope, change.0, change.1], count);
        }
    }
    for (family, count) in [
        (&families::DENIED, (|figures| figures.denied) as fn(&ScopeFigures) -> u64),
        (&families::LATE, |figures| figures.late_outcomes),
        (&families::EXPIRIES, |figures| figures.probe_expiries),
        (&families::WOULD_TRIP, |figures| figures.would_trip),
    ] {
        let mut samples = page.family(family);
        scopes.iter().for_each(|(scope, figures)| samples.add(&[scope], count(figures)));
    }
}

/// How many breakers stand in each state, and their highest level, by the label of their scope.
#[derive(Debug, Default)]
struct Standing<'a>(BTreeMap<&'a str, (BTreeMap<&'a str, u64>, u32)>);

impl<'a> Standing<'a> {
    /// Scopes that did something have a label of their own, and of the others as many as there is room for.
    fn of(counted: &BTreeMap<String, ScopeFigures>, breakers: &'a [BreakerStatus]) -> Self {
        let mut room = Figures::SCOPES_MAX.saturating_sub(counted.len());
        let mut standing = Self::default();
        for status in breakers {
            let known = counted.contains_key(&status.scope.0);
            let own = known || room > 0;
            room -= usize::from(own && !known);
            let label = if own { status.scope.0.as_str() } else { Figures::OTHER };
            let (states, level) = standing.0.entry(label).or_default();
            *states.entry(status.state.name()).or_default() += 1;
            *level = (*level).max(status.level);
        }
        standing
    }
}
