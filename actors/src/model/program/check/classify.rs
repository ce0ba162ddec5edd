//! What is wrong with the rules that find classes.

use super::values::{check_exit_code, check_regex};
use crate::model::{Matcher, Problem, Program, signal_name};
use std::collections::BTreeMap;

fn is_class_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

pub(super) fn check_class_name(path: &str, name: &str, found: &mut Vec<Problem>) {
    if !is_class_name(name) {
        let message = format!("`{name}` cannot be the name of a class");
        found.push(Problem::new(
            "config.name",
            path,
            message,
            "write it in lower snake case, as in rate_limited",
        ));
    }
}

impl Program {
    pub(super) fn check_classify(&self, found: &mut Vec<Problem>) {
        for (at, rule) in self.classify.iter().enumerate() {
            let at = format!("classify[{at}]");
            check_class_name(&format!("{at}.class"), &rule.class, found);
            match &rule.matcher {
                Matcher::Pattern { pattern, retry_after, .. } => {
                    check_regex(&format!("{at}.pattern"), pattern, 0, found);
                    if let Some(expression) = retry_after {
                        check_regex(&format!("{at}.retry_after"), expression, 1, found);
                    }
                }
                Matcher::ExitCode(code) => check_exit_code(&format!("{at}.exit_code"), *code, found),
                Matcher::Signal(number) if !(1..=64).contains(number) => {
                    let message = format!("{number} is not a signal");
                    let help = "write for example \"SIGKILL\"";
                    found.push(Problem::new("config.signal", format!("{at}.signal"), message, help));
                }
                Matcher::Signal(_) => {}
            }
        }
        found.extend(self.check_ends().into_iter().filter(|(_, sure)| *sure).map(|(problem, _)| problem));
    }

    /// Rules about an end that another rule of a higher priority is about, too: they never decide.
    pub(super) fn unheard_ends(&self) -> Vec<Problem> {
        self.check_ends().into_iter().filter(|(_, sure)| !sure).map(|(problem, _)| problem).collect()
    }

    /// Of two rules about one end one would never decide, and success comes before all. That is an error unless a
    /// priority says which one is meant.
    fn check_ends(&self) -> Vec<(Problem, bool)> {
        let mut found = Vec::new();
        let mut claimed: BTreeMap<(&str, i32), usize> = BTreeMap::new();
        for (at, rule) in self.classify.iter().enumerate() {
            let (key, number, end) = match rule.matcher {
                Matcher::Pattern { .. } => continue,
                Matcher::ExitCode(code) => ("exit_code", code, format!("exit code {code}")),
                Matcher::Signal(number) => {
                    ("signal", number, signal_name(number).map_or_else(|| number.to_string(), str::to_owned))
                }
            };
            let path = format!("classify[{at}].{key}");
            if key == "exit_code" && self.success_exit_codes.contains(&number) {
                let message = format!("{end} is a success of this program, so no class can have it");
                let help = format!("take the rule out, or {number} out of success_exit_codes");
                let problem = Problem::new("config.conflict", path, message, help);
                found.push((problem.against("success_exit_codes"), true));
                continue;
            }
            let first = *claimed.entry((key, number)).or_insert(at);
            if let Some(other) = self.classify.get(first).filter(|other| other.class != rule.class) {
                let (own, others) = (self.class_priority(&rule.class), self.class_priority(&other.class));
                let (wins, loses) = if own > others { (rule, other) } else { (other, rule) };
                let (wins, loses) = (&wins.class, &loses.class);
                let message = match own == others {
                    true => format!(
                        "{end} is `{wins}` by an earlier rule (classify[{first}]), and the first match wins: it never is `{loses}`"
                    ),
                    false => format!(
                        "{end} is `{wins}` by its priority ({}, and `{loses}` has {}): it never is `{loses}`",
                        own.max(others),
                        own.min(others)
                    ),
                };
                let help = format!("keep one of the two rules for {end}");
                let problem = Problem::new("config.conflict", path, message, help);
                found.push((problem.against(format!("classify[{first}].{key}")), own == others));
                if own > others {
                    claimed.insert((key, number), at);
                }
            }
        }
        found
    }
}
