//! Ends: of leaders, of orphans, of whole trees.

use super::{
    attempt::End,
    event_loop::{Loop, Mode},
    protocol::Event,
    record::ExitRecord,
    stream::{Last, Stream},
    syscall::{self, kill_group, now_ns, own_pid, peek_ended, read_signals, reap, wall_ms},
    tree::Snapshot,
};
use crate::model::ExitStatus;
use std::os::fd::AsFd;

/// How often groups without a leader are looked at when no signal says that one of them changed: in the host's
/// process only, where their ends are told to somebody else.
const LINGER_NS: u64 = 250_000_000;

/// Ended attempts whose pipes are kept because no disk takes what is in them: 8 MiB at most, unless they wrote much, and
/// few enough descriptors. Of more, the oldest lose it, counted.
const KEPT: usize = 64;

/// Turns of the last sweep: each kills whoever was left, so only a storm of forks needs more than two.
const SWEEPS: u32 = 1_000;

impl Loop {
    pub(super) fn signals_ready(&mut self) {
        let Mode::Process { signals, .. } = &self.mode else { return };
        read_signals(signals.as_fd());
        self.reap_ended();
        let now = now_ns();
        if !self.lingering.is_empty() {
            self.linger_ns = now;
        }
        for token in &self.stopping {
            let attempt = self.attempts.get_mut(token).filter(|attempt| attempt.end.is_some());
            if let Some(stop) = attempt.and_then(|attempt| attempt.stop.as_mut()) {
                stop.look_ns = now;
            }
        }
    }

    /// Hears of every end that is to be heard. As a thread we wait for our own children alone, by their pidfds.
    pub(super) fn reap_ended(&mut self) {
        if matches!(self.mode, Mode::Thread) {
            return;
        }
        while let Ok(Some(pid)) = peek_ended() {
            match self.leaders.get(&pid).copied() {
                Some(token) => self.leader_ended(token),
                None => drop(reap(pid)),
            }
        }
    }

    pub(super) fn pidfd_ready(&mut self, token: u64) {
        self.leader_ended(token);
    }

    /// Moves what the leader left in its pipes, reaps it, and says so at once: others may hold the pipes for ever.
    fn leader_ended(&mut self, token: u64) {
        let Some(attempt) = self.attempts.get_mut(&token).filter(|attempt| attempt.end.is_none()) else {
            return;
        };
        let before = attempt.sizes();
        // Both, whatever the first one says.
        let last = attempt.streams.each_mut().map(Stream::drain_now);
        let Some(status) = reap(attempt.pid) else { return };
        if let Some(pidfd) = attempt.pidfd.take()
            && matches!(self.mode, Mode::Thread)
        {
            self.epoll.remove(pidfd.as_fd());
        }
        self.leaders.remove(&attempt.pid);
        let by_keeper = self.abandoned && attempt.stop.is_some_and(|stop| stop.may_have_caused(status));
        attempt.end = Some(End { status, at_ms: wall_ms(), by_keeper });
        let leftovers = kill_group(attempt.pid, 0).is_ok() || attempt.streams.iter().any(Stream::has_writer);
        // Nobody writes any more, and the disk does not take what was written: it is tried again.
        let waits = last.iter().any(|last| *last != Last::Ended);
        let refused = attempt.streams.iter().zip(last).filter(|(_, last)| *last == Last::Refused);
        let unspooled = refused.map(|(stream, _)| stream.left()).sum::<u64>()
            + attempt.streams.iter().map(Stream::lost).sum::<u64>();
        let why = if last.contains(&Last::Refused) { attempt.waits_for(now_ns()) } else { 0 };
        let sizes = attempt.sizes();
        let stopping = attempt.stop.as_mut().map(|stop| stop.look_ns = now_ns()).is_some();
        for index in [0, 1] {
            if last[index] == Last::Ended {
                self.close_stream(token, index);
            }
        }
        if sizes != before {
            self.note_growth(token);
        }
        self.tell_losses(token, false);
        self.tell_stuck(token, why);
        self.emit(&Event::Exited { token, status, sizes, leftovers, unspooled }, &[]);
        match (stopping, leftovers || waits) {
            (true, _) => {}
            (false, true) => {
                self.lingering.insert(token);
                self.linger_ns = self.linger_ns.min(now_ns() + LINGER_NS);
            }
            (false, false) => self.emptied(token),
        }
        if self.abandoned {
            self.write_record(token);
        }
    }

    /// Looks whether those who outlived their leaders are gone.
    pub(super) fn look_at_lingering(&mut self, now: u64) {
        if now < self.linger_ns {
            return;
        }
        let tokens: Vec<u64> = self.lingering.iter().copied().collect();
        let mut kept = 0;
        // The newest first.
        for token in tokens.into_iter().rev() {
            let gone = self.attempts.get(&token).is_none_or(|attempt| {
                let nobody = kill_group(attempt.pid, 0).is_err();
                // What nobody can add to waits for a place on the disk.
                let waits = nobody && attempt.stuck != 0 && !attempt.streams.iter().any(Stream::has_writer);
                kept += usize::from(waits);
                nobody && (kept > KEPT || attempt.streams.iter().all(|stream| stream.pipe().is_none()))
            });
            if gone {
                self.lingering.remove(&token);
                self.emptied(token);
            }
        }
        self.linger_ns = if self.lingering.is_empty() { u64::MAX } else { now + LINGER_NS };
    }

    /// Nobody of the tree is left: the last bytes, then the descriptors go.
    pub(super) fn emptied(&mut self, token: u64) {
        let Some(attempt) = self.attempts.get_mut(&token) else { return };
        let before = attempt.sizes();
        for stream in &mut attempt.streams {
            if stream.drain_now() == Last::Refused {
                stream.throw_all_away();
            }
        }
        let lost = attempt.streams.iter().map(Stream::lost).sum();
        attempt.empty = true;
        attempt.stop = None;
        let (sizes, acknowledged) = (attempt.sizes(), attempt.acknowledged);
        self.stopping.remove(&token);
        self.close_stream(token, 0);
        self.close_stream(token, 1);
        if sizes != before {
            self.note_growth(token);
        }
        if self.abandoned {
            self.write_record(token);
        }
        self.tell_losses(token, true);
        self.emit(&Event::Emptied { token, sizes, lost }, &[]);
        if acknowledged {
            self.attempts.remove(&token);
        }
    }

    /// Writes what became of an attempt for the next daemon to read. Failing that, the next daemon finds the end unseen.
    pub(super) fn write_record(&self, token: u64) {
        let Some(attempt) = self.attempts.get(&token).filter(|attempt| !attempt.acknowledged) else { return };
        let Some(End { status, at_ms, by_keeper }) = attempt.end else { return };
        let record = ExitRecord {
            status,
            ended_at_ms: at_ms,
            sizes: attempt.sizes(),
            stopped_by_keeper: by_keeper,
            losses: [attempt.streams[0].loss(), attempt.streams[1].loss()],
        };
        drop(record.write(&attempt.record));
    }

    /// Our last act as a process: whoever is still below us strayed from some tree and hid its tag.
    pub(super) fn end_strays(&self) {
        let own = own_pid();
        for _ in 0..SWEEPS {
            while let Ok(Some(pid)) = peek_ended() {
                let _: Option<ExitStatus> = reap(pid);
            }
            let Ok(snapshot) = Snapshot::take() else { return };
            let strays = snapshot.descendants(own);
            if strays.is_empty() {
                return;
            }
            for stray in strays {
                stray.signal(libc::SIGKILL);
            }
            syscall::wait_any(&[], 2);
        }
    }
}
