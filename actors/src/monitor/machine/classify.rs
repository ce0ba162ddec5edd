//! Which class a line shows.
//!
//! A whole block is looked at first, and only lines in which something is found are looked at again, one by one: by
//! [`Words`] for the built-in patterns, by one automaton for a program's own ones. What the automaton finds may reach
//! over the end of a line. Then the line has no match, and the search goes on at the next line. So the answer never
//! depends on where blocks begin and end.

use super::{
    cut::Cut,
    hint::wait_ms,
    level::level,
    packs::{AFTER_SIGNALS, BEFORE_SIGNALS, Pack},
    words::Words,
};
use crate::model::{
    Class, ExitStatus, Level, Matcher, Program, Stream, StreamChoice, Timestamp, signal_name,
};
use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use std::sync::Arc;

/// Largest compiled automaton, in bytes: rules come from a configuration file, and one of them must not take the
/// memory of the host. A rule beyond it is refused.
const SIZE_LIMIT: usize = 8 << 20;

/// Built-in rules by exit code, of class `config`: codes of `sysexits.h` that say "do not try this again".
pub(super) const USAGE: [(&str, i32); 2] = [("builtin:exit_usage", 64), ("builtin:exit_config", 78)];

/// Built-in rules by exit code, of class `config`, tried after all rules by line. With these codes shells, `env` and
/// many other programs report that they could not execute what they were asked to. A line may know better why.
pub(super) const NOT_EXECUTED: [(&str, i32); 2] =
    [("builtin:exit_not_executable", 126), ("builtin:exit_not_found", 127)];

/// Name of the rule for ends by a signal.
pub(super) const SIGNALLED: &str = "signal";

/// Name of the rule for every other failure.
pub(super) const FAILURE: &str = "exit_code";

/// What a rule matches.
#[derive(Clone, Debug)]
pub enum What {
    /// A line of output that a pattern matches.
    Line {
        /// The pattern as it is shown.
        pattern: String,
        /// The streams in which the rule looks.
        stream: StreamChoice,
        /// Whether the rule also looks at lines whose level says that they are no trouble.
        any_level: bool,
        /// The pattern whose capture 1 is how long to wait.
        retry_after: Option<Regex>,
    },
    /// An end with this exit code.
    ExitCode(i32),
    /// An end by this signal.
    Signal(i32),
    /// An end by any signal.
    AnySignal,
    /// Any end that is no success.
    AnyFailure,
}

/// A classification rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The rule's name: `classify[0]`, `builtin:http_429`, `exit_code`.
    pub name: Arc<str>,
    /// The class that the rule finds.
    pub class: Arc<str>,
    /// What the rule matches.
    pub what: What,
}

/// A line that shows a class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hit {
    /// The index of the line.
    pub line: usize,
    /// The index of the rule.
    pub rule: usize,
}

/// The rules of a program, compiled.
#[derive(Clone, Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    /// The rule of each pattern of `set`.
    of_pattern: Vec<usize>,
    /// The words of the built-in patterns; `None` where the processor has no quick search, and the patterns are part
    /// of the automaton.
    words: Option<Words>,
    block: Block,
    set: RegexSet,
    problems: Vec<String>,
}

/// How lines that a pattern may match are found in a block.
#[derive(Clone, Debug)]
enum Block {
    /// There are no patterns.
    Empty,
    Automaton(Regex),
    /// By looking at each line.
    EachLine,
}

impl Rules {
    /// The program's rules in the order of its file, then the built-in ones. A pattern that cannot be used is left out
    /// and named in [`Rules::problems`]; configurations are checked before.
    #[must_use]
    pub fn of(program: &Program) -> Self {
        let mut made = Making::default();
        for (n, rule) in program.classify.iter().enumerate() {
            let name = format!("classify[{n}]");
            match &rule.matcher {
                Matcher::Pattern { pattern, stream, retry_after } => {
                    made.pattern(&name, &rule.class, pattern, pattern, *stream, true, retry_after.as_deref());
                }
                Matcher::ExitCode(code) => made.push(&name, &rule.class, What::ExitCode(*code)),
                Matcher::Signal(number) => made.push(&name, &rule.class, What::Signal(*number)),
            }
        }
        made.own = made.patterns.len();
        USAGE.iter().for_each(|(name, code)| made.push(name, Class::CONFIG, What::ExitCode(*code)));
        BEFORE_SIGNALS.iter().for_each(|pack| made.pack(pack));
        made.push(SIGNALLED, Class::CRASH, What::AnySignal);
        AFTER_SIGNALS.iter().for_each(|pack| made.pack(pack));
        NOT_EXECUTED.iter().for_each(|(name, code)| made.push(name, Class::CONFIG, What::ExitCode(*code)));
        made.push(FAILURE, Class::EXIT_NONZERO, What::AnyFailure);
        made.finish()
    }

    /// The rules, in the order they are tried.
    #[must_use]
    pub fn list(&self) -> &[Rule] {
        &self.rules
    }

    /// Patterns that could not be used, each as a sentence.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The lines of a block that show a class, in order, each with the first rule that matches.
    #[must_use]
    pub fn find(&self, bytes: &[u8], lines: &Cut, stream: Stream) -> Vec<Hit> {
        let mut candidates = self.words.as_ref().map_or_else(Vec::new, |words| words.lines(bytes, lines));
        let known = candidates.len();
        match &self.block {
            Block::Empty => {}
            Block::Automaton(block) => {
                each_candidate(Some(block), bytes, lines, |line, _| candidates.push(line));
            }
            Block::EachLine => each_candidate(None, bytes, lines, |line, _| candidates.push(line)),
        }
        if known > 0 && known < candidates.len() {
            candidates.sort_unstable();
            candidates.dedup();
        }
        let end_of = |line: usize| lines.ends.get(line).map_or(bytes.len(), |end| *end as usize);
        let hit = |line: usize| {
            let text = bytes.get(line.checked_sub(1).map_or(0, end_of)..end_of(line)).unwrap_or_default();
            self.line(text, stream).map(|rule| Hit { line, rule })
        };
        candidates.into_iter().filter_map(hit).collect()
    }

    /// The first rule that matches this line.
    #[must_use]
    pub fn line(&self, line: &[u8], stream: Stream) -> Option<usize> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut harmless = None;
        self.set.matches(line).into_iter().find_map(|pattern| {
            let rule = *self.of_pattern.get(pattern)?;
            let What::Line { stream: wanted, any_level, .. } = &self.rules.get(rule)?.what else {
                return None;
            };
            let here = wanted.includes(stream);
            let mut quiet = || *harmless.get_or_insert_with(|| level(line).is_some_and(|l| l <= Level::Info));
            (here && (*any_level || !quiet())).then_some(rule)
        })
    }

    /// How long a line asks to wait, in milliseconds; `None` when it does not, or in a form that [`wait_ms`] does not
    /// understand. `now` is the wall clock's time, to which a date in the line refers.
    #[must_use]
    pub fn retry_after_ms(&self, rule: usize, line: &[u8], now: Timestamp) -> Option<u64> {
        let What::Line { retry_after: Some(pattern), .. } = &self.rules.get(rule)?.what else { return None };
        let asked = pattern.captures(line)?.get(1)?.as_bytes();
        wait_ms(&String::from_utf8_lossy(asked), now)
    }

    /// Whether the rule matches this end.
    #[must_use]
    pub fn matches_exit(&self, rule: usize, exit: ExitStatus) -> bool {
        match (self.rules.get(rule).map(|rule| &rule.what), exit) {
            (Some(What::ExitCode(wanted)), ExitStatus::Code(code)) => *wanted == code,
            (Some(What::Signal(wanted)), ExitStatus::Signal { number, .. }) => *wanted == number,
            (Some(What::AnySignal), ExitStatus::Signal { .. }) | (Some(What::AnyFailure), _) => true,
            _ => false,
        }
    }
}

impl Rule {
    /// What the rule matches, as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.what {
            What::Line { pattern, .. } => pattern.clone(),
            What::ExitCode(code) => format!("exit_code = {code}"),
            What::Signal(number) => match signal_name(*number) {
                Some(name) => format!("signal = \"{name}\""),
                None => format!("signal = {number}"),
            },
            What::AnySignal => "ended by a signal".to_owned(),
            What::AnyFailure => "any other end that is no success".to_owned(),
        }
    }
}

#[derive(Default)]
struct Making {
    rules: Vec<Rule>,
    patterns: Vec<String>,
    of_pattern: Vec<usize>,
    /// The number of patterns that are the program's own; they come first.
    own: usize,
    problems: Vec<String>,
}

impl Making {
    fn push(&mut self, name: &str, class: &str, what: What) {
        self.rules.push(Rule { name: name.into(), class: class.into(), what });
    }

    fn pack(&mut self, pack: &Pack) {
        let name = format!("builtin:{}", pack.name);
        let pattern = format!("(?i-u:{})", pack.pattern);
        self.pattern(
            &name,
            pack.class,
            &pattern,
            pack.pattern,
            StreamChoice::Any,
            pack.any_level,
            pack.retry_after,
        );
    }

    #[expect(clippy::too_many_arguments, reason = "one place, called twice, where each is named at the call")]
    fn pattern(
        &mut self,
        name: &str,
        class: &str,
        pattern: &str,
        shown: &str,
        stream: StreamChoice,
        any_level: bool,
        retry_after: Option<&str>,
    ) {
        if let Err(error) = build(pattern) {
            return self.problems.push(format!("{name}: {error}"));
        }
        let retry_after = retry_after.and_then(|pattern| {
            build(pattern).map_err(|error| self.problems.push(format!("{name}.retry_after: {error}"))).ok()
        });
        self.of_pattern.push(self.rules.len());
        self.patterns.push(format!("(?:{pattern})"));
        let pattern = shown.to_owned();
        self.push(name, class, What::Line { pattern, stream, any_level, retry_after });
    }

    fn finish(mut self) -> Rules {
        let words = Words::of(packs().flat_map(|pack| pack.words.iter().copied()));
        let searched = if words.is_some() { self.own } else { self.patterns.len() };
        let block = block_of(self.patterns.get(..searched).unwrap_or_default());
        let set = RegexSetBuilder::new(&self.patterns)
            .multi_line(true)
            .crlf(true)
            .size_limit(SIZE_LIMIT)
            .build()
            .unwrap_or_else(|error| {
                self.problems.push(error.to_string());
                RegexSet::empty()
            });
        Rules { rules: self.rules, of_pattern: self.of_pattern, words, block, set, problems: self.problems }
    }
}

/// The automaton, or its substitute, that finds the candidates of these patterns in a block.
fn block_of(patterns: &[String]) -> Block {
    if patterns.is_empty() {
        return Block::Empty;
    }
    // Anchors of the whole text mean the line; in a block they would mean the block.
    if patterns.iter().any(|pattern| looks_at_lines(pattern)) {
        return Block::EachLine;
    }
    // All together may be larger than an automaton can be, though none of them is.
    build(&patterns.join("|")).map_or(Block::EachLine, Block::Automaton)
}

/// All built-in rules by pattern.
pub(super) fn packs() -> impl Iterator<Item = &'static Pack> {
    BEFORE_SIGNALS.iter().chain(AFTER_SIGNALS)
}

/// Whether the pattern has another meaning in a block than in each of its lines.
pub(super) fn looks_at_lines(pattern: &str) -> bool {
    pattern.contains(r"\A") || pattern.contains(r"\z") || pattern.contains("-m")
}

/// Goes through the lines of a block in which the expression may match, with their numbers; all of them without one.
pub(super) fn each_candidate<'a>(
    block: Option<&Regex>,
    bytes: &'a [u8],
    lines: &Cut,
    mut each: impl FnMut(usize, &'a [u8]),
) {
    let (mut first, mut start) = (0, 0);
    // Where an overlong line is split there is no newline, yet its parts count as lines: so each stretch between
    // splits is a block of its own, or `^` and `$` would mean another thing than in the line alone.
    for end in lines.splits.iter().chain(lines.ends.last()) {
        let past = lines.ends.partition_point(|line| line <= end);
        let ends = lines.ends.get(first..past).unwrap_or_default();
        let stretch = bytes.get(start..*end as usize).unwrap_or_default();
        candidates_between(block, stretch, start, ends, |line, text| each(first + line, text));
        (first, start) = (past, *end as usize);
    }
}

/// Looks at a stretch that begins at `base`; `ends` are places in the block.
fn candidates_between<'a>(
    block: Option<&Regex>,
    bytes: &'a [u8],
    base: usize,
    ends: &[u32],
    mut each: impl FnMut(usize, &'a [u8]),
) {
    let end_of = |line: usize| ends.get(line).map_or(bytes.len(), |end| *end as usize - base);
    let start_of = |line: usize| line.checked_sub(1).map_or(0, end_of);
    let mut line = 0;
    while line < ends.len() {
        if let Some(block) = block {
            let Some(found) = block.find_at(bytes, start_of(line)) else { return };
            line = ends.partition_point(|end| (*end as usize - base) <= found.start()).max(line);
        }
        if line < ends.len() {
            each(line, bytes.get(start_of(line)..end_of(line)).unwrap_or_default());
        }
        line += 1;
    }
}

pub(super) fn build(pattern: &str) -> Result<Regex, regex::Error> {
    // `$` of a line that ends in CR LF stands before the CR, alone as in a block.
    RegexBuilder::new(pattern).multi_line(true).crlf(true).size_limit(SIZE_LIMIT).build()
}
