//! What the machine asks of the world, and what the world tells it.

use crate::{
    breaker, launcher,
    model::{AttemptId, JournalRecord, Put, RetryBudget, RunId, Timestamp},
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
    /// Ask the breakers; the answer is [`Input::Admitted`].
    Admit(breaker::Admit),
    /// Ask for the parameters of the next attempt; the answer is [`Input::Prepared`].
    Prepare(retry::Prepare),
    /// Tell the breakers how it went; the answer is [`Input::Settled`].
    Settle(breaker::Settle),
    /// Ask what an end means; the answer is [`Input::Judged`].
    Judge(Box<retry::Ended>),
    /// Ask what kind of end it was; the answer is [`Input::Drained`].
    Drain(monitor::Drain),
    /// Ask until when a run that is held back may wait; the answer is [`Input::FailsUntil`].
    AskDeadline(retry::GetDeadline),
    /// Ask when it wrote last; the answer is [`Input::WroteLast`].
    AskLastOutput(AttemptId),
    /// Tell Retry that a daemon is healthy; the answer is [`Input::Changed`].
    Healthy(retry::Healthy),
    /// Ask Retry to adjust parameters for errors of a living attempt; the answer is [`Input::Changed`].
    Adjust(retry::AdjustInline),
    /// Ask whether the retry budget has tokens for a start; the answer is [`Input::Reserved`].
    Reserve(retry::Reserve),
    /// Tell Retry that a start was made whose tokens are set aside; the answer is [`Input::Saved`].
    Pay(RunId),
    /// Tell Retry that a first start was made; the answer is [`Input::Saved`].
    Deposit(retry::Deposit),
    /// Tell Retry that the rules of a run's program changed; the answer is [`Input::Saved`].
    Forgive(RunId),
    /// Tell Retry that a start is not made now; no answer. No act, because it must not arrive after a later [`Effect::Reserve`].
    Release(RunId),
    /// Tell Retry which budget there is; no answer. No act, because it must arrive before anything is asked of it.
    SetBudget(Option<RetryBudget>),
    /// Tell Retry that somebody starts a waiting run now; the answer is [`Input::Saved`].
    Overrule(RunId),
    /// Tell Retry to forget a run's counters; the answer is [`Input::Saved`].
    Forget(RunId),
    /// Tell Retry when a run is due; no answer.
    Schedule(retry::Schedule),
    /// Tell Retry that a run is not due; no answer.
    Cancel(RunId),
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
            | Self::Admit(_)
            | Self::Prepare(_)
            | Self::Settle(_)
            | Self::Judge(_)
            | Self::Watch(_)
            | Self::Lose(_)
            | Self::Drain(_)
            | Self::AskDeadline(_)
            | Self::AskLastOutput(_)
            | Self::Healthy(_)
            | Self::Adjust(_)
            | Self::Reserve(_)
            | Self::Pay(_)
            | Self::Deposit(_)
            | Self::Forgive(_)
            | Self::Release(_)
            | Self::SetBudget(_)
            | Self::Schedule(_)
            | Self::Cancel(_)
            | Self::Overrule(_)
            | Self::Forget(_) => false,
        }
    }
}

/// One thing that happened. Answers carry whom they are about, so that a late one is recognised.
#[derive(Debug)]
pub enum Input {
    /// To [`Effect::Admit`].
    Admitted {
        /// The run that asked.
        run: RunId,
        /// Whether it only looked, and took nothing.
        peek: bool,
        /// The answer.
        admission: breaker::Admission,
    },
    /// To [`Effect::Prepare`].
    Prepared {
        /// The run.
        run: RunId,
        /// The answer.
        prepared: retry::Prepared,
    },
    /// To [`Effect::Settle`].
    Settled {
        /// The run.
        run: RunId,
        /// Whether the attempt lives on.
        keep: bool,
        /// What changed.
        changes: breaker::Changes,
    },
    /// To [`Effect::Judge`].
    Judged {
        /// The run.
        run: RunId,
        /// The answer.
        verdict: retry::Verdict,
    },
    /// To [`Effect::Drain`].
    Drained {
        /// The attempt.
        attempt: AttemptId,
        /// The answer.
        drained: monitor::Drained,
    },
    /// To [`Effect::AskDeadline`].
    FailsUntil {
        /// The run.
        run: RunId,
        /// When its `max_failing` is over; nothing when it is not failing.
        at: Option<Timestamp>,
    },
    /// To [`Effect::AskLastOutput`].
    WroteLast {
        /// The attempt.
        attempt: AttemptId,
        /// When; nothing when it is not watched.
        at: Option<Timestamp>,
    },
    /// To [`Effect::Forget`], [`Effect::Overrule`], [`Effect::Pay`] and [`Effect::Deposit`]: state to save.
    Saved(Vec<Put>),
    /// To [`Effect::Healthy`] and [`Effect::Adjust`].
    Changed {
        /// The run.
        run: RunId,
        /// The answer.
        change: retry::Change,
    },
    /// To [`Effect::Reserve`].
    Reserved {
        /// The run that asked.
        run: RunId,
        /// The answer.
        leave: retry::Leave,
    },
    /// The Launcher's word.
    Launcher(launcher::Report),
    /// The Monitor's word.
    Monitor(monitor::Report),
    /// A run's delay is over, or it has the tokens that it waited for.
    Due(RunId),
    /// The Breaker's word.
    Breaker(breaker::Changes),
    /// The store had something to say of itself, which is written down.
    StoreSaid(crate::model::Event),
    /// Time passed; timers that are due fire. Every input does this first.
    Tick,
}
