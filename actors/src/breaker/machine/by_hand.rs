//! What an operator and the `mode` of the rules do to a scope, independently of its counters.

use super::{
    circuit::Circuit,
    state::{Row, State},
    terms::{Change, OperatorAct},
    window::Window,
};
use crate::model::{BreakerMode, BreakerPolicy, Timestamp, format_duration_ms};

impl Circuit {
    /// The mode in force under these rules: what an operator set holds until an operator takes it back.
    pub(super) fn mode_under(&self, policy: &BreakerPolicy) -> BreakerMode {
        self.by_hand.unwrap_or(policy.mode)
    }

    /// Applies an operator's act. Returns whether it changed anything.
    pub(super) fn operate(
        &mut self,
        now: Timestamp,
        act: OperatorAct,
        who: &str,
        out: &mut Vec<Change>,
    ) -> bool {
        match act {
            OperatorAct::Reset => self.reset(now, who, out),
            OperatorAct::ForceOpen { ttl_ms } => self.force_open(now, ttl_ms, who, out),
            OperatorAct::EndForcedOpen => return self.end_forced_open(now, who, out),
            OperatorAct::Disable => return self.set_by_hand(now, BreakerMode::Disabled, who, out),
            OperatorAct::MetricsOnly => return self.set_by_hand(now, BreakerMode::MetricsOnly, who, out),
            OperatorAct::Auto => {
                let had = self.by_hand.take().is_some();
                if self.end_forced_open(now, who, out) {
                    return true;
                }
                let why = format!("left to its rules {who}");
                return self.follow_mode(now, why, out) || had;
            }
        }
        true
    }

    /// Closes the scope at level 0, or enters the state that the mode of its rules asks for.
    fn reset(&mut self, now: Timestamp, who: &str, out: &mut Vec<Change>) {
        let from = self.state.kind();
        self.level = 0;
        self.by_hand = None;
        self.begin_epoch();
        self.state = State::of_mode(self.policy.mode);
        if self.state == State::Closed {
            self.begin_ramp(now);
        }
        self.note(now, from, format!("reset {who}"), out);
    }

    fn force_open(&mut self, now: Timestamp, ttl_ms: Option<u64>, who: &str, out: &mut Vec<Change>) {
        let from = self.state.kind();
        self.by_hand = None;
        self.begin_epoch();
        self.state = State::ForcedOpen { until: ttl_ms.map(|ttl| now.plus(ttl)) };
        let how_long = ttl_ms.map_or_else(
            || "until somebody ends it".to_owned(),
            |ttl| format!("for {}", format_duration_ms(ttl)),
        );
        self.note(now, from, format!("forced open {who}, {how_long}"), out);
    }

    /// Ends a forced open. Returns whether there was one.
    fn end_forced_open(&mut self, now: Timestamp, who: &str, out: &mut Vec<Change>) -> bool {
        let forced = matches!(self.state, State::ForcedOpen { .. });
        if forced {
            self.leave_forced_open(now, format!("forced open was ended {who}"), out);
        }
        forced
    }

    /// Goes to half-open, never straight to closed; or to the state that the mode of its rules asks for.
    pub(super) fn leave_forced_open(&mut self, at: Timestamp, why: String, out: &mut Vec<Change>) {
        match self.policy.mode {
            BreakerMode::Auto => {
                self.become_half_open(at, format!("{why}; probes are let through"), out);
            }
            mode @ (BreakerMode::Disabled | BreakerMode::MetricsOnly) => self.enter(at, mode, why, out),
        }
    }

    /// Sets the mode by hand. Returns whether that changes anything.
    fn set_by_hand(&mut self, now: Timestamp, mode: BreakerMode, who: &str, out: &mut Vec<Change>) -> bool {
        if self.by_hand == Some(mode) {
            return false;
        }
        self.by_hand = Some(mode);
        let why = match mode {
            BreakerMode::Disabled => format!("switched off {who}; everybody is let through"),
            BreakerMode::Auto | BreakerMode::MetricsOnly => {
                format!("only watches from now on, {who}; everybody is let through")
            }
        };
        self.enter(now, mode, why, out);
        true
    }

    /// Goes to the state that the mode in force asks for. Returns whether the state changed. A forced open stays,
    /// because the operator's act came later.
    pub(super) fn follow_mode(&mut self, now: Timestamp, why: String, out: &mut Vec<Change>) -> bool {
        let mode = self.mode_under(&self.policy);
        let there = match (mode, &self.state) {
            (_, State::ForcedOpen { .. })
            | (BreakerMode::Auto, State::Closed | State::Open { .. } | State::HalfOpen { .. })
            | (BreakerMode::Disabled, State::Disabled)
            | (BreakerMode::MetricsOnly, State::MetricsOnly) => true,
            (BreakerMode::Auto, State::Disabled | State::MetricsOnly)
            | (BreakerMode::Disabled | BreakerMode::MetricsOnly, _) => false,
        };
        if !there {
            self.enter(now, mode, why, out);
        }
        !there
    }

    /// Enters a mode with empty counters; the level is kept.
    fn enter(&mut self, at: Timestamp, mode: BreakerMode, why: String, out: &mut Vec<Change>) {
        let from = self.state.kind();
        self.forget_failures();
        self.ramp = None;
        self.state = State::of_mode(mode);
        self.note(at, from, why, out);
    }

    /// Begins another epoch: reports of runs that started before do not count any more.
    pub(super) fn begin_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.ramp = None;
        self.expired.clear();
        self.out = 0;
        self.forget_failures();
    }

    pub(super) fn forget_failures(&mut self) {
        self.row = Row::default();
        (self.window, self.starts) = (Window::default(), Window::default());
        self.recent.clear();
    }
}
