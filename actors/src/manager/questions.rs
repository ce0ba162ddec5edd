//! Questions to the other rooms.
//!
//! Retry and the Breaker share this thread and answer in about a microsecond. Until they have, nothing else is heard:
//! one thing from outside is decided to its end before the next, as the simulator does it, so that a recording of what
//! came is enough to decide everything again. The Monitor and the Launcher take their time, on other threads: what they
//! say comes from outside.

use super::{
    ManagerActor,
    machine::{Effect, Input},
};
use crate::{clerk::NoAnswer, monitor};
use actix::{ActorFutureExt, AsyncContext, Context, Handler, MailboxError, Message, fut::wrap_future};

/// An answer of a room on another thread, or our own alarm.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Heard(pub(super) Input);

impl ManagerActor {
    pub(super) fn ask(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::AskRetry(ask) => self.question(self.rooms.retry.ask(self.at, ask), ctx, Input::Retry),
            Effect::AskBreaker(ask) => {
                self.question(self.rooms.breaker.ask(self.at, ask), ctx, Input::Breaker);
            }
            Effect::Watch(watch) => self.rooms.monitor.watch.do_send(watch),
            Effect::Lose(lose) => self.rooms.monitor.lose.do_send(lose),
            Effect::Drain(drain) => {
                let attempt = drain.attempt;
                let answer = self.rooms.monitor.drain.send(drain);
                // Without an answer the exit status is what is known of the end.
                ask_monitor(answer, ctx, move |drained| Input::Drained {
                    attempt,
                    drained: drained.unwrap_or_else(monitor::Drained::unread),
                });
            }
            Effect::AskLastOutput(attempt) => {
                let answer = self.rooms.monitor.last_output.send(monitor::LastOutput { attempt });
                ask_monitor(answer, ctx, move |at| Input::WroteLast { attempt, at: at.flatten() });
            }
            act => log::error!("an act was taken for a question; effect={act:?}"),
        }
    }

    /// Hears what Retry or the Breaker answers as an input.
    pub(super) fn question<T: 'static>(
        &mut self,
        answer: impl Answer<T>,
        ctx: &mut Context<Self>,
        wrap: impl FnOnce(T) -> Input + 'static,
    ) {
        self.ask_then(answer, ctx, |manager, answer, ctx| {
            let effects = manager.machine.step(wrap(answer), manager.at);
            manager.carry_out(effects, ctx);
        });
    }

    /// Hears nothing else until Retry or the Breaker has answered.
    ///
    /// One that has ended answers nothing any more: the run stays where it is, and people are told ([`Self::room_ended`]).
    pub(super) fn ask_then<T: 'static>(
        &mut self,
        answer: impl Answer<T>,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, T, &mut Context<Self>) + 'static,
    ) {
        debug_assert!(!self.asking, "one question at a time");
        self.asking = true;
        let heard = wrap_future::<_, Self>(answer).map(|answer, manager, ctx| {
            manager.asking = false;
            match answer {
                Ok(answer) => then(manager, answer, ctx),
                Err(NoAnswer { room }) => manager.room_ended(room),
            }
            manager.go_on(ctx);
        });
        ctx.wait(heard);
    }

    /// A room has ended: by a panic, as nothing else ends one before the Manager. `status` and `/healthz` say so from now on.
    fn room_ended(&mut self, room: &'static str) {
        if self.ended_room.is_none() {
            self.ended_room = Some(room);
            log::error!("a room of the supervisor has ended, runs that wait for it stand still; room={room}");
        }
    }
}

/// The answer of a room, on its way.
pub(super) trait Answer<T>: Future<Output = Result<T, NoAnswer>> + 'static {}

impl<T, F: Future<Output = Result<T, NoAnswer>> + 'static> Answer<T> for F {}

/// The Monitor gave no answer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct MonitorEnded;

impl Handler<MonitorEnded> for ManagerActor {
    type Result = ();

    fn handle(&mut self, _: MonitorEnded, _: &mut Context<Self>) {
        self.room_ended("Monitor");
    }
}

/// What the Monitor answers comes from outside; `None` when it has ended.
fn ask_monitor<T: 'static>(
    answer: impl Future<Output = Result<T, MailboxError>> + 'static,
    ctx: &Context<ManagerActor>,
    wrap: impl FnOnce(Option<T>) -> Input + 'static,
) {
    let manager = ctx.address();
    actix_rt::spawn(async move {
        let answer = answer.await.ok();
        if answer.is_none() {
            manager.do_send(MonitorEnded);
        }
        manager.do_send(Heard(wrap(answer)));
    });
}
