//! What the machine asks of the world, and what the world tells it.

use crate::{
    breaker, launcher,
    model::{AttemptId, JournalRecord, Put, RunId, Timestamp},
    monitor, retry,
};

/// One thing to do. The clerk carries effects out in order; those after a [`Effect::Commit`] wait until it is written.
#[derive(Debug)]
pub enum Effect {
    /// Write this down. All that one decision changes is one of these.
    Commit {
        /// Consecutive journal records.
        records: Vec<JournalRecord>,
        /// State that changed with them.
        puts: Vec<Put>,
    },
    /// Ask Retry; the answer is [`Input::Retry`]. No act, because what one step tells Retry must arrive in its order.
    AskRetry(retry::Ask),
    /// Ask the breakers; the answer is [`Input::Breaker`].
    AskBreaker(breaker::Ask),
    /// Ask what kind of end it was; the answer is [`Input::Drained`].
    Drain(monitor::Drain),
    /// Ask when it wrote last; the answer is [`Input::WroteLast`].
    AskLastOutput(AttemptId),
    /// An act of the Launcher.
    Launch(launcher::Launch),
    /// An act of the Launcher.
    StopTree(launcher::Stop),
    /// An act of the Launcher.
    Signal(launcher::Signal),
    /// An act of the Launcher.
    Acknowledge(AttemptId),
    /// An act of the Launcher.
    ForgetSecrets(RunId),
    /// Tell the Monitor to take in an attempt's output; no answer. No act: its start is written, and a
    /// [`Effect::Drain`] must not overtake it.
    Watch(monitor::Watch),
    /// Tell the Monitor that output is missing; no answer. No act: it is told after the attempt's [`Effect::Watch`], and before
    /// it is closed.
    Lose(monitor::Lose),
    /// An act of the Monitor.
    Close(monitor::Close),
    /// The run is over: tell those who wait.
    Ended(RunId),
}

impl Effect {
    /// Its place among the effects of one step. What the Monitor is to watch comes first, because it may be closed in the
    /// same step; then what was decided, and its acts; questions last.
    pub(super) const fn turn(&self) -> u8 {
        match self {
            Self::Watch(_) => 0,
            Self::Commit { .. } => 1,
            _ if self.is_act() => 1,
            _ => 2,
        }
    }

    /// Whether it changes the world, and so must not overtake a decision that is still being written. Questions may:
    /// their answers are decided upon, and written, later.
    pub(in crate::manager) const fn is_act(&self) -> bool {
        match self {
            Self::Launch(_)
            | Self::StopTree(_)
            | Self::Signal(_)
            | Self::Acknowledge(_)
            | Self::ForgetSecrets(_)
            | Self::Close(_)
            | Self::Ended(_) => true,
            Self::Commit { .. }
            | Self::AskRetry(_)
            | Self::AskBreaker(_)
            | Self::Watch(_)
            | Self::Lose(_)
            | Self::Drain(_)
            | Self::AskLastOutput(_) => false,
        }
    }
}

/// One thing that happened. Answers carry whom they are about, so that a late one is recognised.
#[derive(Debug)]
pub enum Input {
    /// To [`Effect::AskRetry`].
    Retry(retry::Answer),
    /// To [`Effect::AskBreaker`].
    Breaker(breaker::Answer),
    /// To [`Effect::Drain`].
    Drained {
        /// The attempt.
        attempt: AttemptId,
        /// The answer.
        drained: monitor::Drained,
    },
    /// To [`Effect::AskLastOutput`].
    WroteLast {
        /// The attempt.
        attempt: AttemptId,
        /// When; `None` when it is not watched.
        at: Option<Timestamp>,
    },
    /// The Launcher's word.
    Launcher(launcher::Report),
    /// The Monitor's word.
    Monitor(monitor::Report),
    /// A run's delay is over, or it has the tokens that it waited for.
    Due(RunId),
    /// A penalty or a lease is over, and this changed.
    BreakerDue(breaker::Changes),
    /// The store had something to say of itself, which is written down.
    StoreSaid(crate::model::Event),
    /// Time passed; timers that are due fire. Every input does this first.
    Tick,
}
