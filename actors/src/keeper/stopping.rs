//! Stops: whole trees, many at once, on one look at `/proc`.

use super::{
    attempt::Attempt,
    event_loop::{Loop, Mode},
    pursuit::pursue,
    stream::{Last, Stream},
    syscall::{kill_group, now_ns, own_pid},
    tree::{Process, Snapshot, Strays, dies_of},
};

/// Shortest pause between two looks at `/proc`; besides, a look never follows sooner than it takes itself, so that a
/// thousand stops share their looks instead of each taking one.
const PAUSE_NS: u64 = 1_000_000;

/// Longest pause between two looks at a tree that is on its way down, when no signal of an end comes.
const LONGEST_PAUSE_NS: u64 = 100_000_000;

/// So long nobody must be seen before a stop is over while something says that somebody is there: a process that starts
/// its successor and ends can slip through between two looks, but hardly through all of them. What holds a pipe and is
/// not of the tree (it was handed over a socket) must not hold up the stop for longer, and neither must output that a
/// full disk does not take.
const UNSURE_NS: u64 = 2_000_000_000;

/// The same when the daemon is gone and a full disk takes neither output nor record: nobody waits but the next daemon, which
/// waits for twice as long before it ends us.
const LAST_HOPE_NS: u64 = 30_000_000_000;

impl Loop {
    /// When the next look is due; never, when no stop is on its way.
    pub(super) fn round_due(&self) -> u64 {
        let looks = self.stopping.iter().filter_map(|token| self.attempts.get(token)?.stop);
        looks.map(|stop| stop.look_ns).min().map_or(u64::MAX, |due| due.max(self.next_round_ns))
    }

    /// One look, for every stop that is due.
    pub(super) fn stop_round(&mut self, now: u64) {
        if now < self.round_due() || self.stopping.is_empty() {
            return;
        }
        let due: Vec<u64> = self
            .stopping
            .iter()
            .copied()
            .filter(|token| {
                self.attempts.get(token).and_then(|attempt| attempt.stop).is_some_and(|s| s.look_ns <= now)
            })
            .collect();
        let Ok(mut snapshot) = Snapshot::take() else {
            // No descriptor, no memory: the same look is tried again.
            self.next_round_ns = now + LONGEST_PAUSE_NS;
            return;
        };
        let strays = match self.mode {
            Mode::Process { .. } => Strays::ChildrenOf(own_pid()),
            Mode::Thread => Strays::Anywhere,
        };
        let leaders = &self.leaders;
        snapshot.read_tags(strays, &mut self.tags, |pid| leaders.contains_key(&pid));
        let empty: Vec<u64> =
            due.into_iter().filter(|token| self.advance(*token, &snapshot, strays, now)).collect();
        for token in empty {
            self.emptied(token);
        }
        let after = now_ns();
        self.next_round_ns = after + (after - now).max(PAUSE_NS);
    }

    /// The next step of one stop; true when nobody is left.
    fn advance(&mut self, token: u64, snapshot: &Snapshot, strays: Strays, now: u64) -> bool {
        let leaders = &self.leaders;
        let Some(attempt) = self.attempts.get_mut(&token) else { return false };
        let members = attempt.tree.members(snapshot, strays);
        let Some(mut stop) = attempt.stop else { return members.is_empty() && !attempt.has_leader() };
        if members.is_empty() && !attempt.has_leader() {
            let since = *stop.unsure_ns.get_or_insert(now);
            // All of them, whatever the first one says.
            let refused = attempt.streams.each_mut().map(|stream| stream.drain_now() == Last::Refused);
            let refused = refused.contains(&true);
            let unsure = snapshot.is_unsure() || attempt.streams.iter().any(Stream::has_writer) || refused;
            let patience = if refused && self.abandoned { LAST_HOPE_NS } else { UNSURE_NS };
            if !unsure || now - since >= patience {
                return true;
            }
            if now >= stop.deadline_ns && matches!(strays, Strays::ChildrenOf(_)) {
                pursue(attempt.tree.tag(), |pid| leaders.contains_key(&pid));
            }
        } else {
            stop.unsure_ns = None;
        }
        let killing = now >= stop.deadline_ns;
        if killing {
            send(attempt, &members, libc::SIGKILL);
        } else if !stop.signalled {
            stop.handled = attempt.has_leader() && !dies_of(attempt.pid, stop.signal);
            send(attempt, &members, stop.signal);
            // All of them: one that waits for a paused child of its own has its pause still before it.
            if members.iter().any(Process::is_paused) {
                send(attempt, &members, libc::SIGCONT);
            }
            stop.signalled = true;
        }
        stop.look_ns = if killing || !attempt.has_leader() {
            stop.pause_ns = (stop.pause_ns * 2).clamp(PAUSE_NS, LONGEST_PAUSE_NS);
            let next = now + stop.pause_ns;
            if killing { next } else { next.min(stop.deadline_ns) }
        } else {
            // The leader's end is told to us, and brings the next look.
            stop.deadline_ns
        };
        attempt.stop = Some(stop);
        false
    }
}

/// Signals the group in one call while its leader is unreaped, so that the number is its own, and each other member by
/// a descriptor of its own.
fn send(attempt: &Attempt, members: &[Process], signal: i32) {
    let group = attempt.has_leader().then_some(attempt.pid);
    if let Some(group) = group {
        drop(kill_group(group, signal));
    }
    for member in members.iter().filter(|member| Some(member.group) != group) {
        member.signal(signal);
    }
}
