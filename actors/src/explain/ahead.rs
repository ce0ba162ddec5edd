//! What comes next: without a failure, and if the run goes on failing as it did.

use super::{
    Facts, Forecast, Foreseen, when,
    words::{about, changed, nth, with},
};
use crate::{
    breaker::{BreakerStatus, Gate, penalty_ms_of_level},
    model::{BreakerState, ClassRule, Decimal, HeldReason, Params, Phase, Timestamp, format_duration_ms},
    retry::{self, Decision, Outlook},
};

/// The number of starts that are told one by one; the rest is told together.
const STARTS_TOLD: usize = 4;

/// While the run is running: what would end it.
pub(super) fn while_it_runs(facts: &Facts, now: Timestamp) -> String {
    let started = facts.run.current().map_or(now, |current| current.started_at);
    let mut ends = Vec::new();
    if let Some(program) = &facts.program {
        if let Some(ms) = program.timeout_ms {
            let left = when(started.plus(ms), now);
            ends.push(format!("{left} at the latest (timeout = {})", format_duration_ms(ms)));
        }
        if let Some(ms) = program.idle_timeout_ms {
            ends.push(format!("when it writes nothing for {} (idle_timeout)", format_duration_ms(ms)));
        }
    }
    if facts.program.is_none() {
        "it runs until it ends, and is not started again: its program is no longer configured".into()
    } else if ends.is_empty() {
        "it runs; nothing is planned until it ends".into()
    } else {
        format!("it runs until it ends, and is stopped {}", ends.join(", or "))
    }
}

/// While a breaker holds the run back: when it is let through.
pub(super) fn when_it_is_let_through(facts: &Facts, breakers: &[BreakerStatus], now: Timestamp) -> String {
    let run = &facts.run;
    let attempt = run.attempt + 1;
    let held = run.held.as_ref();
    if held.is_some_and(|held| held.reason == HeldReason::Budget) {
        return match run.next_attempt_at {
            Some(at) => {
                format!(
                    "attempt {attempt} starts when the budget has tokens for it, {} at the latest",
                    when(at, now)
                )
            }
            None => format!("attempt {attempt} starts when first starts of others bring tokens"),
        };
    }
    let scope = held.and_then(|held| held.scope.as_ref());
    let status = breakers.iter().find(|status| Some(&status.scope) == scope);
    let turn = match facts.line {
        Some((place, of)) if of > 1 && place > 1 => {
            format!("; it is {} in line, and each start that goes well lets the next through", nth(place))
        }
        _ => String::new(),
    };
    match (status.map(|status| status.state), run.next_attempt_at) {
        (Some(BreakerState::Open), Some(at)) => {
            format!(
                "{} the breaker lets one start through to find out; attempt {attempt} may be it{turn}",
                when(at, now)
            )
        }
        (Some(BreakerState::HalfOpen), Some(at)) => format!(
            "attempt {attempt} asks again as soon as the probe has told how it went, {} at the latest{turn}",
            when(at, now)
        ),
        (_, Some(at)) => format!("attempt {attempt} asks the breaker again {}{turn}", when(at, now)),
        (_, None) => format!("attempt {attempt} waits until somebody lets the breaker go"),
    }
}

/// While the run waits for its time: when that is, and whether a breaker will let it through then.
pub(super) fn when_it_is_due(facts: &Facts, breakers: &[BreakerStatus], now: Timestamp) -> String {
    let attempt = facts.run.attempt + 1;
    let Some(at) = facts.run.next_attempt_at else { return format!("attempt {attempt} is about to start") };
    let refuses = |status: &&BreakerStatus| {
        status.state == BreakerState::ForcedOpen || status.until.is_some_and(|until| until > at)
    };
    let gates = |status: &&BreakerStatus| facts.gates.iter().any(|gate| gate.scope == status.scope);
    match breakers
        .iter()
        .filter(gates)
        .filter(refuses)
        .max_by_key(|status| status.until.unwrap_or(Timestamp::NEVER))
    {
        None => format!("attempt {attempt} starts {}", when(at, now)),
        Some(status) => {
            let until = status.until.map_or_else(
                || "until somebody ends that".to_owned(),
                |until| format!("and lets a probe through {}", when(until, now)),
            );
            format!(
                "attempt {attempt} is due {}; the breaker {} is open {until}",
                when(at, now),
                status.scope
            )
        }
    }
}

/// The breakers that gate the run and are not simply closed.
pub(super) fn breakers(facts: &Facts, breakers: &[BreakerStatus], now: Timestamp) -> Vec<String> {
    let noteworthy =
        |status: &&BreakerStatus| status.state != BreakerState::Closed || status.failures_permille > 0;
    let policy = |status: &BreakerStatus| facts.gates.iter().find(|gate| gate.scope == status.scope);
    breakers.iter().filter(noteworthy).map(|status| breaker(status, policy(status), now)).collect()
}

/// One breaker, in a sentence.
pub(super) fn breaker(status: &BreakerStatus, gate: Option<&Gate>, now: Timestamp) -> String {
    let scope = &status.scope;
    match status.state {
        BreakerState::Closed => {
            let limit = gate.map(|gate| gate.policy.failures).filter(|failures| *failures > 0);
            let row = match limit {
                Some(limit) if status.failures_permille > 0 => {
                    format!(
                        ", with {} of the {limit} failures in a row that open it",
                        thousandths(status.failures_permille)
                    )
                }
                _ => String::new(),
            };
            format!("{scope} is closed: starts are let through{row}")
        }
        BreakerState::Open => {
            let until =
                status.until.map_or_else(String::new, |at| format!(" until a probe {}", when(at, now)));
            format!("{scope} is open and refuses every start{until}: {}", status.why)
        }
        BreakerState::HalfOpen if status.probes == 0 => {
            format!(
                "{scope} is half-open: the next start is a probe that decides whether it closes ({})",
                status.why
            )
        }
        BreakerState::HalfOpen => format!(
            "{scope} is half-open: a probe is out; if it goes well the breaker closes, if not it opens for longer"
        ),
        BreakerState::ForcedOpen => {
            let until = status.until.map_or_else(
                || " until somebody ends that".to_owned(),
                |at| format!(", and ends {}", when(at, now)),
            );
            format!("{scope} refuses every start{until}: {}", status.why)
        }
        BreakerState::Disabled => {
            format!("{scope} is switched off and lets every start through: {}", status.why)
        }
        BreakerState::MetricsOnly => {
            format!("{scope} only watches and lets every start through: {}", status.why)
        }
    }
}

fn thousandths(permille: u64) -> Decimal {
    Decimal { micros: i64::try_from(permille).unwrap_or(i64::MAX).saturating_mul(1_000) }
}

/// What follows if the run fails the same way, step by step: Retry's starts, held back by the breakers that these
/// failures would open. `None` while a breaker is open until an operator closes it.
pub(super) fn forecast(
    facts: &Facts,
    outlook: &Outlook,
    breakers: &[BreakerStatus],
    now: Timestamp,
) -> Option<Forecast> {
    let asked = facts.forecast.as_ref()?;
    let base = &facts.run.params;
    let mut guards = Guards::of(facts, asked, breakers, now)?;
    let mut steps = Vec::new();
    let start = |attempt: u32, when: &str, params: &Params, probe: bool| {
        let probe = if probe { ", as a probe" } else { "" };
        format!("attempt {attempt} {when}{probe}{}", with(&changed(params, base)))
    };
    // A forced start waits for no breaker, and no breaker is told how it ends.
    let living = facts.run.current().filter(|_| facts.run.phase.has_process());
    let forced = living.map_or(facts.run.forced, |current| current.forced);
    let mut late_ms = 0;
    if living.is_none() {
        let due = facts.run.next_attempt_at;
        let turn = Turn::of(facts, asked);
        let at = due.map(|due| due.max(guards.free_at()).plus(turn.as_ref().map_or(0, |turn| turn.wait_ms)));
        late_ms = at.unwrap_or_default().since(due.unwrap_or_default());
        let probe = guards.any_refuses() && turn.is_none() && !forced;
        let params = if probe { &outlook.now_as_probe } else { &outlook.now };
        let when = at.map_or_else(|| "when it is let through".to_owned(), |at| when(at, now));
        if turn.is_some() {
            guards.close();
        }
        let turn = turn.map(|turn| turn.in_words()).unwrap_or_default();
        steps.push(Foreseen { at, text: start(asked.attempt, &when, params, probe) + &turn });
    }
    let most = STARTS_TOLD.saturating_sub(steps.len());
    let (mut failed, mut failed_at) = (asked.attempt, asked.ends_at.plus(late_ms));
    let mut failed_params = living.map_or(&outlook.now, |current| &current.params);
    for next in outlook.starts.iter().take(most) {
        let unheard = forced && failed == asked.attempt;
        let opened =
            if unheard { Vec::new() } else { guards.fail((failed, failed_at), asked, failed_params) };
        steps.extend(opened.into_iter().map(|text| Foreseen { at: Some(failed_at), text }));
        let wanted = next.at.plus(late_ms);
        let paid = next.tokens_at.unwrap_or_default();
        let at = wanted.max(guards.free_at()).max(paid);
        late_ms += at.since(wanted);
        let probe = guards.any_refuses();
        let params = if probe { &next.as_probe } else { &next.params };
        let when = format!("in about {}", about(at.since(now)));
        let budget = if at == paid { ", when the retry budget has tokens for it" } else { "" };
        steps.push(Foreseen { at: Some(at), text: start(next.attempt, &when, params, probe) + budget });
        (failed, failed_at, failed_params) = (next.attempt, at.plus(asked.uptime_ms), params);
    }
    steps.extend(end_of(outlook, asked.attempt, most, late_ms > 0).map(|text| Foreseen { at: None, text }));
    if steps.is_empty() {
        return None;
    }
    let how = match &facts.run.reason {
        Some(reason) => format!("if it fails the same way ({})", reason.class),
        None => format!("if it fails (say, with {})", asked.class),
    };
    let lives = match asked.uptime_ms {
        0 => String::new(),
        ms => format!(" after {} each time", about(ms)),
    };
    Some(Forecast { given: format!("{how}{lives} and nobody steps in"), steps })
}

/// How the run ends; `None` when it does not.
fn end_of(outlook: &Outlook, first: u32, told: usize, held: bool) -> Option<String> {
    let more = if outlook.starts.len() > told { "and so on; " } else { "" };
    let last = outlook.starts.last();
    match &outlook.end {
        Some(Decision::GiveUp { phase, why, .. }) => {
            let does = if *phase == Phase::Quarantined { "is quarantined" } else { "gives up" };
            Some(format!(
                "{more}after attempt {} it {does}: {why}",
                last.map_or(first, |start| start.attempt)
            ))
        }
        Some(Decision::Done { .. } | Decision::RetryAt { .. }) => None,
        None if held => Some("and so on, as the breaker lets it through, until it goes well".into()),
        None => {
            // Chance makes one gap say little.
            const GAPS: usize = 20;
            let before = outlook.starts.iter().rev().nth(GAPS)?;
            let gap = last?.at.since(before.at) / GAPS as u64;
            Some(format!("and so on, in the end about every {}, until it goes well", about(gap)))
        }
    }
}

/// What a start waits for that stands behind others: one at a time is let through as a probe, and when it has proved
/// the scope the others follow apart.
struct Turn {
    before: usize,
    wait_ms: u64,
}

impl Turn {
    /// `None` for the first start in line, and for a start that waits for something else than a breaker.
    fn of(facts: &Facts, asked: &retry::Forecast) -> Option<Self> {
        let scope = facts.run.held.as_ref()?.scope.as_ref()?;
        let before = facts.line?.0.checked_sub(1).filter(|before| *before > 0)?;
        let policy = &facts.gates.iter().find(|gate| gate.scope == *scope)?.policy;
        let rounds = u64::try_from(before).unwrap_or(u64::MAX) / u64::from(policy.half_open.permits.max(1));
        // The starts before it are not looked at one by one: a probe is taken to live as long as this run does, or
        // until it is proved.
        let rounds = rounds.checked_sub(1)?;
        let proved_ms = asked.uptime_ms.min(policy.half_open.stable_ms);
        let spacing_ms = if policy.ramp.over_ms > 0 { policy.ramp.spacing_ms } else { 0 };
        let behind = rounds.saturating_mul(spacing_ms);
        Some(Self { before, wait_ms: proved_ms.saturating_add(behind) })
    }

    fn in_words(&self) -> String {
        format!(", behind {} in line: one at a time, if the first goes well", self.before)
    }
}

/// The breakers on the way, as these failures alone would move them: by failures in a row, and by their share, as if
/// nothing left the window meanwhile.
struct Guards<'a> {
    guards: Vec<Guard<'a>>,
    rule: ClassRule,
}

struct Guard<'a> {
    gate: &'a Gate,
    /// Whether the breaker counts failures of the class.
    heard: bool,
    permille: u64,
    /// The number of outcomes in its window, the weight of the failures, and the weight of all.
    window: (u32, u64, u64),
    level: u32,
    /// Until when the breaker refuses; once that is over, a start probes it.
    until: Option<Timestamp>,
}

impl<'a> Guards<'a> {
    /// `None` when one of them waits for an operator.
    fn of(
        facts: &'a Facts,
        asked: &retry::Forecast,
        breakers: &[BreakerStatus],
        now: Timestamp,
    ) -> Option<Self> {
        let rule = asked.program.class_rule(&asked.class);
        let guard = |gate: &'a Gate| {
            let heard = rule.scopes.contains(&gate.scope.kind());
            let mut guard = Guard { gate, heard, permille: 0, window: (0, 0, 0), level: 0, until: None };
            if let Some(status) = breakers.iter().find(|status| status.scope == gate.scope) {
                (guard.permille, guard.level) = (status.failures_permille, status.level);
                guard.window = (status.outcomes, status.failed_permille, status.total_permille);
                guard.until = match status.state {
                    BreakerState::Open | BreakerState::ForcedOpen => Some(status.until?),
                    BreakerState::HalfOpen => Some(now),
                    BreakerState::Closed | BreakerState::Disabled | BreakerState::MetricsOnly => None,
                };
            }
            Some(guard)
        };
        let guards = facts.gates.iter().map(guard).collect::<Option<Vec<_>>>()?;
        Some(Self { guards, rule })
    }

    /// When all breakers let a start through.
    fn free_at(&self) -> Timestamp {
        self.guards.iter().filter_map(|guard| guard.until).max().unwrap_or_default()
    }

    /// The starts before this run went well: closes the breakers.
    fn close(&mut self) {
        for guard in &mut self.guards {
            (guard.until, guard.permille, guard.window) = (None, 0, (0, 0, 0));
        }
    }

    /// Whether one of the breakers has not closed since it opened: a start that it lets through is a probe.
    fn any_refuses(&self) -> bool {
        self.guards.iter().any(|guard| guard.until.is_some())
    }

    /// The attempt fails with these parameters. Returns sentences about the breakers that this opens.
    fn fail(
        &mut self,
        (attempt, at): (u32, Timestamp),
        asked: &retry::Forecast,
        params: &Params,
    ) -> Vec<String> {
        let weight = u64::from(self.rule.weight_permille);
        let lowers = asked.program.lowers(&self.rule, params);
        let heard = self.guards.iter_mut().filter(|guard| guard.heard && weight > 0);
        let fail = |guard: &mut Guard<'_>| {
            let policy = &guard.gate.policy;
            let again = guard.until.is_some();
            if !again && !guard.is_opened_by(weight, !lowers) {
                return None;
            }
            guard.level = guard.level.saturating_add(1);
            (guard.permille, guard.window) = (0, (0, 0, 0));
            let penalty_ms = penalty_ms_of_level(policy, guard.level);
            guard.until = Some(at.plus(penalty_ms));
            let (again, scope) = (if again { " again" } else { "" }, &guard.gate.scope);
            Some(format!(
                "the failure of attempt {attempt} opens the breaker {scope}{again}, for about {}",
                about(penalty_ms)
            ))
        };
        heard.filter_map(fail).collect()
    }
}

impl Guard<'_> {
    /// Counts one more failure of this weight, which may count in the share of failures. Returns whether it opens a
    /// closed scope.
    fn is_opened_by(&mut self, weight: u64, in_share: bool) -> bool {
        let policy = &self.gate.policy;
        self.permille += weight;
        let row = u64::from(policy.failures) * 1_000;
        if !in_share {
            return row > 0 && self.permille >= row;
        }
        let (outcomes, failed, total) = &mut self.window;
        *outcomes = outcomes.saturating_add(1).min(policy.window.size);
        (*failed, *total) = (*failed + weight, *total + weight);
        let rate = u64::from(policy.failure_rate_permille);
        row > 0 && self.permille >= row
            || rate > 0 && *outcomes >= policy.window.min && *failed * 1_000 >= rate * *total
    }
}
