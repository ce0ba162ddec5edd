//! Whether what was promised for a time came at that time, by the children's own clocks.

use crate::{
    deaths::Deaths,
    found::{Found, Wrong},
    journal::Journal,
    ledger::monotonic_ns,
    ledgers::Ledgers,
    supervisor::pause,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Later than this is too late, milliseconds.
const LATE_MS: u64 = 150;
/// The penalty of `guarded`, milliseconds.
const PENALTY_MS: u64 = 2_000;
/// A child says that it ends a moment before it does, and clocks are read in milliseconds.
const EARLY_MS: u64 = 5;
const MS: u64 = 1_000_000;

/// Spans of time, and for how long of each somebody who could have run waited for a processor. Nanoseconds.
type Waits = Vec<(u64, u64, u64)>;

/// Looks every few milliseconds how long the machine let somebody wait: us, or by the kernel's own account (pressure
/// stall information) anybody. What nobody could do at once, the daemon could not do either.
pub(crate) struct Heartbeat {
    waits: Arc<Mutex<(Waits, Waits)>>,
    ended: Arc<AtomicBool>,
}

/// Since boot; 0 where the kernel does not count. It adds up every two seconds.
fn waited_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let total = text.lines().next().and_then(|some| some.rsplit_once("total=")?.1.trim().parse().ok());
    total.unwrap_or(0) * 1_000
}

impl Heartbeat {
    pub(crate) fn start() -> Self {
        let waits = Arc::new(Mutex::new((Waits::new(), Waits::new())));
        let ended = Arc::new(AtomicBool::new(false));
        let (tell, over) = (waits.clone(), ended.clone());
        std::thread::spawn(move || {
            let mut last = monotonic_ns();
            let (mut counted, mut waited) = (last, waited_ns());
            while !over.load(Ordering::Relaxed) {
                pause(Duration::from_millis(5));
                let (now, total) = (monotonic_ns(), waited_ns());
                let mut waits = tell.lock().expect("nobody panics with it");
                if now - last > 10 * MS {
                    waits.0.push((last, now, now - last));
                }
                if total != waited {
                    waits.1.push((counted, now, total - waited));
                    (counted, waited) = (now, total);
                }
                last = now;
            }
        });
        Self { waits, ended }
    }

    /// Milliseconds in which the machine let somebody wait, of this span.
    fn missed_ms(&self, from_ns: u64, to_ns: u64) -> u64 {
        let waits = self.waits.lock().expect("nobody panics with it");
        let share = |waits: &Waits| {
            let of = |(from, to, waited): &(u64, u64, u64)| {
                let common = to_ns.min(*to).saturating_sub(from_ns.max(*from));
                (u128::from(*waited) * u128::from(common) / u128::from((to - from).max(1))) as u64
            };
            waits.iter().rev().take_while(|(_, to, _)| *to > from_ns).map(of).sum::<u64>()
        };
        (share(&waits.0) + share(&waits.1)) / MS
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

#[derive(Default)]
pub(crate) struct Deadlines {
    seen: BTreeSet<u64>,
}

impl Deadlines {
    pub(crate) fn compare(
        &mut self,
        journal: &Journal,
        ledgers: &Ledgers,
        deaths: &Deaths,
        heartbeat: &Heartbeat,
        found: &mut Found,
    ) {
        self.retries(journal, ledgers, deaths, heartbeat, found);
        self.penalties(journal, ledgers, found);
    }

    /// A retry begins `delay` after the end that it follows, which the child itself dated.
    fn retries(
        &mut self,
        journal: &Journal,
        ledgers: &Ledgers,
        deaths: &Deaths,
        heartbeat: &Heartbeat,
        found: &mut Found,
    ) {
        for promise in &journal.promises {
            let program = journal.runs.get(&promise.run).map(|run| run.program.as_str());
            if !program.is_some_and(|name| ["later", "flop", "codes", "limited"].contains(&name))
                || self.seen.contains(&promise.seq)
            {
                continue;
            }
            let from = journal.started.partition_point(|(seq, _)| *seq <= promise.seq);
            let next = journal.started[from..].iter().find(|(_, key)| key.0 == promise.run);
            let Some((_, after)) = next else { continue };
            let before = (after.0.clone(), after.1 - 1);
            // A promise that was replaced by another one, or an end that nobody dated, is no deadline.
            let replaced = journal.promises.iter().any(|other| {
                other.run == promise.run
                    && other.seq > promise.seq
                    && next.is_some_and(|(seq, _)| other.seq < *seq)
            });
            let (Some(first), Some(second)) = (ledgers.attempts.get(&before), ledgers.attempts.get(after))
            else {
                continue;
            };
            self.seen.insert(promise.seq);
            if replaced
                || first.end.is_none()
                || deaths.keeper_died(first.began_ns, Some(first.ended_ns))
                || deaths.keeper_died(second.began_ns - 200 * MS, Some(second.began_ns))
            {
                continue;
            }
            let what = format!(
                "{} {after:?}, {} ms after the end of the one before",
                program.unwrap_or_default(),
                promise.delay_ms
            );
            judge(&what, promise.due_ns, second.began_ns, deaths, heartbeat, found);
            let meant = first.ended_ns + promise.delay_ms * MS;
            // While somebody lives, reading its output comes between an end and its judgement.
            let unattended =
                deaths.first_chance(first.ended_ns).is_some_and(|at| at > first.ended_ns + 300 * MS);
            let late = promise.due_ns.saturating_sub(meant) / MS;
            // A machine that stood still let the keeper see the end late.
            let missed = heartbeat.missed_ms(first.ended_ns, promise.due_ns);
            if unattended && late > LATE_MS + missed {
                found.wrong(
                    Wrong::EndDatedLate,
                    format!(
                        "{what}: due {late} ms later than that, because nobody saw the end at once; \
                         the machine stood still for {missed} ms of them"
                    ),
                );
            }
        }
    }

    /// Nobody starts while the breaker is open, and who waits starts when it is not any more.
    fn penalties(&mut self, journal: &Journal, ledgers: &Ledgers, found: &mut Found) {
        for opened in &journal.opened {
            let guarded = |key: &&crate::ledgers::AttemptKey| {
                journal.attempts.get(*key).is_some_and(|a| a.program == "guarded")
            };
            let last = journal.attempts.iter().filter(|(key, _)| guarded(key));
            let last = last.flat_map(|(key, attempt)| attempt.ends.first().map(|end| (end.seq, key)));
            let last = last.filter(|(seq, _)| seq < opened).max();
            let next = journal.started.iter().find(|(seq, key)| seq > opened && guarded(&key));
            let (Some((_, by)), Some((_, probe))) = (last, next) else { continue };
            let (Some(by), Some(read)) = (ledgers.attempts.get(by), ledgers.attempts.get(probe)) else {
                continue;
            };
            if by.end.is_none() || !self.seen.insert(*opened) {
                continue;
            }
            found.count("penalties looked at", 1);
            if read.began_ns + EARLY_MS * MS < by.ended_ns + PENALTY_MS * MS {
                let after = read.began_ns.saturating_sub(by.ended_ns) / MS;
                found.wrong(
                    Wrong::BreakerPassed,
                    format!("{probe:?} began {after} ms after the failure that opened its breaker"),
                );
            }
        }
    }
}

fn judge(what: &str, due: u64, began: u64, deaths: &Deaths, heartbeat: &Heartbeat, found: &mut Found) {
    if began + EARLY_MS * MS < due {
        found.wrong(Wrong::TooEarly, format!("{what}: {} ms too early", (due - began) / MS));
        return;
    }
    // Who dies at the moment that it is due has no time to keep its word.
    let mut chance = deaths.first_chance(due);
    while let Some(life) = chance.and_then(|at| deaths.life(at)) {
        let short = life.to_ns < began && chance.is_some_and(|at| life.to_ns - at < LATE_MS * MS);
        if !short {
            break;
        }
        chance = deaths.first_chance(life.to_ns + 1);
    }
    let Some(chance) = chance else { return };
    let late = began.saturating_sub(chance) / MS;
    let missed = heartbeat.missed_ms(chance, began);
    found.late(late.saturating_sub(missed));
    if late > LATE_MS + missed {
        let said = format!("{what}: {late} ms too late; the machine stood still for {missed} ms of them");
        // A time is a figure. On a machine of one's own it is a promise too.
        if crate::number("CHAOS_STRICT", 0) == 1 {
            found.wrong(Wrong::TooLate, said);
        } else {
            found.count("deadlines that were more than 150 ms late", 1);
            crate::say(&format!("LATE {said}\n"));
        }
    }
}
