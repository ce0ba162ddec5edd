//! What holds when a process ends and another one goes on.

use super::*;

fn wall(wall_ms: u64) -> ClockReading {
    ClockReading { wall_ms, ..ClockReading::default() }
}

proptest! {
    /// I17, first half.
    #[test]
    fn a_restored_machine_decides_as_the_one_that_was_saved(
        log in log(Who::AndOperators), policy in policies(), cut in 0..120usize,
    ) {
        let (mut world, mut now) = (World::new(&policy), Timestamp(1_000));
        let mut twin: Option<World> = None;
        for (i, (gap, what)) in log.iter().enumerate() {
            now = now.plus(*gap);
            if i == cut {
                world.tick(now);
                let mut restored = World::new(&policy);
                // What a plain grant changes is not saved; here it is, so that nothing but the round trip is tested.
                let saved: Vec<_> = world.machine.slots.values()
                    .map(|slot| saved::put(&slot.circuit, now, wall(now.0)))
                    .map(|put| (put.key, put.value.unwrap()))
                    .collect();
                prop_assert_eq!(world.saved.len(), saved.len(), "every scope has a record");
                restored.machine.adopt(world.held.keys().map(|who| run(*who)));
                let (changes, unread) = restored.machine.restore(now, &saved);
                prop_assert!(changes.events.is_empty() && unread.is_empty());
                restored.held = world.held.clone();
                // Nor is who holds permits and when somebody asked, which decide how long a scope that rests is kept.
                for slot in world.machine.slots.values() {
                    let (out, touched_at) = (slot.circuit.out, slot.circuit.touched_at);
                    let same = |circuit: &mut Circuit| (circuit.out, circuit.touched_at) = (out, touched_at);
                    let _ = restored.machine.change(&slot.circuit.scope, same);
                }
                world.answers.clear();
                world.events.clear();
                twin = Some(restored);
            }
            world.happen(now, what);
            if let Some(twin) = &mut twin {
                twin.happen(now, what);
                prop_assert_eq!(&twin.answers, &world.answers);
            }
        }
        if let Some(twin) = twin {
            let plain = |world: &World| format!("{:?}", world.machine.breakers());
            prop_assert_eq!(plain(&twin), plain(&world));
        }
    }

    /// I17, second half: by the time since boot on the same boot, else by the wall clock.
    #[test]
    fn an_open_scope_comes_back_open_or_half_open_and_never_sooner(
        down_ms in 0..200_000u64,
        wall_step in -315_360_000_000..315_360_000_000i64,
        clock_ahead in -900_000..900_000i64,
        same_boot in any::<bool>(),
        forced in any::<bool>(),
    ) {
        const SAVED: ClockReading =
            ClockReading { wall_ms: 1_800_000_000_000, boot_id: 7, boottime_ms: 5_000_000 };
        let (mut machine, now) = (Machine::new(3), Timestamp(1_000_000));
        machine.set_clock(now, SAVED);
        let gate = Gate {
            scope: Scope("a".into()),
            policy: BreakerPolicy { failures: 1, penalty_ms: 60_000, max_penalty_ms: 60_000, ..policy() }.into(),
        };
        let Admission::Granted { permits, changes, .. } =
            machine.admit(now, run(1), std::slice::from_ref(&gate), false)
        else {
            panic!("denied")
        };
        prop_assert_eq!(changes.saved.len(), 1, "saved with its first permit");
        let mut changes = machine.settle(now, run(1), None, &[(permits[0].clone(), FAILED)], false);
        if forced {
            let act = OperatorAct::ForceOpen { ttl_ms: Some(60_000) };
            changes = machine.operate(now, &gate.scope, act, None, None).unwrap();
        }
        let saved: Vec<_> = changes.saved.into_iter().map(|put| (put.key, put.value.unwrap())).collect();
        let woken = Timestamp(now.0.saturating_add_signed(clock_ahead));
        let reading = ClockReading {
            wall_ms: (SAVED.wall_ms + down_ms).saturating_add_signed(wall_step),
            boot_id: if same_boot { 7 } else { 8 },
            boottime_ms: if same_boot { SAVED.boottime_ms + down_ms } else { 1_000 },
        };
        let mut machine = Machine::new(3);
        machine.set_clock(woken, reading);
        let (changes, _) = machine.restore(woken, &saved);
        let status = machine.breakers().remove(0);
        let elapsed = if same_boot { down_ms } else { reading.wall_ms.saturating_sub(SAVED.wall_ms) };
        if elapsed >= 60_000 {
            prop_assert_eq!((status.state.name(), changes.events.len()), ("half_open", 1));
            prop_assert_eq!(changes.events[0].at, woken);
        } else {
            prop_assert_eq!(status.state.name(), if forced { "forced_open" } else { "open" });
            prop_assert_eq!(status.until, Some(woken.plus(60_000 - elapsed)));
        }
    }

    /// I18.
    #[test]
    fn steps_of_the_wall_clock_decide_nothing_while_a_process_lives(
        log in log(Who::Everybody),
        policy in policies(),
        steps in prop::collection::vec(-315_360_000_000..315_360_000_000i64, 120),
    ) {
        let (mut steady, mut stepped) = (World::new(&policy), World::new(&policy));
        let mut now = Timestamp(1_000);
        for ((gap, what), step) in log.iter().zip(&steps) {
            now = now.plus(*gap);
            stepped.machine.set_clock(now, wall(1_800_000_000_000u64.saturating_add_signed(*step)));
            steady.happen(now, what);
            stepped.happen(now, what);
        }
        prop_assert_eq!(&steady.answers, &stepped.answers);
        prop_assert_eq!(format!("{:?}", steady.events), format!("{:?}", stepped.events));
        prop_assert_eq!(steady.circuits(), stepped.circuits());
    }

    #[test]
    fn a_flipped_bit_never_closes_what_was_not_closed_and_never_panics(
        log in log(Who::AndOperators), policy in policies(), place in any::<prop::sample::Index>(), bit in 0..8u32,
    ) {
        let (mut world, mut now) = (World::new(&policy), Timestamp(1_000));
        for (gap, what) in &log {
            now = now.plus(*gap);
            world.happen(now, what);
        }
        world.tick(now);
        for (key, value) in &world.saved {
            let mut value = value.clone();
            let was_closed = value[0] == b'c';
            let at = place.index(value.len());
            value[at] ^= 1 << bit;
            let mut machine = Machine::new(3);
            let (changes, unread) = machine.restore(now, &[(key.clone(), value)]);
            prop_assert_eq!(unread, vec![key.clone()], "the damage is seen");
            let states: Vec<_> = machine.breakers().into_iter().map(|status| status.state).collect();
            prop_assert!(was_closed || states == [BreakerState::HalfOpen], "{states:?}");
            prop_assert_eq!(changes.events.len(), states.len());
        }
    }

    #[test]
    fn garbage_never_panics_and_only_a_word_of_another_version_brings_back_nothing(
        name in "[a-z:]{0,8}", bytes in prop::collection::vec(0..=u8::MAX, 0..40), state in 0..7usize,
    ) {
        let mut value = bytes;
        if let Some(byte) = value.first_mut() {
            *byte = b"cohfdm?"[state];
        }
        let nothing = value.first() == Some(&b'c') && value.get(1) != Some(&2);
        let mut machine = Machine::new(3);
        let key = format!("breaker/{name}");
        let (changes, unread) = machine.restore(Timestamp(9), &[(key.clone(), value)]);
        prop_assert_eq!(unread, [key]);
        prop_assert_eq!(changes.events.len(), usize::from(!nothing));
        let states: Vec<_> = machine.breakers().into_iter().map(|status| status.state).collect();
        prop_assert_eq!(states, vec![BreakerState::HalfOpen; usize::from(!nothing)]);
    }
}
