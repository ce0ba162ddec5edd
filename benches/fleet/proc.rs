//! What the kernel says of the supervisor: this process and its keeper.

use std::{collections::BTreeMap, fs};

/// This process and the keeper's.
pub(crate) fn ours() -> Vec<u32> {
    let me = std::process::id();
    let children = fs::read_dir("/proc/self/task")
        .unwrap()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>());
    let keepers = children.filter(|pid| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "keeper")
    });
    [me].into_iter().chain(keepers).collect()
}

/// Kilobytes of a field of `smaps_rollup`.
fn field(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

/// Proportional memory in KiB: of this process, of its keeper.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) daemon: u64,
    pub(crate) keeper: u64,
}

impl Memory {
    pub(crate) fn now() -> Self {
        let pids = ours();
        let keeper = pids.iter().skip(1).map(|pid| field(*pid, "Pss:")).sum();
        Self { daemon: field(pids[0], "Pss:"), keeper }
    }

    pub(crate) fn sum(self) -> f64 {
        (self.daemon + self.keeper) as f64
    }
}

/// A thread's name, its changes of context, its nanoseconds on a core.
#[derive(Clone, Default)]
pub(crate) struct Thread {
    pub(crate) name: String,
    pub(crate) switches: u64,
    pub(crate) cpu_ns: u64,
}

/// Every thread of ours, by its id.
pub(crate) fn threads() -> BTreeMap<u32, Thread> {
    let tasks = ours().into_iter().flat_map(|pid| {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        tasks.map(|task| task.path()).collect::<Vec<_>>()
    });
    tasks
        .filter_map(|path| {
            let status = fs::read_to_string(path.join("status")).ok()?;
            let value = |name: &str| {
                status.lines().find_map(|line| line.strip_prefix(name)).map_or("", str::trim).to_owned()
            };
            let count = |name: &str| value(name).parse().unwrap_or(0);
            let schedstat = fs::read_to_string(path.join("schedstat")).ok()?;
            let cpu_ns = schedstat.split_whitespace().next()?.parse().ok()?;
            let switches: u64 = count("voluntary_ctxt_switches:") + count("nonvoluntary_ctxt_switches:");
            Some((value("Pid:").parse().ok()?, Thread { name: value("Name:"), switches, cpu_ns }))
        })
        .collect()
}

/// What each thread did between two looks, busiest first. Threads that ended in between are left out.
pub(crate) fn between(before: &BTreeMap<u32, Thread>, after: &BTreeMap<u32, Thread>) -> Vec<Thread> {
    let mut all: Vec<_> = after
        .iter()
        .map(|(id, thread)| {
            let first = before.get(id).cloned().unwrap_or_default();
            Thread {
                name: thread.name.clone(),
                switches: thread.switches.saturating_sub(first.switches),
                cpu_ns: thread.cpu_ns.saturating_sub(first.cpu_ns),
            }
        })
        .collect();
    all.sort_by_key(|thread| std::cmp::Reverse((thread.cpu_ns, thread.switches)));
    all
}
