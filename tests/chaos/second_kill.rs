//! Deaths at the worst moments: a second one while the daemon comes back from the first, and one when an end was just
//! written down.

use crate::{
    compare::Comparison,
    deaths::Deaths,
    draw::Draw,
    found::{Found, Wrong},
    journal::Journal,
    ledger::monotonic_ns,
    ledgers::{End, Ledgers},
    settle::settle,
    supervisor::{PATIENCE, Starting, Supervisor, lives, pause, send, within},
    world::World,
};
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};

const JOBS: usize = 8;

/// A store that goes through many deaths, and what was found in it.
struct Scene {
    world: World,
    journal: Journal,
    ledgers: Ledgers,
    deaths: Deaths,
    comparison: Comparison,
    found: Found,
}

impl Scene {
    fn of(programs: &[&str]) -> Self {
        Self {
            world: World::of(programs),
            journal: Journal::default(),
            ledgers: Ledgers::default(),
            deaths: Deaths::default(),
            comparison: Comparison::default(),
            found: Found::default(),
        }
    }

    /// Waits until all is told, and compares it with what happened.
    fn look(&mut self, daemon: &Supervisor) {
        let Self { world, journal, ledgers, deaths, comparison, found } = self;
        settle(daemon, world, journal, ledgers, found).expect("it lives");
        comparison.compare(daemon, journal, ledgers, deaths, found).expect("it lives");
    }
}

/// Jobs that end well while the daemon stands still; it is killed, the next one too, and the one after that knows their
/// ends.
#[test]
fn what_ended_well_unseen_does_not_run_again_though_the_next_daemon_is_killed_as_well() {
    let _alone = crate::alone();
    let (trials, seed) = (crate::number("SECOND_KILLS", 100), crate::number("CHAOS_SEED", 1));
    crate::say(&format!("{trials} second kills with CHAOS_SEED={seed}\n"));
    let mut scene = Scene::of(&["well"]);
    let mut draw = Draw::of(seed);
    let mut daemon = Supervisor::up(scene.world.path());
    let mut up_ms = 60;
    for trial in 0..trials {
        let ask =
            |place| daemon.run("well", &json!({"lines": 3, "last_ms": 150}), &format!("{trial}-{place}"));
        let runs: BTreeSet<String> = (0..JOBS).map(|place| ask(place).expect("it lives")).collect();
        let ledgers = |scene: &mut Scene| {
            scene.world.read_ledgers(&mut scene.ledgers);
            let known = scene.ledgers.attempts.iter();
            let mine = known.filter(|((run, _), _)| runs.contains(run));
            mine.map(|(_, read)| read.clone()).collect::<Vec<_>>()
        };
        assert!(within(PATIENCE, || ledgers(&mut scene).len() == JOBS), "they begin");
        send(daemon.pid(), libc::SIGSTOP);
        let over = |read: &crate::ledgers::Read| read.end == Some(End::Code(0)) && !lives(read.pid);
        assert!(within(PATIENCE, || ledgers(&mut scene).iter().all(over)), "they end");
        scene.deaths.daemon(monotonic_ns());
        daemon.kill();
        // A build for tests takes longer to come up than one for use: its whole way up is covered.
        let after = draw.between(3, up_ms);
        scene.found.scene(
            format!("trial {trial}, killed again after {after} ms of {up_ms}"),
            "daemon, and again during start",
        );
        let starting = Starting::begin(scene.world.path(), &[]);
        pause(Duration::from_millis(after));
        scene.deaths.daemon(monotonic_ns());
        starting.kill();
        let begun = monotonic_ns();
        daemon = Supervisor::up(scene.world.path());
        up_ms = 60.max((daemon.listening_ns - begun) / 1_000_000);
        scene.look(&daemon);
        for run in &runs {
            let told = scene.journal.runs.get(run).and_then(|run| run.ends.first());
            if told.is_none_or(|(phase, _)| phase != "succeeded") {
                scene
                    .found
                    .wrong(Wrong::LostThoughSeen, format!("run {run} ended well and is told as {told:?}"));
            }
        }
    }
    daemon.end();
    crate::verdict(&scene.found, scene.world);
}

/// The daemon dies at the moment at which the end of a large job stands in the journal.
fn killed_when_an_end_is_written(lines: u64, trials: u64) {
    let _alone = crate::alone();
    let mut scene = Scene::of(&["flood"]);
    for trial in 0..trials {
        let daemon = Supervisor::up(scene.world.path());
        scene.look(&daemon);
        scene.found.scene(format!("trial {trial}, {lines} lines"), "daemon, when an end was written");
        let params = json!({"lines": lines, "code": 0});
        let run = daemon.run("flood", &params, &format!("{trial}")).expect("it lives");
        let written = within(PATIENCE * 10, || {
            scene.journal.read(&daemon).expect("it lives");
            scene.journal.has_ended(&(run.clone(), 1))
        });
        assert!(written, "{lines} lines come to their end");
        scene.deaths.daemon(monotonic_ns());
        daemon.kill();
    }
    let daemon = Supervisor::up(scene.world.path());
    scene.look(&daemon);
    daemon.end();
    let left = scene.world.spool();
    if !left.is_empty() {
        scene.found.wrong(Wrong::SpoolLeft, format!("after an orderly end: {left:?}"));
    }
    crate::verdict(&scene.found, scene.world);
}

/// A line of `flood` has about this many bytes.
const LINE: u64 = 77;

#[test]
fn output_is_whole_though_the_daemon_dies_when_an_end_is_written() {
    killed_when_an_end_is_written((20 << 20) / LINE, 3);
}

#[test]
#[ignore = "takes minutes: 300 MB and 1 GiB"]
fn output_of_a_gigabyte_is_whole_though_the_daemon_dies_when_an_end_is_written() {
    killed_when_an_end_is_written((300 << 20) / LINE, 1);
    killed_when_an_end_is_written((1 << 30) / LINE, 1);
}
