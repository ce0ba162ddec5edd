//! The tokens that all programs' retries share, so that an outage of everything is not answered by retries of everything.

use super::permille;
use crate::model::Problem;
use serde::{Deserialize, Serialize};

/// What becomes of a retry that finds too few tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnEmpty {
    /// The retry waits for them: no caller waits for its answer, so late is better than never.
    #[default]
    Wait,
    /// The run gives up.
    GiveUp,
}

/// The tokens that retries of all programs, or of all runs in one scope, share, in thousandths of a token.
///
/// A retry takes what its class costs (`cost`, one token unless the class says otherwise) and waits while there is
/// less. First starts bring tokens, and time does; starts that an operator asks for are free.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RetryBudget {
    /// The most tokens, with which a new budget begins, in thousandths. Tokens beyond it are lost. Default 20,000.
    pub capacity_permille: u32,
    /// The tokens that a first start brings, in thousandths. Default 200.
    pub deposit_permille: u32,
    /// The tokens that a minute brings, in thousandths. Default 2,000.
    pub refill_per_minute_permille: u32,
    /// What becomes of a retry that finds too few tokens. Default wait.
    #[serde(default)]
    pub on_empty: OnEmpty,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            capacity_permille: 20_000,
            deposit_permille: 200,
            refill_per_minute_permille: 2_000,
            on_empty: OnEmpty::Wait,
        }
    }
}

/// The most tokens of any kind, in thousandths: a million tokens, far beyond what one machine starts in an hour, and
/// small enough that no sum of them overflows.
const MOST_PERMILLE: u32 = 1_000_000_000;

impl RetryBudget {
    /// Creates a budget of this many tokens, with at most three decimals; deposit and refill have their defaults.
    #[must_use]
    pub fn tokens(capacity: f64) -> Self {
        Self { capacity_permille: permille(capacity), ..Self::default() }
    }

    /// Sets the tokens that a first start brings. Default 0.2: one retry for five starts.
    #[must_use]
    pub fn deposit(mut self, tokens: f64) -> Self {
        self.deposit_permille = permille(tokens);
        self
    }

    /// Tokens that a minute brings. Default 2.0.
    #[must_use]
    pub fn refill_per_minute(mut self, tokens: f64) -> Self {
        self.refill_per_minute_permille = permille(tokens);
        self
    }

    /// Makes a retry that finds too few tokens give up, instead of waiting for them.
    #[must_use]
    pub const fn give_up_when_empty(mut self) -> Self {
        self.on_empty = OnEmpty::GiveUp;
        self
    }

    /// Returns every contradiction, with paths below `retry_budget`.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for (path, tokens) in [
            ("capacity", self.capacity_permille),
            ("deposit", self.deposit_permille),
            ("refill_per_minute", self.refill_per_minute_permille),
        ] {
            if tokens > MOST_PERMILLE {
                let message =
                    format!("`{path}` must be between 0 and 1000000 tokens with at most three decimals");
                found.push(Problem::new("config.range", path, message, "write for example 20.0"));
            }
        }
        if self.capacity_permille < 1_000 {
            let message = "`capacity` is less than one token: no retry could ever be paid";
            found.push(Problem::new(
                "config.range",
                "capacity",
                message,
                "write for example capacity = 20.0",
            ));
        }
        if self.deposit_permille == 0 && self.refill_per_minute_permille == 0 {
            let message = "`deposit` and `refill_per_minute` are both 0: the budget would never fill again";
            let problem = Problem::new("config.conflict", "deposit", message, "set one of them");
            found.push(problem.against("refill_per_minute"));
        }
        found
    }

    /// What is wrong with the costs of these classes, if this budget pays for them; with paths below the program.
    pub fn check_costs<'a>(
        &self,
        classes: impl IntoIterator<Item = (&'a String, Option<u32>)>,
    ) -> Vec<Problem> {
        let mut found = Vec::new();
        for (name, cost) in classes {
            if let Some(cost) = cost.filter(|cost| *cost > self.capacity_permille) {
                let (cost, capacity) = (tokens(cost), tokens(self.capacity_permille));
                let message = format!(
                    "`cost` of {name} is {cost} tokens, and `capacity` of [retry_budget] is {capacity}: no retry could ever be paid"
                );
                let help = format!("write a cost of {capacity} or less, or a larger capacity");
                found.push(Problem::new("config.conflict", format!("classes.{name}.cost"), message, help));
            }
        }
        found
    }
}

/// Thousandths of a token as they would be written: `1`, `0.2`, `0.125`.
#[must_use]
pub fn tokens(permille: u32) -> String {
    let (whole, rest) = (permille / 1_000, permille % 1_000);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:03}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_as_they_are_written() {
        for (permille, text) in [(0, "0"), (200, "0.2"), (125, "0.125"), (1_000, "1"), (20_500, "20.5")] {
            assert_eq!(tokens(permille), text);
        }
    }

    #[test]
    fn a_budget_that_could_pay_nothing_is_refused() {
        assert_eq!(RetryBudget::default().check(), []);
        let codes = |budget: RetryBudget| -> Vec<_> {
            budget.check().into_iter().map(|problem| (problem.code, problem.path)).collect()
        };
        assert_eq!(codes(RetryBudget::tokens(0.5)), [("config.range".into(), "capacity".into())]);
        assert_eq!(codes(RetryBudget::tokens(f64::NAN)), [("config.range".into(), "capacity".into())]);
        let never = RetryBudget::default().deposit(0.0).refill_per_minute(0.0);
        assert_eq!(codes(never), [("config.conflict".into(), "deposit".into())]);
    }

    #[test]
    fn a_class_that_costs_more_than_the_bucket_holds_is_refused() {
        let name = "blocked".to_owned();
        let found = RetryBudget::tokens(1.5).check_costs([(&name, Some(2_000))]);
        assert_eq!(found[0].path, "classes.blocked.cost");
        assert!(found[0].message.contains("is 2 tokens"), "{}", found[0].message);
        assert_eq!(RetryBudget::tokens(2.0).check_costs([(&name, Some(2_000)), (&name, None)]), []);
    }
}
