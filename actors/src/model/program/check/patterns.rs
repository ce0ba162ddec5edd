//! Patterns that look beyond the line that they see.

use crate::model::{Matcher, Problem, Program};
use regex_syntax::{
    ParserBuilder,
    hir::{Class, Hir, HirKind},
};

impl Program {
    /// Every pattern sees one line, without its end. One that cannot match there is a mistake, and one that hides is a leak
    /// where it was meant for several lines.
    pub(super) fn patterns_over_lines(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for (at, pattern) in self.output.redact.iter().enumerate() {
            let Some(parsed) = parse(pattern) else { continue };
            let path = format!("output.redact[{at}]");
            let help = "write one pattern for each line that is to be hidden";
            if needs_newline(&parsed) {
                let message = "it can only match across the end of a line, and a pattern sees one line: nothing is hidden";
                found.push(Problem::new("config.regex", path, message, help));
            } else if takes_everything(&parsed) {
                let message = "its `.` is to go on over the end of a line, and a pattern sees one line: what stands in other lines is not hidden";
                found.push(Problem::new("config.regex", path, message, help));
            }
        }
        let rules = self.classify.iter().enumerate().filter_map(|(at, rule)| match &rule.matcher {
            Matcher::Pattern { pattern, .. } => Some((format!("classify[{at}].pattern"), pattern)),
            Matcher::ExitCode(_) | Matcher::Signal(_) => None,
        });
        let ready = self.ready.iter().map(|ready| ("ready.pattern".to_owned(), &ready.pattern));
        let items = self.success_items.iter().map(|pattern| ("success.items".to_owned(), pattern));
        for (path, pattern) in rules.chain(ready).chain(items) {
            if parse(pattern).is_some_and(|parsed| needs_newline(&parsed)) {
                let message = "it can only match across the end of a line, and a pattern sees one line: it never matches";
                found.push(Problem::new("config.regex", path, message, "look for what stands in one line"));
            }
        }
        found
    }
}

/// Parses the pattern; `None` for one that cannot be parsed, which is reported elsewhere.
fn parse(pattern: &str) -> Option<Hir> {
    ParserBuilder::new().utf8(false).multi_line(true).build().parse(pattern).ok()
}

/// Whether there is a newline in whatever it matches.
fn needs_newline(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&b'\n'),
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().all(|range| (range.start(), range.end()) == ('\n', '\n'))
        }
        HirKind::Class(Class::Bytes(class)) => {
            class.ranges().iter().all(|range| (range.start(), range.end()) == (b'\n', b'\n'))
        }
        HirKind::Repetition(repeated) => repeated.min > 0 && needs_newline(&repeated.sub),
        HirKind::Capture(group) => needs_newline(&group.sub),
        HirKind::Concat(parts) => parts.iter().any(needs_newline),
        HirKind::Alternation(parts) => parts.iter().all(needs_newline),
    }
}

/// Whether a part of it takes whatever comes, the ends of lines too: `(?s).`, `[\s\S]`.
fn takes_everything(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Literal(_) => false,
        HirKind::Class(Class::Unicode(class)) => {
            class.ranges().iter().any(|range| (range.start(), range.end()) == ('\0', char::MAX))
        }
        HirKind::Class(Class::Bytes(class)) => {
            class.ranges().iter().any(|range| (range.start(), range.end()) == (0, u8::MAX))
        }
        HirKind::Repetition(repeated) => takes_everything(&repeated.sub),
        HirKind::Capture(group) => takes_everything(&group.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(takes_everything),
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{Classify, Command, Program, Ready};

    fn warned(program: &Program) -> Vec<String> {
        program.patterns_over_lines().into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn a_pattern_that_reaches_over_the_end_of_a_line_is_warned_of() {
        for (pattern, warns) in [
            ("(?s)BEGIN.*END", true),
            (r"BEGIN[\s\S]*END", true),
            (r"BEGIN\nkey", true),
            (r"(a\n|b\n)", true),
            (r"a(\n)+b", true),
            (r"BEGIN\x0Akey", true),
            ("BEGIN.*END", false),
            (r"a\s+b", false),
            (r"a\n?", false),
            (r"[^\n]*", false),
            (r"(a\n|b)", false),
            (r"token=\S+$", false),
        ] {
            let mut program = Program::new("p", Command::Argv(vec!["true".into()]));
            program.output.redact = vec!["fine".into(), pattern.into()];
            assert_eq!(warned(&program), if warns { vec!["output.redact[1]"] } else { vec![] }, "{pattern}");
        }
    }

    #[test]
    fn a_rule_that_never_matches_one_line_is_warned_of() {
        let program = Program::new("p", Command::Argv(vec!["true".into()]))
            .classify(Classify::pattern("x", "(?s)a.*b"))
            .classify(Classify::pattern("x", r"Traceback.*\n.*Error"))
            .ready(Ready::pattern("up\n"))
            .success_items(r"items:\n(\d+)", 1);
        assert_eq!(warned(&program), ["classify[1].pattern", "ready.pattern", "success.items"]);
    }
}
