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
use crate::monitor;
use actix::{ActorFutureExt, AsyncContext, Context, MailboxError, Message, fut::wrap_future};

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
                ask_outside(answer, ctx, move |drained| Input::Drained {
                    attempt,
                    drained: drained.unwrap_or_else(monitor::Drained::unread),
                });
            }
            Effect::AskLastOutput(attempt) => {
                let answer = self.rooms.monitor.last_output.send(monitor::LastOutput { attempt });
                ask_outside(answer, ctx, move |at| Input::WroteLast { attempt, at: at.flatten() });
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
                Err(error) => log::error!("a room does not answer; error={error}"),
            }
            manager.go_on(ctx);
        });
        ctx.wait(heard);
    }
}

/// The answer to a message, on its way.
pub(super) trait Answer<T>: Future<Output = Result<T, MailboxError>> + 'static {}

impl<T, F: Future<Output = Result<T, MailboxError>> + 'static> Answer<T> for F {}

/// What a room on another thread answers comes from outside; `None` when it has ended.
fn ask_outside<T: 'static>(
    answer: impl Answer<T>,
    ctx: &Context<ManagerActor>,
    wrap: impl FnOnce(Option<T>) -> Input + 'static,
) {
    let manager = ctx.address();
    actix_rt::spawn(async move {
        let answer = answer.await;
        if let Err(error) = &answer {
            log::error!("a room does not answer; error={error}");
        }
        manager.do_send(Heard(wrap(answer.ok())));
    });
}
