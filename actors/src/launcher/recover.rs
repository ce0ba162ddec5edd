//! Cleans up after a keeper or a supervisor that died: stops the processes that are left, and rescues what pipes
//! hold.
//!
//! Everything here may take a while and runs beside the arbiter.

use super::{
    compose::Places,
    messages::{LeftSpool, Orphan, Recovered, Recovery},
    secrets::Secrets,
};
use crate::{
    keeper::{
        ExitRecord, exit_of, give_up, has_ended, rescue,
        tree::{Process, Snapshot, Strays, TagCache, Tree, tag_of},
        wait_any,
    },
    model::{AttemptId, ExitStatus, Loss, Spool, SpoolSizes, Timestamp},
};
use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::Path,
    time::Duration,
};

/// The number of rounds of killing. Each waits for ends up to [`ROUND_MS`], so together about half a minute. A
/// process that is left then hangs in the kernel; it is named in the log and given up.
const ROUNDS: u32 = 600;
const ROUND_MS: u64 = 50;

/// The longest wait for an earlier keeper, which is stopping its trees by their own grace. Beyond it that keeper is
/// killed and its trees are stopped here.
const OLD_KEEPER_LIMIT: Duration = Duration::from_secs(60);

/// The pause between two checks whether an earlier keeper is gone.
const OLD_KEEPER_PAUSE: Duration = Duration::from_millis(20);

/// A tree whose keeper died.
pub(super) struct Bereaved {
    pub(super) attempt: AttemptId,
    pub(super) token: u64,
    /// The process id; 0 when the keeper died before it reported one.
    pub(super) pid: i32,
    pub(super) start_ticks: u64,
    pub(super) pidfd: Option<OwnedFd>,
    pub(super) pipes: Vec<OwnedFd>,
    pub(super) spool: Spool,
    /// The leader's exit, if it had ended before.
    pub(super) exit: Option<ExitStatus>,
}

/// What became of such a tree.
pub(super) struct Settled {
    pub(super) token: u64,
    pub(super) attempt: AttemptId,
    pub(super) exit: ExitStatus,
    pub(super) sizes: SpoolSizes,
    /// What the spools did not take.
    pub(super) losses: [Loss; 2],
}

impl Settled {
    /// The result when nothing could be found out.
    pub(super) fn unseen(one: &Bereaved) -> Self {
        let exit = one.exit.unwrap_or(ExitStatus::Unknown);
        let sizes = sizes_of(&one.spool);
        Self { token: one.token, attempt: one.attempt, exit, sizes, losses: Default::default() }
    }
}

/// Stops what a dead keeper left, and moves what the pipes hold into the spools.
pub(super) fn settle(places: &Places, bereaved: Vec<Bereaved>) -> Vec<Settled> {
    let by_itself: Vec<bool> =
        bereaved.iter().map(|b| b.pidfd.as_ref().is_some_and(|fd| has_ended(fd.as_fd()))).collect();
    let trees = bereaved
        .iter()
        .map(|one| Tree::new(one.pid, one.start_ticks, places.tag(one.attempt).into_bytes()))
        .collect();
    let ends: Vec<_> = bereaved
        .iter()
        .flat_map(|one| {
            let spools = [one.spool.stdout.as_path(), one.spool.stderr.as_path()];
            one.pipes.iter().map(AsFd::as_fd).zip(spools)
        })
        .collect();
    let mut losses = rescue_around(&ends, || kill_trees(trees, None)).into_iter();
    let mut settled = Vec::with_capacity(bereaved.len());
    for (one, by_itself) in bereaved.into_iter().zip(by_itself) {
        let own = losses.by_ref().take(one.pipes.len().min(2)).collect::<Vec<_>>();
        let losses = [0, 1].map(|at| own.get(at).copied().unwrap_or_default());
        // Always asked: a keeper on a thread leaves its zombies to us.
        let word = exit_of(one.pid, one.pidfd.as_ref().map(AsFd::as_fd));
        // An end by our own SIGKILL says nothing about the program.
        let exit = one.exit.unwrap_or(if by_itself { word } else { ExitStatus::Unknown });
        let sizes = sizes_of(&one.spool);
        settled.push(Settled { token: one.token, attempt: one.attempt, exit, sizes, losses });
    }
    settled
}

/// Moves what the pipes hold into the spools, stops the processes that write into them, and moves the rest; what the
/// spools do not take of it is counted. Done twice, because the supervisor may die in between: what was written by
/// then is safe.
fn rescue_around(ends: &[(BorrowedFd<'_>, &Path)], stop: impl FnOnce()) -> Vec<Loss> {
    for (pipe, path) in ends {
        rescue_or_say(*pipe, path, false);
    }
    stop();
    ends.iter().map(|(pipe, path)| rescue_or_say(*pipe, path, true)).collect()
}

/// Does the same for ends of pipes that were found. Returns what was lost of each pair.
fn rescue_found(pipes: &[(Spool, [Option<OwnedFd>; 2])], stop: impl FnOnce()) -> Vec<[Loss; 2]> {
    let mut places = Vec::new();
    let mut ends = Vec::new();
    for (number, (spool, two)) in pipes.iter().enumerate() {
        for (stream, (end, path)) in two.iter().zip([&spool.stdout, &spool.stderr]).enumerate() {
            if let Some(end) = end {
                places.push((number, stream));
                ends.push((end.as_fd(), path.as_path()));
            }
        }
    }
    let mut lost = vec![[Loss::default(); 2]; pipes.len()];
    for ((number, stream), loss) in places.into_iter().zip(rescue_around(&ends, stop)) {
        if let Some(place) = lost.get_mut(number).and_then(|two| two.get_mut(stream)) {
            *place = loss;
        }
    }
    lost
}

/// After a restart: reads the old keeper's records, stops the processes that are left, rescues what the pipes hold,
/// and finds spools that were not closed.
pub(super) fn recover(places: &Places, orphans: Vec<Orphan>, first_token: u64) -> Recovery {
    // A copy of a store knows processes too: those of the original, which only its own supervisor may end.
    let same_boot = boot_is_the_same(places) && places.at_home;
    let mut trees = Vec::new();
    let mut pipes = Vec::new();
    let mut tagged = None;
    let records: Vec<Option<ExitRecord>> =
        orphans.iter().map(|orphan| ExitRecord::read(&places.record(orphan.attempt))).collect();
    for orphan in orphans.iter().filter(|_| same_boot) {
        let pid = orphan.pid.unwrap_or(0);
        trees.push(Tree::new(pid, orphan.start_ticks, places.tag(orphan.attempt).into_bytes()));
        let spool = places.spool(orphan.attempt, 0);
        let leader = Process::read(pid).filter(|p| pid > 1 && p.start_ticks == orphan.start_ticks);
        let ends = match leader {
            Some(leader) => open_outputs(&leader),
            // The process ended, or was not yet written down: processes that are left of its tree hold the same
            // pipes.
            None => outputs_by_tag(&mut tagged, places.tag(orphan.attempt).as_bytes()),
        };
        pipes.push((spool, ends));
    }
    let lost = rescue_found(&pipes, || {
        if same_boot {
            let prefix = places.tag_prefix().into_bytes();
            // If a child of an earlier supervisor started us, we carry such a tag ourselves, and so do processes that
            // have nothing to do with it.
            let is_ours_too = tag_of(own_pid()).is_some_and(|tag| tag.starts_with(&prefix));
            kill_trees(trees, (!is_ours_too).then_some(prefix.as_slice()));
        }
    });
    let mut lost = lost.into_iter();
    remove_strange_records(places, &orphans);
    let secrets = Secrets::of(&places.store);
    let mut tokens = first_token..;
    let mut spool_of = |attempt| {
        let spool = places.spool(attempt, tokens.next().unwrap_or(first_token));
        (sizes_of(&spool), spool, secrets.load(attempt.run).into_values().collect())
    };
    let ends = orphans.iter().zip(records).map(|(orphan, record)| {
        let rescue = lost.next().unwrap_or_default(); // Of another boot there are no pipes.
        let (sizes, spool, secrets) = spool_of(orphan.attempt);
        let told = record.map(|record| (record.sizes, record.losses)).unwrap_or_default();
        let mut losses = told.1;
        for (loss, more) in losses.iter_mut().zip(rescue) {
            (loss.bytes, loss.lines) = (loss.bytes + more.bytes, loss.lines + more.lines);
        }
        Recovered {
            attempt: orphan.attempt,
            exit: record.map_or(ExitStatus::Unknown, |record| record.status),
            ended_at: record.map(|record| Timestamp(record.ended_at_ms)),
            stopped_by_keeper: record.is_some_and(|record| record.stopped_by_keeper),
            // A spool that was removed is not the output of an attempt that wrote nothing.
            sizes: at_least(sizes, told.0),
            losses,
            spool,
            secrets,
        }
    });
    let ends = ends.collect();
    let left = left_spools(places, &orphans).into_iter().map(|attempt| {
        let (sizes, spool, secrets) = spool_of(attempt);
        LeftSpool { attempt, spool, sizes, secrets }
    });
    let left = left.collect();
    Recovery { ends, left, with_secrets: secrets.runs() }
}

/// Attempts that have a spool and are no orphans.
fn left_spools(places: &Places, orphans: &[Orphan]) -> BTreeSet<AttemptId> {
    let orphans: BTreeSet<_> = orphans.iter().map(|orphan| orphan.attempt).collect();
    let entries = fs::read_dir(places.spool_folder()).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| places.attempt_of(&entry.path()));
    found.filter(|attempt| !orphans.contains(attempt)).collect()
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(0)
}

/// Sends SIGKILL to every member of these trees, and to every process whose tag has this prefix, until none is left.
fn kill_trees(mut trees: Vec<Tree>, prefix: Option<&[u8]>) {
    let own = own_pid();
    let mut tags = TagCache::default();
    for _ in 0..ROUNDS {
        let Ok(mut snapshot) = Snapshot::take() else {
            wait_any(&[], ROUND_MS);
            continue;
        };
        snapshot.read_tags(Strays::Anywhere, &mut tags, |pid| pid == own);
        let mut members: Vec<Process> =
            trees.iter_mut().flat_map(|tree| tree.members(&snapshot, Strays::Anywhere)).collect();
        if let Some(prefix) = prefix {
            let tagged: Vec<Process> = snapshot.tagged(prefix).map(|(_, process)| *process).collect();
            members.extend(tagged);
        }
        members.retain(|member| member.pid != own && member.is_alive());
        if members.is_empty() {
            return;
        }
        let fds: Vec<OwnedFd> = members.iter().filter_map(Process::open).collect();
        for member in &members {
            member.signal(libc::SIGKILL);
        }
        let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        wait_any(&borrowed, ROUND_MS);
    }
    log::error!("processes of a lost tree do not end; attempts={}", trees.len());
}

/// The reading ends of a process's standard output and error, where those are pipes; merged ones once.
fn open_outputs(process: &Process) -> [Option<OwnedFd>; 2] {
    let open = |number: u32| {
        let path = format!("/proc/{}/fd/{number}", process.pid);
        let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
        let metadata = file.metadata().ok()?;
        let ours = metadata.file_type().is_fifo() && is_read_write(process.pid, number);
        ours.then(|| (metadata.ino(), OwnedFd::from(file)))
    };
    let (stdout, stderr) = (open(1), open(2));
    let merged = matches!((&stdout, &stderr), (Some((a, _)), Some((b, _))) if a == b);
    [stdout.map(|(_, fd)| fd), stderr.filter(|_| !merged).map(|(_, fd)| fd)]
}

/// Whether a descriptor is open for reading and writing: our pipes are, those of a shell's pipeline are not.
fn is_read_write(pid: i32, number: u32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & libc::O_ACCMODE == libc::O_RDWR)
}

/// The same ends, from any living process that carries this tag. The processes are looked through once for all tags.
fn outputs_by_tag(tagged: &mut Option<Snapshot>, tag: &[u8]) -> [Option<OwnedFd>; 2] {
    let snapshot = tagged.get_or_insert_with(|| {
        let mut snapshot = Snapshot::take().unwrap_or_else(|_| Snapshot::of(Vec::new()));
        snapshot.read_tags(Strays::Anywhere, &mut TagCache::default(), |pid| pid == own_pid());
        snapshot
    });
    let mut ends = [None, None];
    for (_, process) in snapshot.tagged(tag).filter(|(found, _)| *found == tag) {
        let [stdout, stderr] = open_outputs(process);
        ends[0] = ends[0].take().or(stdout);
        ends[1] = ends[1].take().or(stderr);
    }
    ends
}

fn rescue_or_say(pipe: BorrowedFd<'_>, path: &Path, last: bool) -> Loss {
    let (bytes, error) = rescue(pipe, path);
    if bytes > 0 {
        log::info!("output rescued from a pipe; bytes={bytes} file={}", path.display());
    }
    let Some(error) = error.filter(|_| last) else { return Loss::default() };
    let loss = give_up(pipe);
    let (lines, bytes, file) = (loss.lines, loss.bytes, path.display());
    log::error!("output could not be rescued; lines={lines} bytes={bytes} file={file} error={error}");
    loss
}

fn at_least(sizes: SpoolSizes, told: SpoolSizes) -> SpoolSizes {
    SpoolSizes { stdout: sizes.stdout.max(told.stdout), stderr: sizes.stderr.max(told.stderr) }
}

fn sizes_of(spool: &Spool) -> SpoolSizes {
    // Without a size it is not known whether all of the spool was read, and the end is judged by its exit alone.
    let size = |path: &Path| match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => {
            log::error!("a spool cannot be looked at; file={} error={error}", path.display());
            u64::MAX
        }
    };
    SpoolSizes { stdout: size(&spool.stdout), stderr: size(&spool.stderr) }
}

/// Removes records of attempts whose end the journal knows already.
fn remove_strange_records(places: &Places, orphans: &[Orphan]) {
    let ours: Vec<_> = orphans.iter().map(|orphan| places.record(orphan.attempt)).collect();
    let entries = fs::read_dir(places.spool_folder()).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        let is_record = path.extension().is_some_and(|extension| extension == "exit" || extension == "new");
        if is_record && !ours.contains(&path) {
            drop(fs::remove_file(path));
        }
    }
}

/// Whether the machine has not been booted anew since the last supervisor of this store; from then on the answer is
/// yes. A process id of another boot means no process of this one.
fn boot_is_the_same(places: &Places) -> bool {
    let now = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let file = places.store.join("boot_id");
    let same = fs::read_to_string(&file).is_ok_and(|then| then == now);
    let write = || {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&file)?;
        file.write_all(now.as_bytes())
    };
    if !same && let Err(error) = write() {
        log::warn!("boot id could not be saved; error={error}");
    }
    same
}

/// Records the boot to which this store's processes belong.
pub(super) fn save_boot(places: &Places) {
    boot_is_the_same(places);
}

/// Waits until no keeper of an earlier supervisor is left; one that does not end is killed.
pub(super) async fn wait_for_old_keeper(places: &Places) {
    let mut waited = Duration::ZERO;
    loop {
        match keeper_is_alive(places) {
            Ok(false) => return,
            Ok(true) if waited.is_zero() => log::info!("an earlier keeper is stopping what it kept"),
            Err(error) if waited.is_zero() => {
                log::warn!("whether an earlier keeper lives cannot be told; error={error}");
            }
            Ok(true) | Err(_) => {} // Not known to be gone: it may still have children.
        }
        if waited >= OLD_KEEPER_LIMIT {
            log::error!("an earlier keeper does not end and is killed");
            kill_keeper(places);
            tokio::time::sleep(OLD_KEEPER_PAUSE).await;
            return;
        }
        tokio::time::sleep(OLD_KEEPER_PAUSE).await;
        waited += OLD_KEEPER_PAUSE;
    }
}

/// Whether a keeper still holds the lock; an error when that cannot be known.
pub(super) fn keeper_is_alive(places: &Places) -> io::Result<bool> {
    let file = File::options().write(true).create(true).truncate(false).mode(0o600).open(places.lock())?;
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(fs::TryLockError::WouldBlock) => Ok(true),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Whether the kernel's list has a lock of this process on a file with this inode number. A number is not unique over
/// file systems: it is one hint of three.
fn is_locked_by(pid: i32, inode: u64) -> bool {
    let (pid, inode) = (pid.to_string(), inode.to_string());
    let list = fs::read_to_string("/proc/locks").unwrap_or_default();
    list.lines().any(|line| {
        let mut words = line.split_whitespace().skip(4);
        let (of, file) = (words.next(), words.next());
        of == Some(&pid) && file.and_then(|file| file.rsplit(':').next()) == Some(&inode)
    })
}

/// Kills the keeper that holds the lock. Its process id is in the file. That the process is the keeper is shown by
/// the file being open there, or, where the supervisor is not root and may not look at its descriptors, by the
/// kernel's list of locks.
pub(super) fn kill_keeper(places: &Places) {
    let lock = places.lock();
    let Some(pid) = fs::read_to_string(&lock).ok().and_then(|text| text.trim().parse::<i32>().ok()) else {
        return;
    };
    let Some(process) = Process::read(pid) else { return };
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let open = open.into_iter().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == lock));
    let holds = open || fs::metadata(&lock).is_ok_and(|file| is_locked_by(pid, file.ino()));
    let is_keeper = fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "keeper\n");
    if holds && is_keeper {
        process.signal(libc::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_pipes_hold_is_safe_before_anybody_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let (read, mut write) = io::pipe().unwrap();
        write.write_all(b"before\n").unwrap();
        let losses = rescue_around(&[(read.as_fd(), &path)], || {
            assert_eq!(fs::read(&path).unwrap(), b"before\n", "should we die now, it is not lost");
            write.write_all(b"after\n").unwrap();
        });
        assert_eq!(fs::read(&path).unwrap(), b"before\nafter\n");
        assert!(losses.iter().all(Loss::is_none));
    }

    #[test]
    fn who_locks_a_file_is_known_without_a_look_at_its_descriptors() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("lock")).unwrap();
        let inode = file.metadata().unwrap().ino();
        assert!(!is_locked_by(own_pid(), inode));
        file.try_lock().unwrap();
        assert!(is_locked_by(own_pid(), inode));
        assert!(!is_locked_by(own_pid() + 1, inode));
    }
}
