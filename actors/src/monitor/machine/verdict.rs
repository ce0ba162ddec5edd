//! Which class an end has.

use super::classify::{FAILURE, Rules, SIGNALLED, USAGE};
use crate::model::{Class, Evidence, ExitStatus, Matcher, Program, Timestamp};
use std::collections::BTreeMap;

/// Errors older than this at the end did not cause it: resilience.md gives the attempt's last minute.
const WINDOW_MS: u64 = 60_000;

/// What the output of an attempt has shown: for each rule its newest line.
#[derive(Clone, Debug, Default)]
pub struct Seen(BTreeMap<usize, Evidence>);

impl Seen {
    /// A line matched this rule.
    pub fn note(&mut self, rule: usize, evidence: Evidence) {
        self.0.insert(rule, evidence);
    }

    /// The class of an end at this time, and what shows it: the first rule in order among those seen in the last minute
    /// and those that match the end. Nothing for success, unless a line said that there is no result.
    #[must_use]
    pub fn verdict(
        &self,
        rules: &Rules,
        exit: ExitStatus,
        success_codes: &[i32],
        now: Timestamp,
    ) -> Option<Evidence> {
        if matches!(exit, ExitStatus::Code(code) if success_codes.contains(&code)) {
            let empty = |(index, _): &(&usize, &Evidence)| {
                rules.list().get(**index).is_some_and(|rule| &*rule.class == Class::EMPTY_RESULT)
            };
            return self.0.iter().find(empty).map(|(_, line)| line.clone());
        }
        for (index, rule) in rules.list().iter().enumerate() {
            if let Some(line) = self.0.get(&index).filter(|line| now.since(line.at) <= WINDOW_MS) {
                return Some(line.clone());
            }
            // Nobody saw that end: no rule by exit can know it.
            if exit != ExitStatus::Unknown && rules.matches_exit(index, exit) {
                return Some(by_exit(&rule.class, &rule.name, now));
            }
        }
        Some(by_exit(Class::LOST, "end_not_seen", now))
    }
}

/// The same for an attempt that wrote nothing: without reading, and without the patterns that nothing could match.
#[must_use]
pub fn silent(program: &Program, exit: ExitStatus, now: Timestamp) -> Option<Evidence> {
    let code = match exit {
        ExitStatus::Code(code) if program.success_exit_codes.contains(&code) => {
            return too_little(program, exit, 0, now);
        }
        ExitStatus::Unknown => return Some(by_exit(Class::LOST, "end_not_seen", now)),
        ExitStatus::Code(code) => Some(code),
        ExitStatus::Signal { .. } => None,
    };
    let own = program.classify.iter().enumerate().find(|(_, rule)| match (&rule.matcher, exit) {
        (Matcher::ExitCode(wanted), ExitStatus::Code(code)) => *wanted == code,
        (Matcher::Signal(wanted), ExitStatus::Signal { number, .. }) => *wanted == number,
        _ => false,
    });
    if let Some((n, rule)) = own {
        return Some(by_exit(&rule.class, &format!("classify[{n}]"), now));
    }
    let usage = USAGE.iter().find(|(_, wanted)| code == Some(*wanted));
    let (name, class) = match (usage, code) {
        (Some((name, _)), _) => (*name, Class::CONFIG),
        (None, Some(_)) => (FAILURE, Class::EXIT_NONZERO),
        (None, None) => (SIGNALLED, Class::CRASH),
    };
    Some(by_exit(class, name, now))
}

/// A job's success that brought fewer lines of standard output than its program asks for.
#[must_use]
pub fn too_little(program: &Program, exit: ExitStatus, lines: u64, now: Timestamp) -> Option<Evidence> {
    let succeeded = matches!(exit, ExitStatus::Code(code) if program.success_exit_codes.contains(&code));
    let least = program.success_min_lines;
    (succeeded && !program.is_daemon() && lines < u64::from(least)).then(|| Evidence {
        line: format!("{lines} lines of standard output, and success.min_lines = {least}"),
        ..by_exit(Class::EMPTY_RESULT, "success", now)
    })
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Classify, Command};

    #[test]
    fn silence_is_judged_as_the_rules_would() {
        let plain = Program::new("plain", Command::Argv(vec!["true".into()]));
        let mut own = plain.clone().classify(Classify::pattern("x", "y"));
        own = own.classify(Classify::exit_code("oom", 137)).classify(Classify::signal("stopped", "SIGTERM"));
        own = own.classify(Classify::exit_code("mine", 78)).success_exit_codes([0, 3]);
        let signals = [9, 11, 15].map(|number| ExitStatus::Signal { number, core: false });
        let codes = [0, 1, 3, 64, 78, 126, 127, 137, 255].map(ExitStatus::Code);
        for program in [plain, own] {
            let rules = Rules::of(&program);
            for exit in codes.into_iter().chain(signals).chain([ExitStatus::Unknown]) {
                let now = Timestamp(5);
                let read = Seen::default().verdict(&rules, exit, &program.success_exit_codes, now);
                assert_eq!(silent(&program, exit, now), read, "{} {exit}", program.name);
            }
        }
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
            let found = class(too_little(&job(least), ok, lines, now));
            assert_eq!(found.as_deref(), empty.then_some("empty_result"), "{lines} of {least}");
        }
        assert_eq!(class(silent(&job(1), ok, now)).as_deref(), Some("empty_result"));
        assert_eq!(
            too_little(&job(1), ExitStatus::Code(1), 0, now),
            None,
            "another failure has its own class"
        );
        let daemon = Program { restart: crate::model::Restart::Always, ..job(1) };
        assert_eq!(too_little(&daemon, ok, 0, now), None);
        let (rules, mut seen) = (Rules::of(&job(0)), Seen::default());
        assert_eq!(seen.verdict(&rules, ok, &[0], now), None);
        let rule = rules.line(b"done: scraped 0 items", crate::model::Stream::Stdout).unwrap();
        seen.note(rule, by_exit("empty_result", "classify[0]", now));
        assert_eq!(class(seen.verdict(&rules, ok, &[0], now)).as_deref(), Some("empty_result"));
    }
}
