//! The clerk of a room that answers questions: its mailbox and its one alarm.
//!
//! Retry and the Breaker are such rooms. A question is written in three places: a variant of the room's `Ask`, the arm of
//! [`Rules::answer`] that answers it, both in the room's `ask.rs`, and where it is put. Whoever has the rules without an
//! actor, such as the simulator, calls [`Rules::answer`] itself.
//!
//! # Promises
//! - Questions are answered in the order in which they were put.
//! - [`Due`] is said once, at the deadline, and not again until [`TakeDue`] was answered and something else is due.
//!
//! # Rejected
//! - *A message for each question.* One question then stood in seven to nine places: its struct, its handler, the way to
//!   it, an effect, an input for its answer, the arm that sends it, and an arm in every engine that has no actors.
//! - *A macro for these.* No definition can be found by its name.

use crate::{
    clock,
    model::{ClockReading, Timestamp},
};
use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, MessageResult, Recipient, SpawnHandle};
use std::{fmt::Debug, marker::PhantomData};

/// A rule book that answers questions and has at most one deadline.
pub trait Rules: Debug + Sized + Unpin + 'static {
    /// What can be asked.
    type Ask: Debug + Send + 'static;
    /// What is answered. Each answer names what it is about.
    type Answer: Debug + Send + 'static;
    /// What time brings.
    type Due: Debug + Send + 'static;
    /// The room's name, for people.
    const ROOM: &'static str;

    /// Answers a question.
    fn answer(&mut self, now: Timestamp, ask: Self::Ask) -> Self::Answer;

    /// When something is due next; `None` when nothing will be.
    fn next_deadline(&self) -> Option<Timestamp>;

    /// Takes what is due now.
    fn take_due(&mut self, now: Timestamp) -> Self::Due;

    /// Whether whoever took this asks at once whether more is due.
    fn is_asked_again(due: &Self::Due) -> bool;

    /// Hears, before each question, what the clocks say that outlive a process. Rules that save no such time ignore it.
    fn set_clock(&mut self, _now: Timestamp, _reading: ClockReading) {}
}

/// A room of the supervisor gives no answer, because it has ended: a fault of ours, whose cause the log has. Whoever starts a
/// supervisor on this store again finds all as it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the {room} gives no answer: it has ended, and only the next supervisor will have one again")]
pub struct NoAnswer {
    /// Its name.
    pub room: &'static str,
}

/// A question to a room, and when it is asked.
#[derive(Debug)]
pub struct Asked<R: Rules> {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    /// What.
    pub ask: R::Ask,
}

impl<R: Rules> Message for Asked<R> {
    type Result = R::Answer;
}

/// Something is due: ask by [`TakeDue`] what it is.
#[derive(Debug)]
pub struct Due<R: Rules>(PhantomData<fn() -> R>);

impl<R: Rules> Due<R> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R: Rules> Message for Due<R> {
    type Result = ();
}

/// Takes what is due at this time.
#[derive(Debug)]
pub struct TakeDue<R: Rules> {
    /// When, by the Manager's clock.
    pub at: Timestamp,
    room: PhantomData<fn() -> R>,
}

impl<R: Rules> Message for TakeDue<R> {
    type Result = R::Due;
}

/// The way into a room: a recorder can stand behind it in place of the room.
#[derive(Debug)]
pub struct Door<R: Rules> {
    ask: Recipient<Asked<R>>,
    take_due: Recipient<TakeDue<R>>,
}

impl<R: Rules> Clone for Door<R> {
    fn clone(&self) -> Self {
        Self { ask: self.ask.clone(), take_due: self.take_due.clone() }
    }
}

impl<R: Rules> Door<R> {
    /// The way to whatever answers as the room does.
    pub fn new<A>(to: &Addr<A>) -> Self
    where
        A: Actor<Context = Context<A>> + Handler<Asked<R>> + Handler<TakeDue<R>>,
    {
        Self { ask: to.clone().recipient(), take_due: to.clone().recipient() }
    }

    /// Puts a question.
    ///
    /// # Errors
    /// The answer is [`NoAnswer`] when the room has ended.
    pub fn ask(
        &self,
        at: Timestamp,
        ask: R::Ask,
    ) -> impl Future<Output = Result<R::Answer, NoAnswer>> + use<R> {
        let answer = self.ask.send(Asked { at, ask });
        async { answer.await.map_err(|_| NoAnswer { room: R::ROOM }) }
    }

    /// Takes what is due.
    ///
    /// # Errors
    /// As [`Door::ask`].
    pub fn take_due(&self, at: Timestamp) -> impl Future<Output = Result<R::Due, NoAnswer>> + use<R> {
        let due = self.take_due.send(TakeDue { at, room: PhantomData });
        async { due.await.map_err(|_| NoAnswer { room: R::ROOM }) }
    }
}

/// The actor around a rule book.
#[derive(Debug)]
pub struct Clerk<R: Rules> {
    rules: R,
    manager: Recipient<Due<R>>,
    alarm: Option<(Timestamp, SpawnHandle)>,
    /// Whether the Manager was told that something is due, and has not taken the last of it yet.
    due_sent: bool,
}

impl<R: Rules> Clerk<R> {
    /// A clerk of these rules, who tells `manager` when something is due.
    #[must_use]
    pub const fn new(rules: R, manager: Recipient<Due<R>>) -> Self {
        Self { rules, manager, alarm: None, due_sent: false }
    }

    /// Sets the alarm to what is due next. Called after every question, which may move it.
    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let next = self.rules.next_deadline();
        if self.due_sent || self.alarm.map(|(at, _)| at) == next {
            return;
        }
        if let Some((_, stale)) = self.alarm.take() {
            ctx.cancel_future(stale);
        }
        self.alarm = next.map(|at| {
            let handle = ctx.run_later(clock::until(at), |clerk, _| {
                (clerk.alarm, clerk.due_sent) = (None, true);
                clerk.manager.do_send(Due::new());
            });
            (at, handle)
        });
    }
}

impl<R: Rules> Actor for Clerk<R> {
    type Context = Context<Self>;
}

impl<R: Rules> Handler<Asked<R>> for Clerk<R> {
    type Result = MessageResult<Asked<R>>;

    fn handle(&mut self, Asked { at, ask }: Asked<R>, ctx: &mut Context<Self>) -> Self::Result {
        self.rules.set_clock(at, clock::reading());
        let answer = self.rules.answer(at, ask);
        self.rearm(ctx);
        MessageResult(answer)
    }
}

impl<R: Rules> Handler<TakeDue<R>> for Clerk<R> {
    type Result = MessageResult<TakeDue<R>>;

    fn handle(&mut self, TakeDue { at, .. }: TakeDue<R>, ctx: &mut Context<Self>) -> Self::Result {
        self.rules.set_clock(at, clock::reading());
        let due = self.rules.take_due(at);
        self.due_sent = R::is_asked_again(&due);
        self.rearm(ctx);
        MessageResult(due)
    }
}
