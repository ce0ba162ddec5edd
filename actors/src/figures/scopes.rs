//! What breakers did, by scope.

use super::Figures;
use crate::model::{Event, HeldReason, JournalRecord};
use std::collections::BTreeMap;

/// What the breaker of a scope did since the manager started.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ScopeFigures {
    /// The number of changes of its state, by old and new state, which differ.
    pub transitions: BTreeMap<(&'static str, &'static str), u64>,
    /// Runs that the breaker held back, each once for as long as the same reason holds it.
    pub denied: u64,
    /// Outcomes of starts from before its latest change, which do not count.
    pub late_outcomes: u64,
    /// Probes that kept their permit for too long.
    pub probe_expiries: u64,
    /// How often the breaker would have opened while it only watched (`metrics_only`).
    pub would_trip: u64,
}

/// Every scope with a count. Memory is bounded: see [`Figures::SCOPES_MAX`].
#[derive(Clone, Debug, Default)]
pub(super) struct Scopes(pub(super) BTreeMap<String, ScopeFigures>);

impl Scopes {
    pub(super) fn hear(&mut self, record: &JournalRecord) {
        let Some(scope) = &record.scope else { return };
        match &record.event {
            Event::BreakerChanged { from, to, .. } => {
                let change = (from.name(), to.name());
                if change.0 != change.1 {
                    *self.of(&scope.0).transitions.entry(change).or_default() += 1;
                }
            }
            Event::StartBlocked { reason: HeldReason::Breaker, .. } => self.of(&scope.0).denied += 1,
            Event::LateOutcome { .. } => self.of(&scope.0).late_outcomes += 1,
            Event::ProbeExpired { .. } => self.of(&scope.0).probe_expiries += 1,
            Event::WouldTrip { .. } => self.of(&scope.0).would_trip += 1,
            _ => {}
        }
    }

    /// The figures of a scope, or those of all others once there are too many.
    fn of(&mut self, scope: &str) -> &mut ScopeFigures {
        let known = self.0.contains_key(scope) || self.0.len() < Figures::SCOPES_MAX;
        self.0.entry(if known { scope } else { Figures::OTHER }.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        BreakerState::{self, Closed, HalfOpen, Open},
        Scope, Timestamp,
    };

    fn record(scope: &str, event: Event) -> JournalRecord {
        let (seq, at, scope) = (1, Timestamp(1), Some(Scope(scope.into())));
        JournalRecord { seq, at, run: None, program: None, attempt: None, scope, event }
    }

    fn changed(from: BreakerState, to: BreakerState) -> Event {
        Event::BreakerChanged { from, to, level: 1, until: None, why: "w".into() }
    }

    #[test]
    fn what_a_breaker_did_is_counted_under_its_scope() {
        let mut scopes = Scopes::default();
        let late = || Event::LateOutcome { why: "w".into() };
        let blocked = |reason| Event::StartBlocked { reason, retry_at: None, why: "w".into() };
        for event in [
            changed(Closed, Open),
            changed(Open, HalfOpen),
            changed(HalfOpen, Open),
            changed(Open, HalfOpen),
            changed(Open, Open), // a level more, and the same state
            late(),
            late(),
            Event::ProbeExpired { lease_until: Timestamp(1) },
            Event::WouldTrip { why: "w".into() },
            blocked(HeldReason::Breaker),
            blocked(HeldReason::Budget),
        ] {
            scopes.hear(&record("site:a", event));
        }
        scopes.hear(&record("site:b", late()));
        let a = &scopes.0["site:a"];
        let expected = [(("closed", "open"), 1), (("half_open", "open"), 1), (("open", "half_open"), 2)];
        assert_eq!(a.transitions, expected.into());
        assert_eq!((a.denied, a.late_outcomes, a.probe_expiries, a.would_trip), (1, 2, 1, 1));
        assert_eq!(scopes.0["site:b"].late_outcomes, 1);
    }

    #[test]
    fn more_scopes_than_the_limit_are_counted_together() {
        let mut scopes = Scopes::default();
        for number in 0..Figures::SCOPES_MAX + 10 {
            scopes.hear(&record(&format!("site:{number}"), changed(Closed, Open)));
        }
        scopes.hear(&record("site:0", changed(Open, HalfOpen)));
        assert_eq!(scopes.0.len(), Figures::SCOPES_MAX + 1);
        assert_eq!(scopes.0[Figures::OTHER].transitions, [(("closed", "open"), 10)].into());
        assert_eq!(scopes.0["site:0"].transitions.len(), 2);
    }
}
