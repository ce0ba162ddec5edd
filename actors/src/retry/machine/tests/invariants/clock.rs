//! What a clock that stands elsewhere after a change of supervisor may do.

use super::*;

proptest! {
    // I18: within a process nothing but `now` is looked at, and that never steps; after it, a clock that stands earlier
    // grants nothing.
    #[test]
    fn a_successor_whose_clock_stands_earlier_waits_as_long_and_starts_no_more(
        log in acts(), step in 0..1_000_000_000u64, uptime_ms in 0..700_000u64, always in any::<bool>(),
    ) {
        let mut world = World::new(always, None);
        world.live(&log);
        let saved: Vec<_> = world.store.clone().into_iter().collect();
        let outcome = failed("crash");
        for who in (0..3).filter(|who| world.places[usize::try_from(*who).unwrap()] == Place::Runs) {
            let ended = |now: Timestamp| {
                let mut successor = Machine::new(SEED);
                let (_, unread) = successor.restore(now, ClockShift::default(), &saved);
                assert_eq!(unread, Vec::<String>::new());
                let (program, base) = (&world.program, &world.base);
                let end = End { run: run(who), program, base, outcome: &outcome, uptime_ms, quarantine: None };
                successor.ended(now, end).decision
            };
            match (ended(world.now), ended(Timestamp(world.now.0 - step))) {
                (
                    Decision::RetryAt { n, raw_ms, delay_ms, .. },
                    Decision::RetryAt { n: other_n, raw_ms: other_raw_ms, delay_ms: other_delay_ms, .. },
                ) => prop_assert_eq!((n, raw_ms, delay_ms), (other_n, other_raw_ms, other_delay_ms)),
                // Starts that lie in the future now count as just made, failures as just begun.
                (_, Decision::GiveUp { reason: EndReason::Intensity, .. })
                | (Decision::GiveUp { reason: EndReason::Deadline, .. }, _) => {}
                (one, other) => prop_assert_eq!(one, other),
            }
        }
    }

    // I20: asking for tokens and giving them back, by whoever and in whatever order, leaves the bucket and the others
    // where they were.
    #[test]
    fn whoever_asks_for_tokens_and_gives_them_back_was_never_there(
        log in acts(), budget in some_budget(), asks in prop::collection::vec(0..3u128, 1..8),
    ) {
        let mut world = World::new(false, budget);
        world.live(&log);
        let now = world.now;
        let waits: Vec<_> = (0..3).filter(|who| world.places[usize::try_from(*who).unwrap()] == Place::Waits).collect();
        let state = |machine: &Machine| {
            let streaks: Vec<_> = (0..3).map(|who| machine.streaks.get(&run(who)).cloned()).collect();
            format!("{streaks:?} {:?}", machine.next_due())
        };
        let (before, level) = (state(&world.machine), world.machine.budgets.level());
        for who in asks.iter().filter(|who| waits.contains(who)) {
            let _ = world.machine.reserve(now, run(*who), 0, &[]);
        }
        for who in asks.iter().rev().filter(|who| waits.contains(who)) {
            world.machine.release(run(*who));
        }
        prop_assert_eq!(state(&world.machine), before);
        let after = world.machine.budgets.level();
        // Time has brought what it brings, to those who ask and to those who do not.
        prop_assert!(after.is_none() || after.map(|level| level.units) >= level.map(|level| level.units));
    }
}
