//! What is wrong with a program's limits, its signal, and what counts as success.

use super::value::{check_exit_code, check_regex, invalid, is_priority, range, wrong_priority};
use crate::model::{Problem, Program, policy::LONGEST_WAIT_MS};

impl Program {
    pub(super) fn check_numbers(&self, found: &mut Vec<Problem>) {
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
