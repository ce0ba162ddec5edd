//! What is wrong with how output is kept.

use super::values::{check_regex, range};
use crate::model::{Problem, Program, format_size};

/// The shortest `max_line`, in bytes: with a shorter one the marks of a split would outweigh the text.
const SHORTEST_LINE: u64 = 64;
/// The longest `max_line`, in bytes: a line is in memory as a whole, for every stream that is read.
const LONGEST_LINE: u64 = 16 << 20;
/// The most output kept in memory for each living attempt, in bytes.
const MOST_RECENT: u64 = 1 << 30;

impl Program {
    pub(super) fn check_output(&self, found: &mut Vec<Problem>) {
        let output = &self.output;
        found.extend(output.rejected.iter().map(|problem| problem.clone().below("output")));
        if !(SHORTEST_LINE..=LONGEST_LINE).contains(&output.max_line) {
            let message = "`max_line` must be between 64B and 16MiB";
            found.push(range("output.max_line", message, "write for example \"64KiB\""));
        }
        if output.recent > MOST_RECENT {
            let message = "`recent` is more than 1GiB, for each attempt, in memory";
            found.push(range("output.recent", message, "write for example \"1MiB\""));
        }
        if output.backlog < output.max_line {
            let message = format!(
                "`backlog` ({}) does not hold one line of `max_line` ({})",
                format_size(output.backlog),
                format_size(output.max_line)
            );
            let problem =
                Problem::new("config.conflict", "output.backlog", message, "write for example \"256MiB\"");
            found.push(problem.against("output.max_line"));
        }
        for (at, expression) in output.redact.iter().enumerate() {
            check_regex(&format!("output.redact[{at}]"), expression, 0, found);
        }
    }
}
