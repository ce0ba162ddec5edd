//! Whether the keeper answers.
//!
//! A keeper that is stopped (SIGSTOP, a frozen cgroup, a debugger) is alive for the kernel, and its socket takes what
//! is sent. So after a request the Launcher waits for an answer: any message will do. When all is quiet and there are
//! children, the keeper is asked twice a minute: a child whose output fills its pipe waits for the keeper without the
//! supervisor knowing it.

use crate::model::Timestamp;

/// How long the keeper may say nothing after it was asked before it counts as silent, in milliseconds. It answers
/// within a millisecond, and within a second when thousands of processes want the same processor.
const ANSWER_MS: u64 = 5_000;

/// How much longer the Launcher waits before it calls the keeper silent, in milliseconds: if the supervisor itself
/// was stopped, the keeper's answer is there and unread.
const DOUBT_MS: u64 = 1_000;

/// How long after its last message the keeper is asked whether it is there, in milliseconds.
const QUIET_MS: u64 = 30_000;

/// What is known of the keeper's answers; see the module.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// When the keeper was asked for something; `None` if it has said something since.
    asked_at: Option<Timestamp>,
    /// Whether the keeper has said something since the last look.
    heard: bool,
    doubted: bool,
    silent: bool,
}

/// What follows from a look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Look {
    /// Nothing follows, until the keeper is asked for something again.
    Nothing,
    /// Another look follows at this time.
    At(Timestamp),
    /// The keeper is to be asked whether it is there.
    Ask,
    /// The keeper has not answered since this time, which is reported once.
    Silent(Timestamp),
}

impl Pulse {
    /// The keeper was asked for something that it answers at once. Returns when to look, if that is its first open
    /// answer.
    pub(crate) fn asked(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.asked_at.is_some() {
            return None;
        }
        self.asked_at = Some(now);
        Some(now.plus(ANSWER_MS))
    }

    /// The keeper said something. Returns whether it was silent before.
    pub(crate) fn heard(&mut self) -> bool {
        (self.heard, self.asked_at, self.doubted) = (true, None, false);
        std::mem::take(&mut self.silent)
    }

    /// Whether the keeper was reported as silent, and has said nothing since.
    pub(crate) const fn is_silent(&self) -> bool {
        self.silent
    }

    /// Checks whether the keeper answers. `has_children`: some attempt depends on it.
    pub(crate) fn look(&mut self, now: Timestamp, has_children: bool) -> Look {
        match self.asked_at {
            // The keeper's next message ends the silence.
            Some(_) if self.silent => Look::Nothing,
            Some(asked) if asked.plus(ANSWER_MS) > now => Look::At(asked.plus(ANSWER_MS)),
            Some(_) if !std::mem::replace(&mut self.doubted, true) => Look::At(now.plus(DOUBT_MS)),
            Some(since) => {
                self.silent = true;
                Look::Silent(since)
            }
            None if !has_children => Look::Nothing,
            None if std::mem::take(&mut self.heard) => Look::At(now.plus(QUIET_MS)),
            None => Look::Ask,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_is_silent_after_an_answer_and_a_doubt() {
        let mut pulse = Pulse::default();
        let at = Timestamp;
        assert_eq!(pulse.asked(at(1_000)), Some(at(6_000)));
        assert_eq!(pulse.asked(at(2_000)), None, "it owes an answer already");
        assert_eq!(pulse.look(at(5_999), true), Look::At(at(6_000)));
        assert_eq!(pulse.look(at(6_000), true), Look::At(at(7_000)), "its answer may be there and unread");
        assert!(!pulse.is_silent());
        assert_eq!(pulse.look(at(7_000), true), Look::Silent(at(1_000)));
        assert!(pulse.is_silent());
        assert_eq!(pulse.look(at(8_000), true), Look::Nothing, "told once");
        assert!(pulse.heard() && !pulse.is_silent());
        assert!(!pulse.heard(), "it answers again once");
        assert_eq!(pulse.asked(at(9_000)), Some(at(14_000)), "and may be doubted again");
        assert_eq!(pulse.look(at(14_000), true), Look::At(at(15_000)));
    }

    #[test]
    fn a_quiet_keeper_is_asked_while_it_has_children() {
        let mut pulse = Pulse::default();
        let at = Timestamp;
        assert!(!pulse.heard());
        assert_eq!(pulse.look(at(1_000), true), Look::At(at(31_000)), "it has just said something");
        assert_eq!(pulse.look(at(31_000), true), Look::Ask, "and nothing since");
        assert_eq!(pulse.look(at(31_000), false), Look::Nothing, "nobody depends on it");
        assert!(!pulse.heard());
        assert_eq!(pulse.look(at(40_000), false), Look::Nothing);
        assert_eq!(pulse.look(at(40_000), true), Look::At(at(70_000)));
    }
}
