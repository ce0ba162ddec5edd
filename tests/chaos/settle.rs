//! Waits until the daemon knows of everything that is over, and nothing of it is left lying.

use crate::{
    found::{Found, Wrong},
    journal::Journal,
    ledger::monotonic_ns,
    ledgers::{AttemptKey, Ledgers},
    supervisor::{Gone, Supervisor, lives, pause, with_environment},
    world::World,
};
use std::{collections::BTreeSet, time::Duration};

/// What a daemon on a busy machine has not done by then it does not do.
const QUIET: Duration = Duration::from_secs(15);

/// Things that are over, and have to be told as over or be gone.
struct Open {
    attempts: BTreeSet<AttemptKey>,
    spool: BTreeSet<String>,
    processes: BTreeSet<u64>,
}

pub(crate) fn settle(
    daemon: &Supervisor,
    world: &World,
    journal: &mut Journal,
    ledgers: &mut Ledgers,
    found: &mut Found,
) -> Result<(), Gone> {
    journal.read(daemon)?;
    world.read_ledgers(ledgers);
    let mut open = Open {
        attempts: over(journal, ledgers),
        spool: spool_of_ended(world, journal).difference(&ledgers.spool_known).cloned().collect(),
        processes: of_ended(world, journal),
    };
    let until = monotonic_ns() + u64::try_from(QUIET.as_nanos()).unwrap_or(u64::MAX);
    loop {
        open.attempts.retain(|key| !journal.has_ended(key));
        open.spool = open.spool.intersection(&world.spool()).cloned().collect();
        open.processes.retain(|pid| lives(*pid));
        if open.attempts.is_empty() && open.spool.is_empty() && open.processes.is_empty() {
            return side_by_side(daemon, world, journal, ledgers);
        }
        if monotonic_ns() > until {
            break;
        }
        pause(Duration::from_millis(20));
        journal.read(daemon)?;
    }
    for key in &open.attempts {
        found.wrong(
            Wrong::NeverEnded,
            format!("{key:?} is over, and is not told as over: {:?}", ledgers.attempts.get(key)),
        );
    }
    for name in &open.spool {
        let size =
            std::fs::metadata(world.path().join("store/spool").join(name)).map_or(0, |file| file.len());
        found.wrong(Wrong::SpoolLeft, format!("{name}, {size} bytes long, of an attempt that is over"));
        ledgers.spool_known.insert(name.clone());
    }
    for pid in &open.processes {
        found.wrong(Wrong::Orphan, format!("{pid} lives, and its attempt is over"));
    }
    side_by_side(daemon, world, journal, ledgers)
}

/// Both as they have to be compared: whoever has a ledger was written down before he began, and whoever is told as over
/// has written his last before that.
fn side_by_side(
    daemon: &Supervisor,
    world: &World,
    journal: &mut Journal,
    ledgers: &mut Ledgers,
) -> Result<(), Gone> {
    world.read_ledgers(ledgers);
    journal.read(daemon)?;
    world.read_ledgers_again(ledgers, journal.attempts.keys());
    Ok(())
}

/// Attempts whose process is gone by now, and those that were written down as started and have none.
fn over(journal: &Journal, ledgers: &Ledgers) -> BTreeSet<AttemptKey> {
    let open = journal.attempts.iter().filter(|(_, attempt)| attempt.ends.is_empty());
    open.filter(|(key, _)| ledgers.attempts.get(*key).is_some_and(|read| !lives(read.pid)))
        .map(|(key, _)| key.clone())
        .collect()
}

fn spool_of_ended(world: &World, journal: &Journal) -> BTreeSet<String> {
    let mut names = world.spool();
    names.retain(|name| attempt_of(name, '.').is_none_or(|key| journal.has_ended(&key)));
    names
}

fn of_ended(world: &World, journal: &Journal) -> BTreeSet<u64> {
    let mut pids = with_environment(&world.mark());
    pids.retain(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut entries =
            environment.split(|byte| *byte == 0).filter_map(|entry| std::str::from_utf8(entry).ok());
        let tag = entries.find_map(|entry| entry.strip_prefix("ACTIX_PROCESS="));
        let key = tag.and_then(|tag| attempt_of(tag.split_once('/')?.1, '/'));
        key.is_some_and(|key| journal.has_ended(&key))
    });
    pids
}

/// The run and the number before and after the first separator.
fn attempt_of(name: &str, separator: char) -> Option<AttemptKey> {
    let mut parts = name.split(separator);
    Some((parts.next()?.to_owned(), parts.next()?.parse().ok()?))
}
