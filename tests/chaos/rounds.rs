//! Rounds of killing: whoever dies, and whenever, what the daemon tells afterwards is what happened.

use crate::{
    compare::Comparison,
    deadlines::{Deadlines, Heartbeat},
    deaths::Deaths,
    found::{Found, Wrong},
    journal::Journal,
    ledger::monotonic_ns,
    ledgers::Ledgers,
    plan::{Act, Round, rounds},
    settle::settle,
    supervisor::{Gone, PATIENCE, Starting, Supervisor, pause, send, with_environment, within},
    wall_clock::WallClock,
    world::World,
};
use std::{collections::BTreeMap, time::Duration};

/// Runs that nobody answered for yet, by their keys: program and parameters.
type Unanswered = BTreeMap<String, (String, serde_json::Value)>;

/// Everything that a test of rounds keeps from one to the next.
struct Chaos {
    world: World,
    clock: Option<WallClock>,
    heartbeat: Heartbeat,
    journal: Journal,
    ledgers: Ledgers,
    deaths: Deaths,
    comparison: Comparison,
    deadlines: Deadlines,
    found: Found,
    unanswered: Unanswered,
}

impl Chaos {
    fn new() -> Self {
        let world = World::whole();
        let clock = WallClock::build(world.path());
        if let Err(why) = &clock {
            crate::say(&format!("no steps of the wall clock: {why}\n"));
        }
        Self {
            clock: clock.ok(),
            world,
            heartbeat: Heartbeat::start(),
            journal: Journal::default(),
            ledgers: Ledgers::default(),
            deaths: Deaths::default(),
            comparison: Comparison::default(),
            deadlines: Deadlines::default(),
            found: Found::default(),
            unanswered: Unanswered::new(),
        }
    }

    fn up(&mut self) -> Supervisor {
        let daemon = self.begin().listening();
        self.deaths.life_began(daemon.listening_ns);
        daemon
    }

    fn begin(&self) -> Starting {
        let settings = self.clock.as_ref().map(WallClock::settings).unwrap_or_default();
        Starting::begin(self.world.path(), &settings)
    }

    /// Asks for everything that is not answered yet.
    fn ask(&mut self, daemon: &Supervisor) -> Result<(), Gone> {
        for key in self.unanswered.keys().cloned().collect::<Vec<_>>() {
            let (program, params) = &self.unanswered[&key];
            daemon.run(program, params, &key)?;
            self.unanswered.remove(&key);
        }
        Ok(())
    }

    /// Waits until what is over is told as over, and compares it.
    fn look(&mut self, daemon: &Supervisor) -> Result<(), Gone> {
        settle(daemon, &self.world, &mut self.journal, &mut self.ledgers, &mut self.found)?;
        let Self { journal, ledgers, deaths, found, heartbeat, .. } = self;
        self.comparison.compare(daemon, journal, ledgers, deaths, found)?;
        self.deadlines.compare(journal, ledgers, deaths, heartbeat, found);
        Ok(())
    }

    /// What is done to this life; the one that goes on, if any.
    fn act(&mut self, act: Act, daemon: Supervisor) -> Option<Supervisor> {
        let now = monotonic_ns();
        let ms = Duration::from_millis;
        match act {
            Act::KillDaemon | Act::KillDuringStart(_) => {
                self.deaths.daemon(now);
                self.over(daemon, now);
            }
            Act::KillBothDaemonFirst(after) => {
                let keeper = daemon.keeper(None);
                let now = monotonic_ns();
                self.deaths.daemon(now);
                send(daemon.pid(), libc::SIGKILL);
                pause(ms(after));
                self.deaths.keeper(monotonic_ns());
                send(keeper, libc::SIGKILL);
                self.over(daemon, now);
            }
            Act::KillBothKeeperFirst(after) => {
                let keeper = daemon.keeper(None);
                let now = monotonic_ns();
                self.deaths.keeper(now);
                send(keeper, libc::SIGKILL);
                pause(ms(after));
                self.deaths.daemon(monotonic_ns());
                self.over(daemon, now);
            }
            Act::KillDuringShutdown(after) => {
                self.deaths.stop(now);
                send(daemon.pid(), libc::SIGTERM);
                pause(ms(after));
                self.deaths.daemon(monotonic_ns());
                self.over(daemon, now);
            }
            Act::HangAndKill(time) => {
                send(daemon.pid(), libc::SIGSTOP);
                pause(ms(time));
                self.deaths.daemon(monotonic_ns());
                self.over(daemon, now);
            }
            Act::Shutdown => {
                self.deaths.stop(now);
                self.deaths.life_ended(now);
                daemon.end();
                self.deaths.stop(monotonic_ns());
            }
            Act::KillKeeper => {
                let keeper = daemon.keeper(None);
                self.deaths.keeper(monotonic_ns());
                send(keeper, libc::SIGKILL);
                daemon.keeper(Some(keeper));
                return Some(daemon);
            }
            Act::KillChild(which) => {
                let children: Vec<_> = with_environment(&self.world.mark()).into_iter().collect();
                if !children.is_empty() {
                    let chosen = children[usize::try_from(which).unwrap_or(0) % children.len()];
                    send(u32::try_from(chosen).expect("a pid"), libc::SIGKILL);
                }
                return Some(daemon);
            }
            Act::Hang(time) => {
                self.deaths.life_ended(now);
                send(daemon.pid(), libc::SIGSTOP);
                pause(ms(time));
                send(daemon.pid(), libc::SIGCONT);
                self.deaths.life_began(monotonic_ns());
                return Some(daemon);
            }
        }
        None
    }

    /// It could act until then, and is gone now.
    fn over(&mut self, daemon: Supervisor, until_ns: u64) {
        self.deaths.life_ended(until_ns);
        daemon.kill();
    }

    fn round(&mut self, number: usize, round: &Round, daemon: Supervisor) -> Supervisor {
        for (place, job) in round.jobs.iter().enumerate() {
            let params: serde_json::Map<_, _> =
                job.params.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
            let asked = (job.program.to_owned(), params.into());
            self.unanswered.insert(format!("{number}-{place}"), asked);
        }
        self.ask(&daemon).expect("it lives");
        pause(Duration::from_millis(round.after_ms));
        self.found
            .scene(format!("round {number}, {:?}, clock {:?}", round.act, round.clock_ms), round.act.who());
        let next = self.act(round.act, daemon);
        let daemon = next.unwrap_or_else(|| {
            if let (Some(clock), Some(ms)) = (&self.clock, round.clock_ms) {
                clock.set(ms);
                self.journal.calendar.moved_ms = ms;
            }
            if let Act::KillDuringStart(after) = round.act {
                let starting = self.begin();
                pause(Duration::from_millis(after));
                self.deaths.daemon(monotonic_ns());
                starting.kill();
            }
            self.up()
        });
        self.look(&daemon).expect("it lives");
        daemon
    }

    /// Lets every job come to its end, and everything else be stopped.
    fn finish(mut self, daemon: Supervisor) {
        self.found.scene("the end".into(), "nobody, the end");
        let jobs_left = |journal: &Journal| {
            let job = |program: &str| !crate::world::is_daemon(program);
            journal.runs.iter().filter(|(_, run)| run.ends.is_empty() && job(&run.program)).count()
        };
        let Self { journal, .. } = &mut self;
        let all = within(PATIENCE * 4, || {
            journal.read(&daemon).expect("it lives");
            jobs_left(journal) == 0
        });
        if !all {
            let left = jobs_left(&self.journal);
            self.found.wrong(Wrong::NeverEnded, format!("{left} jobs do not come to their end"));
        }
        self.look(&daemon).expect("it lives");
        keep_recording(&daemon);
        let any = self.journal.runs.keys().next().cloned().unwrap_or_default();
        let again = daemon.command(self.world.path(), &["simulate", "--from-journal", &any]);
        let said = String::from_utf8_lossy(&again.stderr).into_owned();
        if !again.status.success() || !said.contains(" 0 differ") {
            self.found.wrong(Wrong::ReplayDiffers, said);
        }
        self.deaths.stop(monotonic_ns());
        daemon.end();
        let left = with_environment(&self.world.mark());
        if !left.is_empty() {
            self.found.wrong(Wrong::Orphan, format!("after an orderly end these live: {left:?}"));
        }
        self.found.count("journal records", self.journal.records as u64);
        crate::verdict(&self.found, self.world);
    }
}

/// Writes what the daemons were told and decided, where `KEEP_RECORDINGS` names a folder: one commit a line, as
/// `tests/integration/recordings.rs` reads it.
fn keep_recording(daemon: &Supervisor) {
    let Some(folder) = std::env::var_os("KEEP_RECORDINGS") else { return };
    let (mut text, mut cursor) = (String::new(), "0.0".to_owned());
    loop {
        let page = daemon.json(&format!("/recording?cursor={cursor}")).expect("it lives");
        if text.is_empty() {
            text = format!("{}\n", serde_json::json!({"seed": page["seed"]}));
        }
        let commits = page["items"].as_array().expect("a list");
        commits.iter().for_each(|commit| text.push_str(&format!("{commit}\n")));
        if commits.is_empty() {
            break;
        }
        cursor = page["next_cursor"].as_str().expect("a text").to_owned();
    }
    std::fs::write(std::path::Path::new(&folder).join("chaos.jsonl"), text).expect("the folder takes it");
}

/// `CHAOS_ROUNDS` and `CHAOS_SEED` make it longer and different.
#[test]
fn whoever_dies_what_is_told_is_what_happened() {
    let _alone = crate::alone();
    let (count, seed) = (crate::number("CHAOS_ROUNDS", 60), crate::number("CHAOS_SEED", 1));
    crate::say(&format!("{count} rounds with CHAOS_SEED={seed}\n"));
    let mut chaos = Chaos::new();
    let mut daemon = chaos.up();
    let count = usize::try_from(count).expect("a number of rounds");
    for (number, round) in rounds(seed, count).iter().enumerate() {
        daemon = chaos.round(number, round, daemon);
    }
    chaos.finish(daemon);
}
