//! What is wrong with a program as a whole; what is wrong with a part of it stands in the file of that part.

mod args;
mod classes;
mod classify;
mod code;
mod command;
mod output;
mod params;
mod patterns;
mod places;
mod values;

pub(super) use self::values::check_regex;
pub use self::values::{HIGHEST_PRIORITY, REGEX_SIZE_LIMIT, is_priority};

use self::values::{check_exit_code, invalid, range, wrong_priority};
use crate::model::{Problem, Program, ScopeKind, policy::LONGEST_WAIT_MS};

/// The longest name of a program, in bytes: it is part of file names, metrics and `ps`.
const LONGEST_NAME: usize = 63;

impl Program {
    /// Everything that is wrong with the program, with paths in the names of the configuration file; empty when the
    /// program can be used. Reads no file: whether script and folders exist is seen at the start.
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

    fn check_name(&self, found: &mut Vec<Problem>) {
        let first = self.name.chars().next().is_some_and(|c| c.is_ascii_lowercase());
        let rest =
            self.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c));
        if !first || !rest || self.name.len() > LONGEST_NAME {
            found.push(Problem::new(
                "config.name",
                "",
                format!("`{}` cannot be a program's name", self.name),
                "a name begins with a letter a-z and goes on with a-z, 0-9, _ and -; at most 63 characters",
            ));
        }
    }

    /// Scopes that are written twice and asked once.
    fn same_scopes(&self) -> Vec<Problem> {
        let twice = |(at, scope): (usize, &String)| {
            self.breakers.get(..at)?.contains(scope).then(|| {
                let message = format!("`{scope}` stands here twice, and is asked once");
                Problem::new("config.duplicate", format!("breakers[{at}]"), message, "take one of them out")
            })
        };
        self.breakers.iter().enumerate().filter_map(twice).collect()
    }

    fn check_numbers(&self, found: &mut Vec<Problem>) {
        for (path, ms) in [("timeout", self.timeout_ms), ("idle_timeout", self.idle_timeout_ms)] {
            if ms == Some(0) {
                found.push(range(path, format!("`{path}` is 0s"), "leave it out for no limit"));
            }
        }
        if self.stop_timeout_ms > LONGEST_WAIT_MS {
            found.push(range(
                "stop_timeout",
                "`stop_timeout` is longer than 7d",
                "write for example \"10s\"",
            ));
        }
        if self.max_concurrent == Some(0) {
            let help = "write 1 or more, or leave it out for no limit";
            found.push(range("max_concurrent", "`max_concurrent` is 0: nothing could run", help));
        }
        if !is_priority(self.priority) {
            found.push(wrong_priority("priority"));
        }
        if !(1..=64).contains(&self.stop_signal) {
            let message = format!("{} is not a signal", self.stop_signal);
            found.push(Problem::new(
                "config.signal",
                "stop_signal",
                message,
                "write for example \"SIGTERM\"",
            ));
        }
        self.check_success(found);
        if self.success_exit_codes.is_empty() && !self.is_daemon() {
            let message = "`success_exit_codes` is empty: no end of this job would be a success";
            found.push(invalid("success_exit_codes", message, "leave it out for [0]"));
        }
        for (at, code) in self.success_exit_codes.iter().enumerate() {
            check_exit_code(&format!("success_exit_codes[{at}]"), *code, found);
        }
    }

    fn check_success(&self, found: &mut Vec<Problem>) {
        let least = [("min_lines", self.success_min_lines), ("min_items", self.success_min_items)];
        for (key, _) in least.into_iter().filter(|(_, least)| *least > 0 && self.is_daemon()) {
            let message = format!("`success.{key}` needs a job: a daemon's end is no success");
            let problem = Problem::new("config.conflict", format!("success.{key}"), message, "leave it out");
            found.push(problem.against("restart"));
        }
        if let Some(expression) = &self.success_items {
            check_regex("success.items", expression, 0, found);
        } else if self.success_min_items > 0 {
            let message = "`success.min_items` needs `success.items`: nothing says what an item is";
            let help = r"write for example items = 'scraped (\d+) items'";
            found.push(Problem::new("config.conflict", "success.min_items", message, help));
        }
    }
}
