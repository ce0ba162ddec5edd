//! Which changes of state there are, and what may cause each.

use super::*;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Closed,
    Open,
    HalfOpen,
    ForcedOpen,
    Disabled,
    MetricsOnly,
}

fn kind(name: &str) -> Kind {
    match name {
        "closed" => Kind::Closed,
        "open" => Kind::Open,
        "half_open" => Kind::HalfOpen,
        "forced_open" => Kind::ForcedOpen,
        "disabled" => Kind::Disabled,
        "metrics_only" => Kind::MetricsOnly,
        other => panic!("{other}"),
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cause {
    Time,
    /// A start brings rules with another mode.
    Rules,
    Success,
    /// It is ready in time, or writes: that may prove a probe.
    Early,
    /// It is ready too late.
    Slow,
    Failure,
    Neutral,
    Operator(OperatorAct),
}

fn cause(what: &Happening, policy: &BreakerPolicy) -> Cause {
    match what {
        Happening::Asks { .. } | Happening::Reloads { .. } => Cause::Rules,
        Happening::Ends { outcome, .. } => match outcome {
            outcome if is_slow(*outcome, policy) => Cause::Slow,
            Outcome::Ready { .. } | Outcome::FirstOutput => Cause::Early,
            Outcome::Success => Cause::Success,
            Outcome::Neutral => Cause::Neutral,
            Outcome::Failure { .. } | Outcome::Lowering { .. } | Outcome::Trip | Outcome::TripAtFloor => {
                Cause::Failure
            }
        },
        Happening::Operates { act } => Cause::Operator(*act),
    }
}

/// Every pair of states, with what may lead from the one to the other.
fn legal(from: Kind, to: Kind, cause: Cause) -> bool {
    use Kind::{Closed, Disabled, ForcedOpen, HalfOpen, MetricsOnly, Open};
    let by = |acts: &[OperatorAct]| matches!(cause, Cause::Operator(act) if acts.contains(&act));
    let (reset, auto, end) = (OperatorAct::Reset, OperatorAct::Auto, OperatorAct::EndForcedOpen);
    match (from, to) {
        // A change of level alone, or a reset.
        (Closed, Closed) => cause == Cause::Success || by(&[reset]),
        (Closed, Open) => matches!(cause, Cause::Failure | Cause::Slow),
        (HalfOpen, Open) => matches!(cause, Cause::Failure | Cause::Slow | Cause::Time),
        (HalfOpen, Closed) => matches!(cause, Cause::Success | Cause::Early) || by(&[reset]),
        (Open, HalfOpen) => cause == Cause::Time,
        (ForcedOpen, HalfOpen) => cause == Cause::Time || by(&[end, auto]),
        (Open | ForcedOpen, Closed) => by(&[reset]),
        (Disabled | MetricsOnly, Closed) => cause == Cause::Rules || by(&[reset, auto]),
        (_, ForcedOpen) => matches!(cause, Cause::Operator(OperatorAct::ForceOpen { .. })),
        (ForcedOpen, Disabled) => cause == Cause::Time || by(&[reset, end, auto, OperatorAct::Disable]),
        (ForcedOpen, MetricsOnly) => {
            cause == Cause::Time || by(&[reset, end, auto, OperatorAct::MetricsOnly])
        }
        (Closed | Open | HalfOpen | Disabled | MetricsOnly, Disabled) => {
            cause == Cause::Rules || by(&[reset, auto, OperatorAct::Disable])
        }
        (Closed | Open | HalfOpen | Disabled | MetricsOnly, MetricsOnly) => {
            cause == Cause::Rules || by(&[reset, auto, OperatorAct::MetricsOnly])
        }
        // Nothing extends a penalty, closed opens before it is half-open, and what lets everybody through never refuses.
        (Open | ForcedOpen, Open)
        | (Closed | HalfOpen, HalfOpen)
        | (Disabled | MetricsOnly, Open | HalfOpen) => false,
    }
}

proptest! {
    #[test]
    fn only_legal_changes_happen_and_they_follow_each_other(log in log(Who::Everybody), policy in policies()) {
        let (mut world, mut now) = (World::new(&policy), Timestamp(1_000));
        let mut stands: BTreeMap<Scope, Kind> = BTreeMap::new();
        let mut heard = 0;
        for (gap, what) in &log {
            now = now.plus(*gap);
            for step in [None, Some(what)] {
                match step {
                    None => world.tick(now),
                    Some(what) => world.happen(now, what),
                }
                let cause = step.map_or(Cause::Time, |what| cause(what, &policy));
                for change in &world.events[heard..] {
                    let Event::BreakerChanged { from, to, .. } = &change.event else { continue };
                    let (from, to) = (kind(from.name()), kind(to.name()));
                    // A scope is made in the state that its rules want.
                    let before = stands.insert(change.scope.clone(), to).unwrap_or(from);
                    prop_assert_eq!(before, from, "no change is left out");
                    prop_assert!(legal(from, to, cause), "{from:?} → {to:?} by {cause:?}");
                }
                heard = world.events.len();
                // A scope that was forgotten and comes back is made anew.
                stands.retain(|scope, _| world.status(&scope.0).is_some());
            }
            for status in world.machine.breakers() {
                let before = stands.insert(status.scope, kind(status.state.name()));
                prop_assert!(before.is_none_or(|before| before == kind(status.state.name())), "a change was not told");
            }
        }
    }

    /// I1 for those that let everybody through: they do, and count nothing against anybody.
    #[test]
    fn what_is_switched_off_or_only_watches_never_refuses(
        log in log(Who::RunsAlone), policy in policies(), watches in any::<bool>(), by_hand in any::<bool>(),
    ) {
        let mode = if watches { BreakerMode::MetricsOnly } else { BreakerMode::Disabled };
        let act = if watches { OperatorAct::MetricsOnly } else { OperatorAct::Disable };
        let rules = if by_hand { policy } else { BreakerPolicy { mode, ..policy } };
        let mut world = World::new(&rules);
        let mut now = Timestamp(1_000);
        if by_hand {
            for name in ["a", "b"] {
                let changes = world.machine.operate(now, &Scope(name.into()), act, None, None);
                world.hear(changes.expect("it is made"));
            }
            world.events.clear();
        }
        for (gap, what) in &log {
            now = now.plus(*gap);
            world.happen(now, what);
        }
        prop_assert!(world.answers.iter().all(|answer| answer.starts_with('[') && answer.ends_with("None")));
        let watched = |change: &Change| matches!(change.event, Event::WouldTrip { .. });
        prop_assert!(world.events.iter().all(|change| watches && watched(change)));
        prop_assert!(world.machine.breakers().iter().all(|status| status.level == 0));
    }
}
