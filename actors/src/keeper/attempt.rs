//! What the keeper knows of one attempt.

use super::{stream::Stream, tree::Tree};
use crate::model::{ExitStatus, SpoolSizes};
use std::{os::fd::OwnedFd, path::PathBuf};

/// One child and all that may come of it. Forgotten when it is empty and acknowledged.
pub(super) struct Attempt {
    pub(super) pid: i32,
    /// Held while the leader is not reaped.
    pub(super) pidfd: Option<OwnedFd>,
    /// Standard output, standard error.
    pub(super) streams: [Stream; 2],
    pub(super) tree: Tree,
    pub(super) default_stop: (i32, u64),
    pub(super) record: PathBuf,
    /// Set when the leader is reaped.
    pub(super) end: Option<End>,
    /// Nobody of the tree is left.
    pub(super) empty: bool,
    pub(super) acknowledged: bool,
    /// What the daemon was told last of why its output goes nowhere; 0: it goes.
    pub(super) stuck: i32,
    pub(super) stop: Option<Stop>,
}

/// The leader's end.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) status: ExitStatus,
    pub(super) at_ms: u64,
    /// Whether the keeper had stopped it on its own account, as far as anybody can tell.
    pub(super) by_keeper: bool,
}

/// A stop on its way.
#[derive(Clone, Copy)]
pub(super) struct Stop {
    pub(super) signal: i32,
    /// From then on it is SIGKILL.
    pub(super) deadline_ns: u64,
    /// Whether the first signal went out.
    pub(super) signalled: bool,
    /// Whether the leader handled or ignored that signal when it was sent: then any end may be our doing.
    pub(super) handled: bool,
    /// When to look at the tree next.
    pub(super) look_ns: u64,
    /// Pause before the look after that.
    pub(super) pause_ns: u64,
    /// Since when nobody is seen though somebody may be there.
    pub(super) unsure_ns: Option<u64>,
}

impl Stop {
    /// Whether this end may come of the stop. A leader that neither handled nor ignored the signal dies of it: another end
    /// is its own, which came first.
    pub(super) const fn may_have_caused(&self, status: ExitStatus) -> bool {
        self.signalled
            && match status {
                ExitStatus::Code(_) => self.handled,
                ExitStatus::Signal { number, .. } => {
                    self.handled || number == self.signal || number == libc::SIGKILL
                }
                ExitStatus::Unknown => true,
            }
    }
}

impl Attempt {
    pub(super) const fn sizes(&self) -> SpoolSizes {
        SpoolSizes { stdout: self.streams[0].size(), stderr: self.streams[1].size() }
    }

    /// Why its output goes nowhere, as far as that is worth being told; 0: it goes.
    pub(super) fn waits_for(&self, now: u64) -> i32 {
        self.streams.iter().find_map(|stream| stream.waits_for(now)).unwrap_or(0)
    }

    /// Whether the leader is there, perhaps as a zombie: then its process id and group id are still its own.
    pub(super) const fn has_leader(&self) -> bool {
        self.end.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_of_its_own_is_told_from_one_of_ours() {
        let stop = |signalled, handled| Stop {
            signal: libc::SIGTERM,
            deadline_ns: 0,
            signalled,
            handled,
            look_ns: 0,
            pause_ns: 0,
            unsure_ns: None,
        };
        let signal = |number| ExitStatus::Signal { number, core: false };
        for (status, not_handled) in [
            (ExitStatus::Code(0), false),
            (ExitStatus::Code(1), false),
            (signal(libc::SIGSEGV), false),
            (signal(libc::SIGTERM), true),
            (signal(libc::SIGKILL), true),
        ] {
            assert!(!stop(false, true).may_have_caused(status), "{status}: no signal went out");
            assert_eq!(stop(true, false).may_have_caused(status), not_handled, "{status}");
            assert!(stop(true, true).may_have_caused(status), "{status}: it may have ended because of it");
        }
    }
}
