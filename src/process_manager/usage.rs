//! What the processes of runs use: CPU and memory, read from `/proc` when somebody asks.

use super::{ProcessManager, shutdown::on_a_thread};
use crate::RunStatus;
use actix_process_actors::{
    clock,
    model::{ProcessStat, RunId},
};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    sync::{Mutex, PoisonError},
};

/// What the process tree of a run uses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Usage {
    /// Share of one CPU in thousandths: since somebody last asked, when that was at least a second ago, else over the
    /// life of the run's process. More than 1,000 when several CPUs work for it.
    pub cpu_permille: u64,
    /// Resident memory in bytes. Pages that several processes share are counted for each.
    pub memory_bytes: u64,
    /// Processes of the tree: its session, its group, and everybody's descendants.
    pub processes: u32,
}

/// A share over less than this says more about the clock's ticks (10 ms) than about the process.
const SHORTEST_MS: u64 = 1_000;

/// The leader of a run's process, which begins a session of its own.
type Leader = (i32, u64);

/// What every leader's tree used until now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Sum {
    busy: u64,
    pages: u64,
    processes: u32,
}

/// Adds everybody up under the leader whose session or group they are in, or whose descendants they are.
fn sums(leaders: &[Leader], processes: &[ProcessStat]) -> HashMap<Leader, Sum> {
    let all: HashMap<i32, &ProcessStat> = processes.iter().map(|process| (process.pid, process)).collect();
    // A number that somebody else has by now is no leader of ours.
    let ours: HashMap<i32, Leader> = leaders
        .iter()
        .filter(|(pid, start)| all.get(pid).is_some_and(|process| process.start_ticks == *start))
        .map(|leader| (leader.0, *leader))
        .collect();
    let leader_of = |process: &ProcessStat| {
        let mut at = Some(process);
        // Parents that change while they are read could lead in a circle; no tree is deeper than there are processes.
        for _ in 0..=all.len() {
            let here = at?;
            let found = [here.pid, here.session, here.group].into_iter().find_map(|id| ours.get(&id));
            if found.is_some() {
                return found.copied();
            }
            at = all.get(&here.parent).copied();
        }
        None
    };
    let mut sums: HashMap<Leader, Sum> = HashMap::new();
    for process in processes {
        if let Some(leader) = leader_of(process) {
            let sum = sums.entry(leader).or_default();
            sum.busy += process.busy_ticks;
            sum.pages += process.resident_pages;
            sum.processes += 1;
        }
    }
    sums
}

/// What is to be known of the machine.
#[derive(Clone, Copy, Debug)]
struct Machine {
    ticks_per_second: u64,
    page_bytes: u64,
    /// Since the machine's start, in ticks.
    uptime: u64,
    now_ms: u64,
}

/// The last look at each leader: when, how busy it had been, and the share that was told.
#[derive(Debug, Default)]
pub(super) struct Samples(Mutex<HashMap<Leader, (u64, u64, u64)>>);

impl Samples {
    /// Turns sums into shares, and remembers them. Leaders that nobody asks for any more are forgotten after a while.
    fn shares(&self, sums: &HashMap<Leader, Sum>, machine: Machine) -> HashMap<Leader, Usage> {
        /// Nobody who looks now and then looks less often.
        const FORGOTTEN_MS: u64 = 600_000;
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.retain(|_, (at, _, _)| machine.now_ms.saturating_sub(*at) < FORGOTTEN_MS);
        let share = |ticks: u64, ms: u64| {
            ticks.saturating_mul(1_000_000) / (machine.ticks_per_second.max(1) * ms.max(1))
        };
        let mut usages = HashMap::new();
        for (leader, sum) in sums {
            let life_ms = machine.uptime.saturating_sub(leader.1) * 1_000 / machine.ticks_per_second.max(1);
            let cpu_permille = match samples.get(leader) {
                Some((at, busy, _)) if machine.now_ms.saturating_sub(*at) >= SHORTEST_MS => {
                    // A descendant that ended unseen takes its ticks with it; a share is never negative.
                    share(sum.busy.saturating_sub(*busy), machine.now_ms - at)
                }
                Some((_, _, told)) => *told,
                None => share(sum.busy, life_ms.max(SHORTEST_MS)),
            };
            let fresh = samples
                .get(leader)
                .is_none_or(|(at, _, _)| machine.now_ms.saturating_sub(*at) >= SHORTEST_MS);
            if fresh {
                samples.insert(*leader, (machine.now_ms, sum.busy, cpu_permille));
            }
            let memory_bytes = sum.pages * machine.page_bytes;
            usages.insert(*leader, Usage { cpu_permille, memory_bytes, processes: sum.processes });
        }
        usages
    }
}

impl ProcessManager {
    /// The soft limit of descriptors of this process.
    #[cfg(feature = "web")]
    pub(crate) fn descriptors() -> u64 {
        actix_process_actors::keeper::open_files()
    }

    /// What the process trees of these runs use now: one look at every process of the machine, some 20 µs each, on a
    /// thread of its own. Nothing is looked at while nobody asks. Runs without a process are left out.
    pub async fn usage(&self, runs: impl IntoIterator<Item = &RunStatus>) -> BTreeMap<RunId, Usage> {
        let living: Vec<(RunId, Leader)> = runs.into_iter().filter_map(leader).collect();
        if living.is_empty() {
            return BTreeMap::new();
        }
        let leaders: Vec<Leader> = living.iter().map(|(_, leader)| *leader).collect();
        let shared = self.shared.clone();
        let look = move || Some(shared.samples.shares(&sums(&leaders, &processes()), machine()?));
        let usages = on_a_thread("process-usage", look).await.flatten().unwrap_or_default();
        living.into_iter().filter_map(|(run, leader)| Some((run, *usages.get(&leader)?))).collect()
    }
}

/// The leader of the run's living process.
fn leader(run: &RunStatus) -> Option<(RunId, Leader)> {
    let attempt = run.current().filter(|attempt| attempt.ended_at.is_none())?;
    Some((run.id, (attempt.pid?, attempt.start_ticks)))
}

/// Everybody; who may not be looked at, or ends meanwhile, is left out.
fn processes() -> Vec<ProcessStat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let stat = |pid: i32| fs::read(format!("/proc/{pid}/stat")).ok();
    pids.filter_map(|pid| ProcessStat::parse(&stat(pid)?)).collect()
}

fn machine() -> Option<Machine> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let mut parts = uptime.split(' ').next()?.split('.');
    let (seconds, hundredths) = (parts.next()?.parse::<u64>().ok()?, parts.next()?.parse::<u64>().ok()?);
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    Some(Machine {
        ticks_per_second,
        page_bytes: rustix::param::page_size() as u64,
        uptime: (seconds * 100 + hundredths) * ticks_per_second / 100,
        now_ms: clock::now().0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, session: i32, busy: u64) -> ProcessStat {
        ProcessStat {
            pid,
            state: b'S',
            parent,
            group: session,
            session,
            busy_ticks: busy,
            start_ticks: 1_000,
            resident_pages: 10,
        }
    }

    #[test]
    fn a_tree_is_its_session_its_group_and_all_descendants() {
        let all = [
            process(10, 1, 10, 5),  // the leader
            process(11, 10, 10, 7), // its child
            process(12, 11, 12, 9), // a grandchild with a session of its own
            process(13, 1, 10, 2),  // an orphan that stayed in the session
            process(20, 1, 20, 50), // another leader
            process(30, 1, 30, 99), // a stranger
        ];
        let sums = sums(&[(10, 1_000), (20, 1_000), (30, 7)], &all);
        assert_eq!(sums.get(&(10, 1_000)), Some(&Sum { busy: 23, pages: 40, processes: 4 }));
        assert_eq!(sums.get(&(20, 1_000)), Some(&Sum { busy: 50, pages: 10, processes: 1 }));
        assert_eq!(sums.get(&(30, 7)), None, "the number belongs to somebody else by now");
    }

    #[test]
    fn parents_in_a_circle_end_nobodys_patience() {
        let all = [process(2, 3, 2, 1), process(3, 2, 3, 1)];
        assert!(sums(&[(9, 1_000)], &all).is_empty());
    }

    #[test]
    fn the_share_is_that_of_the_life_first_and_since_the_last_look_then() {
        let samples = Samples::default();
        // Ten seconds of life by its second look at 10 s.
        let machine = |ms: u64| Machine {
            ticks_per_second: 100,
            page_bytes: 4_096,
            uptime: 1_000 + ms / 10,
            now_ms: ms,
        };
        let look = |busy: u64, ms: u64| {
            let sums = HashMap::from([((10, 1_000), Sum { busy, pages: 2, processes: 1 })]);
            samples.shares(&sums, machine(ms))[&(10, 1_000)]
        };
        let first = look(100, 10_000);
        assert_eq!((first.cpu_permille, first.memory_bytes), (100, 8_192), "a second of ten");
        assert_eq!(look(150, 10_500).cpu_permille, 100, "half a second is too short to tell");
        assert_eq!(look(300, 12_000).cpu_permille, 1_000, "two seconds of two");
        assert_eq!(look(250, 14_000).cpu_permille, 0, "ticks that went away are no work");
    }
}
