//! A scope that was read back, moved to the present time.

use super::{
    circuit::Circuit,
    penalty,
    saved::Reader,
    state::{Ramp, State},
    terms::Change,
};
use crate::model::{BreakerState, Timestamp};

impl Circuit {
    /// Moves a circuit that was read back to the present time: `then` on its own clock is now on ours. What ended
    /// meanwhile ends now, nothing lasts longer than its rules allow, and a probe that is not there any more holds no
    /// permit.
    pub(super) fn wake(&mut self, reader: &Reader<'_>, then: Timestamp) {
        let now = reader.now;
        let past = |at: Timestamp| Timestamp(now.0.saturating_sub(then.since(at)));
        let future = |at: Timestamp, longest: u64| now.plus(at.since(then).min(longest));
        self.seed = reader.seed;
        self.touched_at = past(self.touched_at);
        self.heard_at = past(self.heard_at);
        self.changed_at = past(self.changed_at);
        self.window.map_times(past);
        self.starts.map_times(past);
        self.expired.retain(|run| reader.adopted.contains(run));
        self.ramp = self.ramp.filter(|ramp| ramp.until > then).map(|ramp| Ramp {
            until: future(ramp.until, self.policy.ramp.over_ms),
            next: future(ramp.next, self.policy.ramp.spacing_ms),
        });
        let policy = &self.policy;
        match &mut self.state {
            State::Closed | State::Disabled | State::MetricsOnly => {}
            State::Open { until } => {
                let longest =
                    penalty::lengthened(policy.max_penalty_ms, policy.penalty_jitter_permille, u32::MAX);
                *until = future(*until, longest);
            }
            State::HalfOpen { leases, .. } => {
                leases.retain(|run, _| reader.adopted.contains(run));
                for lease in leases.values_mut() {
                    *lease = future(*lease, policy.half_open.lease_ms);
                }
            }
            State::ForcedOpen { until } => *until = until.map(|until| future(until, u64::MAX)),
        }
    }

    /// Records that the scope is half-open by guess.
    pub(super) fn note_guess(&mut self, now: Timestamp, from: BreakerState, out: &mut Vec<Change>) {
        let why = format!("its saved record could not be read, and it was or may have been {from}");
        self.note(now, from, format!("{why}; probes are let through"), out);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::saved::{self, Read},
        *,
    };
    use crate::model::{BreakerPolicy, ClockReading, RunId, Scope};
    use std::{collections::BTreeSet, sync::Arc};

    #[test]
    fn nothing_that_comes_back_lasts_longer_than_its_rules_allow() {
        let (now, prober) = (Timestamp(1_000_000), RunId::from_parts(0, 1));
        let policy =
            BreakerPolicy { max_penalty_ms: 60_000, penalty_jitter_permille: 0, ..BreakerPolicy::default() };
        let (clock, adopted) = (ClockReading::default(), BTreeSet::from([prober]));
        let lease_ms = policy.half_open.lease_ms;
        let leases = [(prober, now.plus(lease_ms * 9))].into();
        for (state, longest_ms) in [
            (State::Open { until: now.plus(600_000) }, 60_000),
            (State::HalfOpen { leases, ok: 0, failed_permille: 0 }, lease_ms),
        ] {
            let mut circuit = Circuit::new(Scope("site:shop".into()), Arc::new(policy.clone()), 1, now);
            circuit.state = state;
            let put = saved::put(&circuit, now, clock);
            let reader = Reader { seed: 1, now, clock, adopted: &adopted };
            let Read::Whole(circuit) = saved::read(&put.key, &put.value.unwrap(), &reader) else {
                panic!("unread")
            };
            assert_eq!(circuit.deadline(), Some(now.plus(longest_ms)));
        }
    }
}
