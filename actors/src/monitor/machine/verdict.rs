//! Which class the end of an attempt has.

use super::classify::{FAILURE, NOT_EXECUTED, Rules, SIGNALLED, USAGE, What};
use crate::model::{Class, Evidence, ExitStatus, Matcher, Program, Timestamp};
use std::collections::BTreeMap;

/// How old an error may be at the end to have caused it, in milliseconds: resilience.md gives the attempt's last
/// minute.
const WINDOW_MS: u64 = 60_000;

/// What the output of an attempt has shown: for each rule its newest line.
#[derive(Clone, Debug, Default)]
pub struct Seen(BTreeMap<usize, Evidence>);

impl Seen {
    /// Records that a line matched this rule.
    pub fn note(&mut self, rule: usize, evidence: Evidence) {
        self.0.insert(rule, evidence);
    }

    /// The class of an end at this time, and what shows it. Among the classes seen in the last minute and those that
    /// match the end, it is the one of the highest priority; of equal ones the first rule in order. `None` for
    /// success, unless a line said that there is no result.
    #[must_use]
    pub fn verdict(
        &self,
        rules: &Rules,
        program: &Program,
        exit: ExitStatus,
        now: Timestamp,
    ) -> Option<Evidence> {
        if matches!(exit, ExitStatus::Code(code) if program.success_exit_codes.contains(&code)) {
            let empty = |(index, _): &(&usize, &Evidence)| {
                rules.list().get(**index).is_some_and(|rule| &*rule.class == Class::EMPTY_RESULT)
            };
            return self.0.iter().find(empty).map(|(_, line)| line.clone());
        }
        let shown = rules.list().iter().enumerate().filter_map(|(index, rule)| {
            if let Some(line) = self.0.get(&index).filter(|line| now.since(line.at) <= WINDOW_MS) {
                return Some(line.clone());
            }
            // The end was not seen, so no rule by exit can know it. That the attempt failed is said when no other
            // rule says more.
            let known = exit != ExitStatus::Unknown && !matches!(rule.what, What::AnyFailure);
            (known && rules.matches_exit(index, exit)).then(|| by_exit(&rule.class, &rule.name, now))
        });
        preferred(shown.collect(), program).or_else(|| Some(unknown(exit, now)))
    }
}

/// Of what an end shows, in the order of the rules, the class of the highest priority, and why it is not another
/// class.
fn preferred(mut shown: Vec<Evidence>, program: &Program) -> Option<Evidence> {
    let highest = |of: &dyn Fn(usize, &Evidence) -> bool| {
        let some = shown.iter().enumerate().filter(|(place, one)| of(*place, one));
        let ranked = some.map(|(place, one)| (program.class_priority(&one.class), place));
        // Of equal ones the last, which is the first in order.
        ranked.rev().max_by_key(|(priority, _)| *priority)
    };
    let (high, place) = highest(&|_, _| true)?;
    let best = shown.get(place)?;
    let class = &best.class;
    // A rule for this very exit code or signal says more than one for any: nothing else was seen.
    let says_less = |at: usize, one: &Evidence| at > place && is_by_exit(one) && is_by_exit(best);
    let other = highest(&|at, one| one.class != *class && !says_less(at, one));
    let why = other.and_then(|(low, at)| {
        let other = &shown.get(at)?.class;
        let why = if low < high {
            format!("{class} has the higher priority ({high}, and {other} {low})")
        } else {
            format!("the rule of {class} comes first")
        };
        Some(format!("preferred to {other}, which was seen too: {why}"))
    });
    Some(Evidence { preferred: why, ..shown.swap_remove(place) })
}

const fn is_by_exit(evidence: &Evidence) -> bool {
    evidence.stream.is_none() && evidence.line.is_empty()
}

/// The evidence of an end about which no rule but the last one knows anything.
fn unknown(exit: ExitStatus, now: Timestamp) -> Evidence {
    match exit {
        ExitStatus::Unknown => by_exit(Class::LOST, "end_not_seen", now),
        ExitStatus::Code(_) | ExitStatus::Signal { .. } => by_exit(Class::EXIT_NONZERO, FAILURE, now),
    }
}

/// The class of the end of an attempt that wrote nothing: without reading, and without the patterns, which could not
/// match.
#[must_use]
pub fn silent(program: &Program, exit: ExitStatus, now: Timestamp) -> Option<Evidence> {
    let items = program.success_items.as_ref().map(|_| 0);
    by_exit_alone(program, exit, now).or_else(|| too_little(program, exit, (0, items), now))
}

/// The class of the end of an attempt whose output was not read: `None` for an exit code of success.
#[must_use]
pub fn by_exit_alone(program: &Program, exit: ExitStatus, now: Timestamp) -> Option<Evidence> {
    if matches!(exit, ExitStatus::Code(code) if program.success_exit_codes.contains(&code)) {
        return None;
    }
    let own = program.classify.iter().enumerate().filter(|(_, rule)| match (&rule.matcher, exit) {
        (Matcher::ExitCode(wanted), ExitStatus::Code(code)) => *wanted == code,
        (Matcher::Signal(wanted), ExitStatus::Signal { number, .. }) => *wanted == number,
        _ => false,
    });
    let own = own.map(|(n, rule)| by_exit(&rule.class, &format!("classify[{n}]"), now));
    let codes = USAGE.iter().chain(&NOT_EXECUTED).filter(|(_, wanted)| exit == ExitStatus::Code(*wanted));
    let usage = codes.map(|(name, _)| by_exit(Class::CONFIG, name, now));
    let signalled = matches!(exit, ExitStatus::Signal { .. }).then(|| by_exit(Class::CRASH, SIGNALLED, now));
    let shown = own.chain(usage).chain(signalled).collect();
    preferred(shown, program).or_else(|| Some(unknown(exit, now)))
}

/// The evidence for a job's success that brought fewer lines of standard output, or fewer items, than its program
/// asks for.
#[must_use]
pub fn too_little(
    program: &Program,
    exit: ExitStatus,
    (lines, items): (u64, Option<u64>),
    now: Timestamp,
) -> Option<Evidence> {
    let succeeded = matches!(exit, ExitStatus::Code(code) if program.success_exit_codes.contains(&code));
    if !succeeded || program.is_daemon() {
        return None;
    }
    let (least_lines, least_items) = (program.success_min_lines, program.success_min_items);
    let line = match items {
        Some(items) if items < u64::from(least_items) => {
            format!("it ended well with {items} items, and success.min_items = {least_items}")
        }
        _ if lines < u64::from(least_lines) => {
            format!("{lines} lines of standard output, and success.min_lines = {least_lines}")
        }
        _ => return None,
    };
    Some(Evidence { line, ..by_exit(Class::EMPTY_RESULT, "success", now) })
}

fn by_exit(class: &str, rule: &str, at: Timestamp) -> Evidence {
    Evidence {
        class: class.to_owned(),
        rule: rule.to_owned(),
        line: String::new(),
        stream: None,
        seq: 0,
        at,
        retry_after_ms: None,
        preferred: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClassOverride, Classify, Command};

    #[test]
    fn silence_is_judged_as_the_rules_would() {
        let plain = Program::new("plain", Command::Argv(vec!["true".into()]));
        let mut own = plain.clone().classify(Classify::pattern("x", "y"));
        own = own.classify(Classify::exit_code("oom", 137)).classify(Classify::signal("stopped", "SIGTERM"));
        own = own.classify(Classify::exit_code("mine", 78)).success_exit_codes([0, 3]);
        let mut ranked = own.clone().classify(Classify::exit_code("worse", 137));
        for (class, priority) in [("worse", 10), ("mine", -1), ("stopped", -1)] {
            ranked = ranked.class(class, ClassOverride::default().priority(priority));
        }
        let signals = [9, 11, 15].map(|number| ExitStatus::Signal { number, core: false });
        let codes = [0, 1, 3, 64, 78, 126, 127, 137, 255].map(ExitStatus::Code);
        for program in [plain, own, ranked] {
            let rules = Rules::of(&program);
            for exit in codes.into_iter().chain(signals).chain([ExitStatus::Unknown]) {
                let now = Timestamp(5);
                let read = Seen::default().verdict(&rules, &program, exit, now);
                assert_eq!(silent(&program, exit, now), read, "{} {exit}", program.name);
            }
        }
    }

    #[test]
    fn what_could_not_be_executed_is_config_unless_a_line_says_otherwise() {
        let plain = Program::new("plain", Command::Argv(vec!["true".into()]));
        let rules = Rules::of(&plain);
        let now = Timestamp(5);
        let judged = |lines: &[&str], code| {
            let mut seen = Seen::default();
            for line in lines {
                if let Some(rule) = rules.line(line.as_bytes(), crate::model::Stream::Stderr) {
                    let found = &rules.list()[rule];
                    seen.note(rule, by_exit(&found.class, &found.name, now));
                }
            }
            let evidence = seen.verdict(&rules, &plain, ExitStatus::Code(code), now).unwrap();
            (evidence.class, evidence.rule)
        };
        let found = |class: &str, rule: &str| (class.to_owned(), format!("builtin:{rule}"));
        assert_eq!(judged(&[], 127), found("config", "exit_not_found"));
        assert_eq!(judged(&[], 126), found("config", "exit_not_executable"));
        assert_eq!(
            judged(&["sh: 1: ./noexec: Permission denied"], 126),
            found("config", "exit_not_executable")
        );
        for line in [
            "env: 'python99': No such file or directory",
            "env: \u{2018}python99\u{2019}: No such file or directory",
            "/usr/bin/env: python99: No such file or directory",
            "bash: ./x: /no/such: bad interpreter: No such file or directory",
        ] {
            assert_eq!(judged(&[line], 127), found("config", "command_not_found"), "{line}");
        }
        for line in [
            "env: 'python3\\r': No such file or directory",
            "/usr/bin/env: \u{2018}python3\\r\u{2019}: No such file or directory",
            "env: can't execute 'python3\r': No such file or directory",
            "bash: ./x: /bin/sh^M: bad interpreter: No such file or directory",
            "x.sh: line 2: $'\\r': command not found",
        ] {
            assert_eq!(judged(&[line], 127), found("config", "windows_line_ends"), "{line}");
        }
        assert_eq!(judged(&["HTTP 429 Too Many Requests"], 127).0, "rate_limited");
        assert_eq!(judged(&["Traceback (most recent call last):"], 127).0, "exit_nonzero");
        assert_eq!(judged(&["env: about to look up x"], 1).0, "exit_nonzero");
        let own = plain.clone().success_exit_codes([0, 127]);
        assert_eq!(silent(&own, ExitStatus::Code(127), now), None);
    }

    #[test]
    fn a_job_that_ends_well_and_brings_too_little_has_failed() {
        let job = |least| {
            Program::new("job", Command::Argv(vec!["job".into()]))
                .success_min_lines(least)
                .classify(Classify::pattern("empty_result", "scraped 0 items"))
        };
        let class = |evidence: Option<Evidence>| evidence.map(|evidence| evidence.class);
        let (now, ok) = (Timestamp(5), ExitStatus::Code(0));
        for (least, lines, empty) in [(0, 0, false), (1, 0, true), (1, 1, false), (3, 2, true)] {
            let found = class(too_little(&job(least), ok, (lines, None), now));
            assert_eq!(found.as_deref(), empty.then_some("empty_result"), "{lines} of {least}");
        }
        assert_eq!(class(silent(&job(1), ok, now)).as_deref(), Some("empty_result"));
        assert_eq!(
            too_little(&job(1), ExitStatus::Code(1), (0, None), now),
            None,
            "another failure has its own class"
        );
        let daemon = Program { restart: crate::model::Restart::Always, ..job(1) };
        assert_eq!(too_little(&daemon, ok, (0, None), now), None);
        let scraper = job(0).success_items("scraped", 2);
        for (items, empty) in [(Some(0), true), (Some(1), true), (Some(2), false), (None, false)] {
            let found = too_little(&scraper, ok, (9, items), now);
            assert_eq!(class(found).is_some(), empty, "{items:?}");
        }
        let found = silent(&scraper, ok, now).unwrap();
        assert_eq!(found.line, "it ended well with 0 items, and success.min_items = 2");
        let (rules, mut seen) = (Rules::of(&job(0)), Seen::default());
        assert_eq!(seen.verdict(&rules, &job(0), ok, now), None);
        let rule = rules.line(b"done: scraped 0 items", crate::model::Stream::Stdout).unwrap();
        seen.note(rule, by_exit("empty_result", "classify[0]", now));
        assert_eq!(class(seen.verdict(&rules, &job(0), ok, now)).as_deref(), Some("empty_result"));
    }
}
