//! Who belongs to an attempt: one look at `/proc`, shared by all attempts that ask at the same moment.

use super::syscall::{pidfd_open, pidfd_signal};
use crate::model::ProcessStat;
use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
};

/// The environment variable of the tag, with its `=`. Its value names manager, run and attempt: a hint for whose an
/// orphan is, never a proof.
pub const TAG: &str = "ACTIX_PROCESS=";

/// Bytes of an environment that are searched for the tag: the kernel's own limit for one argument list.
const ENVIRON: u64 = 2 << 20;

/// One process, at one moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// Its start in clock ticks since boot.
    pub start_ticks: u64,
    /// `R`, `S`, `D`, `T`, `Z` …
    pub state: u8,
}

/// Whether a process neither handles nor ignores this signal; false when that cannot be told.
pub(super) fn dies_of(pid: i32, signal: i32) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    let bit = signal.checked_sub(1).and_then(|at| 1_u64.checked_shl(at.unsigned_abs())).unwrap_or(0);
    let lacks = |mask: &str| {
        let text = status.lines().find_map(|line| line.strip_prefix(mask));
        text.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).is_some_and(|mask| mask & bit == 0)
    };
    lacks("SigCgt:") && lacks("SigIgn:")
}

impl Process {
    /// The process of this id as it is now; nothing when there is none.
    #[must_use]
    pub fn read(pid: i32) -> Option<Self> {
        let mut stat = [0_u8; 1024];
        let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut stat).ok()?;
        let ProcessStat { pid, parent, group, session, start_ticks, state, .. } =
            ProcessStat::parse(stat.get(..length)?)?;
        Some(Self { pid, parent, group, session, start_ticks, state })
    }

    /// Whether it can still do anything.
    #[must_use]
    pub const fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }

    /// Whether it is stopped, so that it acts on a signal only when it continues.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        matches!(self.state, b'T')
    }

    /// A descriptor of this very process; nothing when it is gone and the id is free or another's.
    #[must_use]
    pub fn open(&self) -> Option<OwnedFd> {
        let fd = pidfd_open(self.pid).ok()?;
        (Self::read(self.pid)?.start_ticks == self.start_ticks).then_some(fd)
    }

    /// Sends a signal to this very process, or to nobody.
    pub fn signal(&self, signal: i32) {
        if let Some(fd) = self.open() {
            drop(pidfd_signal(fd.as_fd(), signal));
        }
    }
}

/// Where members of a tree may be whose parents are gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Strays {
    /// Among the children of this process, which is a subreaper: nowhere else.
    ChildrenOf(i32),
    /// Anywhere.
    Anywhere,
}

/// All processes at one moment, and the ways from one to another.
#[derive(Default)]
pub struct Snapshot {
    processes: HashMap<i32, Process>,
    children: HashMap<i32, Vec<i32>>,
    groups: HashMap<i32, Vec<i32>>,
    sessions: HashMap<i32, Vec<i32>>,
    tagged: HashMap<Vec<u8>, Vec<i32>>,
    unsure: bool,
}

impl Snapshot {
    /// Looks at every process once.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn take() -> io::Result<Self> {
        let mut found = Vec::with_capacity(256);
        for entry in std::fs::read_dir("/proc")? {
            let pid = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
            found.extend(pid.and_then(Process::read));
        }
        Ok(Self::of(found))
    }

    /// The snapshot of these processes.
    #[must_use]
    pub fn of(found: Vec<Process>) -> Self {
        let mut snapshot = Self::default();
        for process in found {
            snapshot.children.entry(process.parent).or_default().push(process.pid);
            snapshot.groups.entry(process.group).or_default().push(process.pid);
            snapshot.sessions.entry(process.session).or_default().push(process.pid);
            snapshot.processes.insert(process.pid, process);
        }
        snapshot
    }

    /// The process of this id.
    #[must_use]
    pub fn process(&self, pid: i32) -> Option<&Process> {
        self.processes.get(&pid)
    }

    /// Reads the tags of those who may have strayed. `known` remembers answers between looks, because a tag does not
    /// change between two execs; `skip` are leaders, whose place is known.
    pub fn read_tags(&mut self, strays: Strays, known: &mut TagCache, skip: impl Fn(i32) -> bool) {
        let candidates: Vec<Process> = match strays {
            Strays::ChildrenOf(pid) => {
                let children = self.children.get(&pid).into_iter().flatten();
                children.filter_map(|pid| self.processes.get(pid)).copied().collect()
            }
            Strays::Anywhere => self.processes.values().copied().collect(),
        };
        let certain = matches!(strays, Strays::ChildrenOf(_));
        known.0.retain(|(pid, start), _| {
            self.processes.get(pid).is_some_and(|process| process.start_ticks == *start)
        });
        for process in candidates.into_iter().filter(|p| p.pid > 1 && !skip(p.pid)) {
            if !process.is_alive() {
                // An orphan that ended during the look: it may have a child that is too young to be seen.
                self.unsure |= certain && !skip(process.session);
                continue;
            }
            let key = (process.pid, process.start_ticks);
            let tag = known.0.get(&key).cloned().or_else(|| match look_for_tag(process.pid) {
                TagLook::None => Some(None),
                TagLook::Tag(tag) => Some(Some(tag)),
                // Its next look may say more: it wiped its environment, or it is within an exec.
                TagLook::Empty => None,
                TagLook::Gone => {
                    self.unsure |= certain;
                    None
                }
            });
            let Some(tag) = tag else { continue };
            if let Some(tag) = &tag {
                self.tagged.entry(tag.clone()).or_default().push(process.pid);
            }
            known.0.insert(key, tag);
        }
    }

    /// Whether somebody may have slipped through: a process ended while it was looked at.
    #[must_use]
    pub const fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Adds a process of this tag.
    pub fn tag(&mut self, tag: &[u8], pid: i32) {
        self.tagged.entry(tag.to_vec()).or_default().push(pid);
    }

    /// Every process whose tag begins so; for what an earlier manager of the same name left behind.
    pub fn tagged(&self, prefix: &[u8]) -> impl Iterator<Item = (&[u8], &Process)> {
        self.tagged
            .iter()
            .filter(move |(tag, _)| tag.starts_with(prefix))
            .flat_map(|(tag, pids)| pids.iter().map(move |pid| (tag.as_slice(), pid)))
            .filter_map(|(tag, pid)| Some((tag, self.processes.get(pid)?)))
    }

    /// Every living descendant of a process.
    #[must_use]
    pub fn descendants(&self, pid: i32) -> Vec<Process> {
        let mut seen = HashSet::new();
        self.descend(self.children.get(&pid).cloned().unwrap_or_default(), &mut seen);
        seen.iter().filter_map(|pid| self.processes.get(pid)).filter(|p| p.is_alive()).copied().collect()
    }

    fn descend(&self, mut open: Vec<i32>, seen: &mut HashSet<i32>) {
        while let Some(pid) = open.pop() {
            if seen.insert(pid) {
                open.extend(self.children.get(&pid).into_iter().flatten());
            }
        }
    }

    fn descends_from(&self, pid: i32, ancestor: i32) -> bool {
        let mut at = pid;
        // No chain is longer than there are processes; a snapshot is not taken at one instant, so it might circle.
        for _ in 0..self.processes.len() {
            match self.processes.get(&at) {
                Some(process) if process.parent == ancestor => return true,
                Some(process) => at = process.parent,
                None => return false,
            }
        }
        false
    }
}

/// Answers of [`Snapshot::read_tags`] that stay true while the process lives.
#[derive(Default)]
pub struct TagCache(HashMap<(i32, u64), Option<Vec<u8>>>);

/// The tag in a process's environment as it was at its last exec, without [`TAG`].
#[must_use]
pub fn tag_of(pid: i32) -> Option<Vec<u8>> {
    match look_for_tag(pid) {
        TagLook::Tag(tag) => Some(tag),
        TagLook::None | TagLook::Empty | TagLook::Gone => None,
    }
}

/// What a look into an environment showed.
enum TagLook {
    Tag(Vec<u8>),
    /// There is an environment without one, or it is not for us to see.
    None,
    Empty,
    Gone,
}

fn look_for_tag(pid: i32) -> TagLook {
    let mut environ = Vec::new();
    let read =
        File::open(format!("/proc/{pid}/environ")).and_then(|f| f.take(ENVIRON).read_to_end(&mut environ));
    if read.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        return TagLook::None;
    }
    if environ.is_empty() {
        let alive = Process::read(pid).is_some_and(|process| process.is_alive());
        return if alive { TagLook::Empty } else { TagLook::Gone };
    }
    let mut entries = environ.split(|byte| *byte == 0);
    match entries.find_map(|entry| entry.strip_prefix(TAG.as_bytes())) {
        Some(tag) => TagLook::Tag(tag.to_vec()),
        None => TagLook::None,
    }
}

/// One attempt's tree, which remembers whom it has seen.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    leader: i32,
    start_ticks: u64,
    tag: Vec<u8>,
    known: HashMap<i32, u64>,
    sessions: HashSet<i32>,
}

impl Tree {
    /// The tree below a leader that began a session of its own; `tag` is the value without [`TAG`]. A leader nobody
    /// knows is 0.
    #[must_use]
    pub fn new(leader: i32, start_ticks: u64, tag: Vec<u8>) -> Self {
        Self { leader, start_ticks, tag, ..Self::default() }
    }

    /// What its members have in their environments, unless they wiped them.
    #[must_use]
    pub fn tag(&self) -> &[u8] {
        &self.tag
    }

    /// Its living members: descendants of whomever was ever seen as a member, everybody in their sessions and the
    /// leader's group, and strays with the tag.
    pub fn members(&mut self, snapshot: &Snapshot, strays: Strays) -> Vec<Process> {
        let ours = |pid: &i32| match strays {
            Strays::ChildrenOf(keeper) => snapshot.descends_from(*pid, keeper),
            Strays::Anywhere => true,
        };
        let since = |pid: &i32| {
            snapshot.processes.get(pid).is_some_and(|process| process.start_ticks >= self.start_ticks)
        };
        let mut open: Vec<i32> = Vec::new();
        if snapshot.processes.get(&self.leader).is_some_and(|p| p.start_ticks == self.start_ticks) {
            open.push(self.leader);
        }
        open.extend(self.known.iter().filter_map(|(pid, start)| {
            snapshot.processes.get(pid).filter(|p| p.start_ticks == *start).map(|p| p.pid)
        }));
        if self.leader > 1 {
            let group = snapshot.groups.get(&self.leader).into_iter().flatten();
            open.extend(group.copied().filter(|pid| since(pid) && ours(pid)));
        }
        for session in self.sessions.iter().copied().chain((self.leader > 1).then_some(self.leader)) {
            let members = snapshot.sessions.get(&session).into_iter().flatten();
            open.extend(members.copied().filter(|pid| since(pid) && ours(pid)));
        }
        if !self.tag.is_empty() {
            open.extend(snapshot.tagged.get(&self.tag).into_iter().flatten());
        }
        let mut seen = HashSet::new();
        snapshot.descend(open, &mut seen);
        let members: Vec<Process> = seen
            .iter()
            .filter_map(|pid| snapshot.processes.get(pid))
            .filter(|p| p.is_alive())
            .copied()
            .collect();
        for process in &members {
            self.known.insert(process.pid, process.start_ticks);
            if process.session == process.pid {
                self.sessions.insert(process.pid);
            }
        }
        self.known.retain(|pid, start| snapshot.processes.get(pid).is_some_and(|p| p.start_ticks == *start));
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// pid, parent, group, session; all started at tick 100.
    #[track_caller]
    fn snapshot(rows: &[(i32, i32, i32, i32, u8)]) -> Snapshot {
        let process = |&(pid, parent, group, session, state)| Process {
            pid,
            parent,
            group,
            session,
            start_ticks: 100,
            state,
        };
        Snapshot::of(rows.iter().map(process).collect())
    }

    fn pids(mut members: Vec<Process>) -> Vec<i32> {
        members.sort_by_key(|member| member.pid);
        members.into_iter().map(|member| member.pid).collect()
    }

    #[test]
    fn descendants_sessions_groups_and_tagged_strays_are_members_and_others_are_not() {
        let mut look = snapshot(&[
            (2, 1, 2, 2, b'S'),
            (10, 2, 10, 10, b'S'),
            (11, 10, 10, 10, b'S'),
            (12, 11, 12, 12, b'S'),
            (13, 2, 10, 10, b'S'),
            (14, 2, 14, 14, b'S'),
            (15, 14, 14, 14, b'Z'),
            (20, 2, 20, 20, b'S'),
            (21, 1, 10, 10, b'S'),
        ]);
        look.tag(b"m/r/1", 14);
        let mut tree = Tree::new(10, 100, b"m/r/1".to_vec());
        assert_eq!(pids(tree.members(&look, Strays::ChildrenOf(2))), [10, 11, 12, 13, 14]);
        let mut tree = Tree::new(10, 100, Vec::new());
        assert_eq!(pids(tree.members(&look, Strays::Anywhere)), [10, 11, 12, 13, 21]);
    }

    #[test]
    fn members_once_seen_lead_to_their_children_when_they_are_gone() {
        let mut tree = Tree::new(10, 100, Vec::new());
        let before = snapshot(&[(2, 1, 2, 2, b'S'), (10, 2, 10, 10, b'S'), (11, 10, 11, 11, b'S')]);
        assert_eq!(pids(tree.members(&before, Strays::ChildrenOf(2))), [10, 11]);
        // 11 forked 12 in its own session, and both 10 and 11 ended.
        let after = snapshot(&[(2, 1, 2, 2, b'S'), (12, 2, 11, 11, b'S'), (30, 2, 30, 30, b'S')]);
        assert_eq!(pids(tree.members(&after, Strays::ChildrenOf(2))), [12]);
    }

    #[test]
    fn a_reused_process_id_is_nobodys_member() {
        let mut tree = Tree::new(10, 50, Vec::new());
        let look = snapshot(&[(2, 1, 2, 2, b'S'), (10, 1, 10, 10, b'S')]);
        assert_eq!(pids(tree.members(&look, Strays::ChildrenOf(2))), Vec::<i32>::new());
    }
}
