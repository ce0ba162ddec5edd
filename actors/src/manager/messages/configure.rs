//! What a configuration tells the Manager: the programs, the rules of shared scopes, the tokens of retries.

use crate::model::{BreakerPolicy, Program, RetryBudget, RunId};
use actix::Message;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// These are the programs and the rules of shared scopes from now on. The programs are checked already.
///
/// Living processes are not touched: the next attempt of a run uses the new definition. Of a removed program what lives goes
/// on to its end, and nothing more is started.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Configured")]
pub struct Configure {
    /// All programs; those that are missing are removed.
    pub programs: Vec<Program>,
    /// Rules of shared scopes: exact name, else the longest literal prefix before `*`.
    pub shared_breakers: Vec<(String, Arc<BreakerPolicy>)>,
    /// What retries of all programs share from now on, as a part of the same decision; `None`: as before.
    pub retry_budget: Option<SetRetryBudget>,
}

impl Configure {
    /// These programs, and these rules of shared scopes. The retry budget stays as it is.
    #[must_use]
    pub fn new(programs: Vec<Program>, shared: impl IntoIterator<Item = (String, BreakerPolicy)>) -> Self {
        let shared = shared.into_iter().map(|(pattern, rules)| (pattern, Arc::new(rules)));
        Self { programs, shared_breakers: shared.collect(), retry_budget: None }
    }

    /// Sets the retry budget, too; `None`: there is none from now on.
    #[must_use]
    pub const fn retry_budget(mut self, budget: Option<RetryBudget>) -> Self {
        self.retry_budget = Some(SetRetryBudget { budget });
        self
    }
}

/// Sets the tokens that retries of all programs share from now on. The rules are checked already.
///
/// The first [`Configure`] takes up what the last manager left: a budget belongs into it, or is set before it.
#[derive(Clone, Copy, Debug, Deserialize, Message, Serialize)]
#[rtype(result = "()")]
pub struct SetRetryBudget {
    /// The rules; `None`: no budget.
    pub budget: Option<RetryBudget>,
}

/// What [`Configure`] changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Configured {
    /// Names that are new.
    pub added: Vec<String>,
    /// Names whose definition differs.
    pub changed: Vec<String>,
    /// Names that are gone.
    pub removed: Vec<String>,
    /// Runs that still live of programs that are gone, by name. Each ends by itself, or when somebody stops it, and is not
    /// started again; those that only waited are over.
    pub living: BTreeMap<String, Vec<RunId>>,
}

/// Start the programs with `autostart` that have no living run and that no operator stopped. Sent once, after [`Configure`].
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Autostart;
