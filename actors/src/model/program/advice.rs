//! What is allowed but probably not meant, between programs and the scopes that they share.

use super::{Program, ready::needs_ready};
use crate::model::{BreakerPolicy, Jitter, ProbeSuccess, Problem, Restart, format_duration_ms};
use std::collections::BTreeMap;

/// What a piece of advice is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Advised {
    /// The program at this index in the list; the path is one of its keys.
    Program(usize),
    /// The rules of shared scopes at this index in the list; the path is one of their keys.
    Breaker(usize),
}

/// What is allowed but probably not meant where several programs meet. What is so in one program alone is
/// [`Program::advice`]; both are for programs and rules that have no errors.
#[must_use]
pub fn advice_between(
    programs: &[Program],
    shared_breakers: &[(String, BreakerPolicy)],
) -> Vec<(Advised, Problem)> {
    let mut found = without_chance(programs);
    for (at, (pattern, policy)) in shared_breakers.iter().enumerate() {
        // Each is compared with every program; the defaults are in order whatever these are.
        if *policy == BreakerPolicy::default() {
            continue;
        }
        let gated: Vec<_> = programs.iter().filter(|program| may_gate(pattern, program)).collect();
        let problems = slow_probe(policy, &gated).into_iter().chain(short_memory(policy, &gated));
        let problems = problems.chain(without_ready(policy, &gated));
        found.extend(problems.map(|problem| (Advised::Breaker(at), problem)));
    }
    found
}

/// What a template renders before its first parameter, and whether there is one.
fn literal_prefix(template: &str) -> (&str, bool) {
    template.split_once('{').map_or((template, false), |(prefix, _)| (prefix, true))
}

/// Whether rules of this name or pattern may be those of a scope that gates the program.
fn may_gate(pattern: &str, program: &Program) -> bool {
    if pattern == "global" || pattern.starts_with("user:") {
        return true;
    }
    program.breakers.iter().any(|template| {
        let (prefix, open) = literal_prefix(template);
        match (pattern.strip_suffix('*'), open) {
            (Some(start), true) => prefix.starts_with(start) || start.starts_with(prefix),
            (Some(start), false) => prefix.starts_with(start),
            (None, true) => pattern.starts_with(prefix),
            (None, false) => pattern == prefix,
        }
    })
}

/// Programs that share a scope and retry without chance: what fails together comes back together.
fn without_chance(programs: &[Program]) -> Vec<(Advised, Problem)> {
    let mut sharing: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, program) in programs.iter().enumerate() {
        for template in &program.breakers {
            let line = sharing.entry(literal_prefix(template).0).or_default();
            if line.last() != Some(&at) {
                line.push(at);
            }
        }
    }
    let mut found = BTreeMap::new();
    for line in sharing.into_values().filter(|line| line.len() > 1) {
        for at in &line {
            let Some(program) = programs.get(*at) else { continue };
            let retries = program.restart != Restart::No && program.retry.max_retries != Some(0);
            if program.retry.jitter != Jitter::None || !retries {
                continue;
            }
            let other = line.iter().find(|other| *other != at).and_then(|other| programs.get(*other));
            let message = format!(
                "`jitter` is \"none\", and `{}` shares a breaker's scope with `{}`: what fails together comes back together",
                program.name,
                other.map_or("", |other| other.name.as_str())
            );
            let problem =
                Problem::new("config.conflict", "retry.jitter", message, "write jitter = \"equal\"");
            found.entry(*at).or_insert_with(|| (Advised::Program(*at), problem.against("breakers")));
        }
    }
    found.into_values().collect()
}

fn slow_probe(policy: &BreakerPolicy, gated: &[&Program]) -> Option<Problem> {
    let slowest =
        gated.iter().filter_map(|program| Some((program.timeout_ms?, program))).max_by_key(|(ms, _)| *ms);
    let (ms, program) = slowest?;
    if policy.half_open.success != ProbeSuccess::Exit || ms <= policy.half_open.lease_ms {
        return None;
    }
    let message = format!(
        "`half_open.lease` ({}) is shorter than the `timeout` of `{}` ({}): a slow probe loses its permit before exit 0 can prove it",
        format_duration_ms(policy.half_open.lease_ms),
        program.name,
        format_duration_ms(ms)
    );
    let help = format!("write lease = \"{}\" or longer, or success = \"auto\"", format_duration_ms(ms));
    Some(Problem::new("config.conflict", "half_open.lease", message, help).against("half_open.success"))
}

/// A shared scope whose rules go by readiness, and programs that never report theirs.
fn without_ready(policy: &BreakerPolicy, gated: &[&Program]) -> Option<Problem> {
    let (path, key) = needs_ready(policy)?;
    let silent = gated.iter().find(|program| program.ready.is_none())?;
    // A program that reports no readiness is left out of the share; a probe of such a program was probably not meant.
    let some_tell = gated.iter().any(|program| program.ready.is_some());
    if some_tell && policy.half_open.success != ProbeSuccess::Ready {
        return None;
    }
    let message =
        format!("{key} needs a `ready` rule, and `{}`, which this scope gates, has none", silent.name);
    let help = "write for example ready = { pattern = 'listening on' } in the program";
    Some(Problem::new("config.conflict", path, message, help))
}

fn short_memory(policy: &BreakerPolicy, gated: &[&Program]) -> Option<Problem> {
    let fastest = gated.iter().filter_map(|program| {
        let problem = policy.forgets_before_it_judges(&program.retry)?;
        Some((program.retry.delays_before(policy.window.min), problem))
    });
    // One program that is fast enough makes the window long enough.
    let all = fastest.collect::<Vec<_>>();
    if all.len() < gated.len() {
        None
    } else {
        all.into_iter().min_by_key(|(ms, _)| *ms).map(|(_, problem)| problem)
    }
}
