//! What is wrong with a program's rules about output: classification, classes, redaction.

use super::{
    ClassOverride, Matcher, Program,
    check::{check_exit_code, invalid, range},
};
use crate::model::{
    Adjust, Class, Problem, did_you_mean, format_duration_ms, format_size, policy::LONGEST_WAIT_MS,
    signal_name,
};
use regex::bytes::RegexBuilder;
use std::collections::BTreeMap;

/// Largest compiled expression in bytes, the same for the check and for those who use it: one that needs more would
/// cost every line of output more than it can tell.
pub const REGEX_SIZE_LIMIT: usize = 1 << 20;
/// Heaviest weight, in thousandths: a thousand failures at once open any breaker.
const HEAVIEST_WEIGHT: u32 = 1_000_000;
/// Highest priority, and with a minus sign the lowest: more ranks than anybody tells apart.
pub const HIGHEST_PRIORITY: i32 = 1_000;
/// Largest factor of an adjustment, in thousandths.
const LARGEST_FACTOR: u32 = 1_000_000;
/// A line is split no finer than this: the marks of a split would outweigh the text.
const SHORTEST_LINE: u64 = 64;
/// A line is in memory as a whole, for every stream that is read.
const LONGEST_LINE: u64 = 16 << 20;
/// Kept in memory for each living attempt.
const MOST_RECENT: u64 = 1 << 30;

pub(super) fn check_regex(path: &str, expression: &str, captures: usize, found: &mut Vec<Problem>) {
    if expression.is_empty() {
        found.push(Problem::new(
            "config.regex",
            path,
            "an empty expression matches every line",
            "write what to look for",
        ));
        return;
    }
    match RegexBuilder::new(expression).size_limit(REGEX_SIZE_LIMIT).build() {
        Ok(regex) if regex.captures_len() <= captures => found.push(Problem::new(
            "config.regex",
            path,
            format!("`{expression}` has no capture group"),
            r"put what says how long in parentheses, as in '(?i)retry-after:\s*(.+)'",
        )),
        Ok(_) => {}
        Err(regex::Error::CompiledTooBig(_)) => found.push(Problem::new(
            "config.regex",
            path,
            format!("the expression needs more than {} compiled", format_size(REGEX_SIZE_LIMIT as u64)),
            "write smaller repetitions, or (?-u) before classes such as \\w",
        )),
        Err(error) => {
            // The engine draws the expression and a caret over several lines; its last line says what is wrong.
            let text = error.to_string();
            let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let help = "the syntax is that of the Rust crate regex; in TOML write it in 'single quotes'";
            found.push(Problem::new("config.regex", path, format!("not a regular expression: {why}"), help));
        }
    }
}

/// Whether a priority, of a class or of a start, is in its range.
#[must_use]
pub fn is_priority(priority: i32) -> bool {
    (-HIGHEST_PRIORITY..=HIGHEST_PRIORITY).contains(&priority)
}

pub(super) fn wrong_priority(path: impl Into<String>) -> Problem {
    range(
        path,
        "`priority` must be between -1000 and 1000",
        "write for example 10; where nothing is said it is 0",
    )
}

fn is_class_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn check_class_name(path: &str, name: &str, found: &mut Vec<Problem>) {
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

    /// Rules about an end that another one of a higher priority is about, too: they are never heard of.
    pub(super) fn unheard_ends(&self) -> Vec<Problem> {
        self.check_ends().into_iter().filter(|(_, sure)| !sure).map(|(problem, _)| problem).collect()
    }

    /// Of two rules about one end one would never be heard of, and success comes before all. That is an error unless a
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

    pub(super) fn check_classes(&self, found: &mut Vec<Problem>) {
        for (name, rule) in &self.classes {
            let at = format!("classes.{name}");
            check_class_name(&at, name, found);
            found.extend(rule.rejected.iter().map(|problem| problem.clone().below(&at)));
            if rule.weight_permille.is_some_and(|weight| weight > HEAVIEST_WEIGHT) {
                let message = "`weight` must be between 0.0 and 1000.0 with at most three decimals";
                found.push(range(format!("{at}.weight"), message, "1.0 is one failure, 0.0 is neutral"));
            }
            if rule.priority.is_some_and(|priority| !is_priority(priority)) {
                found.push(wrong_priority(format!("{at}.priority")));
            }
            if rule.delay_ms.is_some() || rule.max_delay_ms.is_some() {
                self.check_class_delays(name, &at, found);
            }
            for (param, adjust) in &rule.adjust {
                self.check_adjust(&format!("{at}.adjust.{param}"), param, adjust, found);
            }
            if let Some(inline) = rule.inline {
                if inline.count == 0 {
                    found.push(range(format!("{at}.inline.count"), "`count` is 0", "write 1 or more"));
                }
                if inline.per_ms == 0 {
                    found.push(range(format!("{at}.inline.per"), "`per` is 0s", "write for example \"1m\""));
                }
            }
        }
    }

    fn check_class_delays(&self, name: &str, at: &str, found: &mut Vec<Problem>) {
        let rule = self.class_rule(name);
        let delay_ms = rule.delay_ms.unwrap_or(self.retry.delay_ms);
        let max_ms = rule.max_delay_ms.unwrap_or(self.retry.max_delay_ms);
        let (delay, max) = (format_duration_ms(delay_ms), format_duration_ms(max_ms));
        if delay_ms > max_ms {
            let message = format!("`delay` ({delay}) is longer than `max_delay` ({max}) of this class");
            let help = format!("write max_delay = \"{delay}\" or longer for the class");
            let problem = Problem::new("config.conflict", format!("{at}.max_delay"), message, help);
            found.push(problem.against(format!("{at}.delay")));
        }
        if max_ms > LONGEST_WAIT_MS {
            let message = "`max_delay` is longer than 7d";
            found.push(range(format!("{at}.max_delay"), message, "write \"7d\" or a shorter time"));
        }
    }

    fn check_adjust(&self, path: &str, param: &str, adjust: &Adjust, found: &mut Vec<Problem>) {
        let steps = matches!(adjust, Adjust::Step { .. });
        match self.params.get(param) {
            None => found.push(self.unknown_param(path, param)),
            Some(spec) if spec.secret || !spec.is_adjustable() => {
                let kind = if spec.secret { "secret" } else { spec.kind.name() };
                let message = format!("`{param}` is of type {kind}, which cannot be adjusted");
                let help = "only integer, decimal, duration and choice parameters can";
                found.push(invalid(path, message, help));
            }
            Some(spec) if spec.is_ladder() && !steps => {
                let message = format!("`{param}` is of type choice, which changes by `step` alone");
                let help = "write { step = -1 }, one place towards the first of its choices";
                found.push(invalid(path, message, help));
            }
            Some(spec) if spec.is_numeric() && steps => {
                let message = format!("`{param}` is of type {}, which has no steps", spec.kind.name());
                found.push(invalid(path, message, "write for example { multiply = 0.5 } or { add = -10 }"));
            }
            Some(_) => {}
        }
        match *adjust {
            Adjust::Multiply { permille } if permille > LARGEST_FACTOR => {
                let message = "`multiply` must be between 0.0 and 1000.0 with at most three decimals";
                found.push(range(path, message, "0.5 halves the parameter"));
            }
            Adjust::Add { micros: i64::MAX } | Adjust::Set { micros: i64::MAX } => {
                let message = "the adjustment is not a number with at most six decimals";
                found.push(range(path, message, "write for example -10"));
            }
            Adjust::Step { steps: 0 } => {
                let message = "a `step` of 0 changes nothing";
                found.push(range(path, message, "write -1, one place towards the first of the choices"));
            }
            Adjust::Multiply { .. } | Adjust::Add { .. } | Adjust::Set { .. } | Adjust::Step { .. } => {}
        }
    }

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

    /// Delays of classes that the shortest delay overrules.
    pub(super) fn short_class_delays(&self) -> Vec<Problem> {
        let min_ms = self.retry.min_delay_ms;
        let short = |(name, rule): (&String, &ClassOverride)| {
            let delay_ms = rule.delay_ms.filter(|ms| *ms < min_ms)?;
            let (delay, min) = (format_duration_ms(delay_ms), format_duration_ms(min_ms));
            let message = format!("`delay` ({delay}) is shorter than `retry.min_delay` ({min}), which holds");
            let help = format!("write delay = \"{min}\" or longer, or a shorter retry.min_delay");
            let problem = Problem::new("config.conflict", format!("classes.{name}.delay"), message, help);
            Some(problem.against("retry.min_delay"))
        };
        self.classes.iter().filter_map(short).collect()
    }

    /// Rules about classes that nothing finds; a mistyped name would otherwise do nothing, silently.
    pub(super) fn unknown_classes(&self) -> Vec<Problem> {
        let own: Vec<&str> = self.classify.iter().map(|rule| rule.class.as_str()).collect();
        let known = || Class::BUILTIN.iter().copied().chain(own.iter().copied());
        let unknown = self.classes.keys().filter(|name| !known().any(|class| class == name.as_str()));
        unknown
            .map(|name| {
                let help = match did_you_mean(name, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "add a [[…classify]] rule that finds it".to_owned(),
                };
                let message = format!("no rule finds the class `{name}`");
                Problem::new("config.unknown_class", format!("classes.{name}"), message, help)
            })
            .collect()
    }
}
