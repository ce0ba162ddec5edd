//! Checks the keeper's pulse (`machine/pulse.rs`), and does what follows when it has none.
//!
//! While the supervisor lives, a silent keeper is reported and left alone: it may go on, and no output is lost. When
//! the supervisor ends, no process is left that could wait for the keeper, so it is killed then.

use super::{
    actor::{KeeperState, LauncherActor, Watch},
    machine::Look,
    messages::Report,
};
use crate::{clock, keeper::protocol::Request, model::Timestamp};
use actix::{AsyncContext, Context};

impl LauncherActor {
    /// The keeper was asked for something that it answers at once.
    pub(super) fn expect_answer(&mut self, ctx: &mut Context<Self>) {
        if let Some(at) = self.watch.pulse.asked(clock::now()) {
            self.look_at_pulse_by(at, ctx);
        }
    }

    /// The keeper reported something.
    pub(super) fn keeper_lives(&mut self) {
        if self.watch.pulse.heard() {
            log::info!("keeper answers again");
            self.report(Report::KeeperAnswers);
        }
    }

    /// There is no keeper, or another one: forgets the pulse. Returns whether the Launcher killed the one before.
    pub(super) fn forget_pulse(&mut self, ctx: &mut Context<Self>) -> bool {
        let Watch { alarm, killed, .. } = std::mem::take(&mut self.watch);
        if let Some((_, alarm)) = alarm {
            ctx.cancel_future(alarm);
        }
        killed
    }

    /// The supervisor ends, and waits no longer for a keeper that does not answer.
    pub(super) fn end_with_keeper(&mut self, ctx: &mut Context<Self>) {
        self.ending = true;
        if self.watch.pulse.is_silent() {
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
            self.watch.killed = true;
        }
    }

    fn look_at_pulse_by(&mut self, at: Timestamp, ctx: &mut Context<Self>) {
        if let Some((set, alarm)) = self.watch.alarm.take() {
            if set <= at {
                self.watch.alarm = Some((set, alarm));
                return;
            }
            ctx.cancel_future(alarm);
        }
        let alarm = ctx.run_later(clock::until(at), |launcher, ctx| {
            launcher.watch.alarm = None;
            launcher.look_at_pulse(ctx);
        });
        self.watch.alarm = Some((at, alarm));
    }

    fn look_at_pulse(&mut self, ctx: &mut Context<Self>) {
        let has_children = self.has_living();
        match self.watch.pulse.look(clock::now(), has_children) {
            Look::Nothing => {}
            Look::At(at) => self.look_at_pulse_by(at, ctx),
            Look::Ask => {
                if self.ask_keeper(&Request::Ping) {
                    self.expect_answer(ctx);
                }
            }
            Look::Silent(since) => {
                log::error!("keeper does not answer; pid={}", self.keeper_pid().unwrap_or(0));
                self.report(Report::KeeperSilent { since });
                if self.ending {
                    self.kill_keeper();
                }
            }
        }
    }
}
