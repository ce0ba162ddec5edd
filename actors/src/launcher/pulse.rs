//! Whether the keeper answers.
//!
//! A keeper that is stopped (SIGSTOP, a frozen cgroup, a debugger) is alive for the kernel, and its socket takes what is
//! sent. So whoever asks it for something waits for its word: any word will do. When all is quiet it is asked for one twice
//! a minute while there are children: somebody whose output fills its pipe waits for the keeper without our knowing.
//!
//! While we live, a silent keeper is told of and left alone: it may go on, and nobody loses anything. When we end there is
//! nobody who could wait for it, so it is killed then.

use super::{
    actor::{KeeperState, LauncherActor},
    messages::Report,
};
use crate::{clock, keeper::protocol::Request, model::Timestamp};
use actix::{AsyncContext, Context, SpawnHandle};

/// The keeper is silent when it has said nothing for so long after it was asked. It answers within a millisecond, and within
/// a second when thousands of processes want the same processor.
const ANSWER_MS: u64 = 5_000;

/// Before it is called silent it gets so much more: should we have been stopped ourselves, its answer is there and unread.
const DOUBT_MS: u64 = 1_000;

/// How long after its last word it is asked whether it is there.
const QUIET_MS: u64 = 30_000;

/// See the module.
#[derive(Default)]
pub(super) struct Pulse {
    /// When it was asked for something, if it has said nothing since.
    asked_at: Option<Timestamp>,
    /// It has said something since the last look.
    heard: bool,
    doubted: bool,
    silent: bool,
    killed: bool,
    alarm: Option<(Timestamp, SpawnHandle)>,
}

impl LauncherActor {
    /// The keeper was asked for something that it answers at once.
    pub(super) fn expect_answer(&mut self, ctx: &mut Context<Self>) {
        if self.pulse.asked_at.is_none() {
            let now = clock::now();
            self.pulse.asked_at = Some(now);
            self.look_at_pulse_by(now.plus(ANSWER_MS), ctx);
        }
    }

    /// The keeper said something.
    pub(super) fn keeper_lives(&mut self) {
        self.pulse.heard = true;
        self.pulse.asked_at = None;
        self.pulse.doubted = false;
        if std::mem::take(&mut self.pulse.silent) {
            log::info!("keeper answers again");
            self.report(Report::KeeperAnswers);
        }
    }

    /// There is none, or another one. Whether we killed the one that was.
    pub(super) fn forget_pulse(&mut self, ctx: &mut Context<Self>) -> bool {
        let Pulse { alarm, killed, .. } = std::mem::take(&mut self.pulse);
        if let Some((_, alarm)) = alarm {
            ctx.cancel_future(alarm);
        }
        killed
    }

    /// The supervisor ends: nobody waits for a keeper that does not answer.
    pub(super) fn end_with_keeper(&mut self, ctx: &mut Context<Self>) {
        self.ending = true;
        if self.pulse.silent {
            self.kill_keeper();
        } else if self.ask_keeper(&Request::Ping) {
            self.expect_answer(ctx);
        }
    }

    fn kill_keeper(&mut self) {
        if let KeeperState::Up { link, .. } = &self.keeper
            && link.kill()
        {
            log::error!("keeper killed, it does not answer and the supervisor ends");
            self.pulse.killed = true;
        }
    }

    fn look_at_pulse_by(&mut self, at: Timestamp, ctx: &mut Context<Self>) {
        if let Some((set, alarm)) = self.pulse.alarm.take() {
            if set <= at {
                self.pulse.alarm = Some((set, alarm));
                return;
            }
            ctx.cancel_future(alarm);
        }
        let alarm = ctx.run_later(clock::until(at), |launcher, ctx| {
            launcher.pulse.alarm = None;
            launcher.look_at_pulse(ctx);
        });
        self.pulse.alarm = Some((at, alarm));
    }

    fn look_at_pulse(&mut self, ctx: &mut Context<Self>) {
        let now = clock::now();
        match self.pulse.asked_at {
            // Its next word ends it.
            Some(_) if self.pulse.silent => {}
            Some(asked) if asked.plus(ANSWER_MS) > now => self.look_at_pulse_by(asked.plus(ANSWER_MS), ctx),
            Some(_) if !std::mem::replace(&mut self.pulse.doubted, true) => {
                self.look_at_pulse_by(now.plus(DOUBT_MS), ctx);
            }
            Some(since) => {
                self.pulse.silent = true;
                log::error!("keeper does not answer; pid={}", self.keeper_pid().unwrap_or(0));
                self.report(Report::KeeperSilent { since });
                if self.ending {
                    self.kill_keeper();
                }
            }
            None if !self.has_living() => {}
            None if std::mem::take(&mut self.pulse.heard) => self.look_at_pulse_by(now.plus(QUIET_MS), ctx),
            None => {
                if self.ask_keeper(&Request::Ping) {
                    self.expect_answer(ctx);
                }
            }
        }
    }
}
