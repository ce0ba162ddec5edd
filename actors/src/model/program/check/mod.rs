//! What is wrong with a program as a whole.

mod args;
mod classes;
mod command;
mod numbers;
mod output;
mod params;
mod patterns;
mod places;
mod value;

pub use self::value::{HIGHEST_PRIORITY, REGEX_SIZE_LIMIT, is_priority};
pub(super) use self::{args::Word, value::check_regex};

use crate::model::{Problem, Program, ScopeKind};

impl Program {
    /// Everything that is wrong with it, with paths in the names of the configuration file; empty when it can be
    /// used. Reads no file: whether script and folders exist is seen at the start.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut found = self.rejected.clone();
        self.check_name(&mut found);
        self.check_command(&mut found);
        self.check_environment(&mut found);
        self.check_numbers(&mut found);
        self.check_scopes(&mut found);
        self.check_params(&mut found);
        self.check_ready(&mut found);
        self.check_classify(&mut found);
        self.check_classes(&mut found);
        self.check_costs(&mut found);
        self.check_output(&mut found);
        found.extend(self.retry.check().into_iter().map(|problem| problem.below("retry")));
        if let Some(breaker) = &self.breaker {
            let trips = self.some_class_trips(ScopeKind::Program);
            let problems = if trips { breaker.check_where_a_class_trips() } else { breaker.check() };
            found.extend(problems.into_iter().map(|problem| problem.below("breaker")));
            found.extend(breaker.quarantine_never_begins(&self.retry));
        }
        found
    }

    /// What is allowed but probably not meant.
    #[must_use]
    pub fn advice(&self) -> Vec<Problem> {
        let mut found: Vec<_> =
            self.retry.advice(self.max_retries()).into_iter().map(|problem| problem.below("retry")).collect();
        if let Some(breaker) = &self.breaker {
            let advice = breaker.advice(self.timeout_ms, &self.retry);
            found.extend(advice.into_iter().map(|problem| problem.below("breaker")));
        }
        found.extend(self.short_class_delays());
        found.extend(self.unheard_ends());
        found.extend(self.unknown_classes());
        found.extend(self.patterns_over_lines());
        found.extend(self.doubtful_args());
        found.extend(self.places_in_code());
        found.extend(self.braces_taken_literally());
        found.extend(self.same_scopes());
        found
    }
}
