//! What is wrong where: a message, the line with a caret, one thing to do.

use actix_process_actors::model::{escape, is_obeyed};
use std::{borrow::Cow, fmt, ops::Range, path::PathBuf};

/// How much it matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// It can, but probably does not mean what was meant.
    Warning,
}

/// One thing wrong in a configuration file.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// What kind of mistake, such as `config.unknown_key`: stable, for programs.
    pub code: String,
    /// What, in a sentence.
    pub message: String,
    /// The file, as it was named.
    pub file: PathBuf,
    /// From 1; 0 when it is about the file as a whole.
    pub line: usize,
    /// In characters from 1; 0 when it is about the file as a whole.
    pub column: usize,
    /// How many characters are meant.
    pub width: usize,
    /// The line.
    pub source: String,
    /// One thing to do about it.
    pub help: String,
}

/// Longest part of a line that is shown: more wraps on a terminal and hides the caret.
const SHOWN: usize = 100;
/// Characters shown before the caret when the line is cut.
const BEFORE: usize = 40;

impl Diagnostic {
    /// The part of the line that is shown, and how many of its characters stand before the caret.
    fn excerpt(&self) -> (String, usize) {
        let indent = self.column.saturating_sub(1);
        let length = self.source.chars().count();
        let skip = if length <= SHOWN { 0 } else { indent.saturating_sub(BEFORE) };
        let cut: String = self.source.chars().skip(skip).take(SHOWN).collect();
        let head = if skip > 0 { "…" } else { "" };
        let tail = if skip + SHOWN < length { "…" } else { "" };
        (format!("{head}{cut}{tail}"), indent - skip + usize::from(skip > 0))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{word}[{}]: {}", self.code, self.message)?;
        if self.line == 0 {
            write!(f, "  --> {}", escape(&self.file.to_string_lossy()))?;
        } else {
            let (excerpt, indent) = self.excerpt();
            let number = self.line.to_string();
            let gutter = " ".repeat(number.len());
            let carets = "^".repeat(self.width.clamp(1, SHOWN));
            writeln!(
                f,
                "{gutter}--> {}:{}:{}",
                escape(&self.file.to_string_lossy()),
                self.line,
                self.column
            )?;
            writeln!(f, "{gutter} |")?;
            writeln!(f, "{number} | {excerpt}")?;
            write!(f, "{gutter} | {}{carets}", " ".repeat(indent))?;
        }
        if self.help.is_empty() { Ok(()) } else { write!(f, "\n  help: {}", self.help) }
    }
}

/// Everything that is wrong in a configuration, in the order of the files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigErrors(pub Vec<Diagnostic>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, diagnostic) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// A file as it was read.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    lines: Lines,
}

impl Source {
    pub(super) fn new(path: PathBuf, text: String) -> Self {
        let lines = Lines::of(&text);
        Self { path, text, lines }
    }
}

/// Where the lines of a text begin, found once: a file may have as many errors as lines.
#[derive(Debug)]
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect())
    }

    /// The number of the line that this byte is in, from 1.
    pub(super) fn number(&self, at: usize) -> usize {
        self.0.partition_point(|begin| *begin <= at)
    }

    /// The bytes of a line with its end, in a text of this length.
    pub(super) fn range(&self, number: usize, length: usize) -> Range<usize> {
        let begin = |number: usize| self.0.get(number.saturating_sub(1)).copied();
        // A place just behind the text belongs to its last line.
        begin(number).unwrap_or(length)..begin(number + 1).unwrap_or(length + 1)
    }
}

/// Bytes of one of the files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct At {
    pub(super) file: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl At {
    pub(super) fn new(file: usize, span: &Range<usize>) -> Self {
        Self { file, start: span.start, end: span.end }
    }
}

/// Something found, before lines are counted. No place: the file as a whole.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) at: At,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) help: String,
}

impl Finding {
    pub(super) fn error(at: At, code: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Error, at, code: code.into(), message: message.into(), help: help.into() }
    }

    pub(super) fn into_diagnostic(self, sources: &[Source]) -> Diagnostic {
        let mut diagnostic = Diagnostic {
            severity: self.severity,
            code: self.code,
            message: printable(&shortened(&self.message)),
            file: PathBuf::new(),
            line: 0,
            column: 0,
            width: 0,
            source: String::new(),
            help: printable(&self.help),
        };
        if let Some(source) = sources.get(self.at.file) {
            diagnostic.file.clone_from(&source.path);
            locate(&mut diagnostic, source, self.at);
        }
        diagnostic
    }
}

/// Longest message in characters: a key or value that it names may be as long as the file.
const LONGEST: usize = 600;

/// Begin and end of what is too long; what stands between is nothing to read.
fn shortened(text: &str) -> Cow<'_, str> {
    let length = text.chars().count();
    if length <= LONGEST {
        return Cow::Borrowed(text);
    }
    let (begin, end) = (LONGEST * 2 / 3, LONGEST / 3);
    let head: String = text.chars().take(begin).collect();
    let tail: String = text.chars().skip(length - end).collect();
    Cow::Owned(format!("{head} … {} characters … {tail}", length - begin - end))
}

/// Finds line and column of the first byte meant, also when it is just behind the text.
fn locate(diagnostic: &mut Diagnostic, source: &Source, at: At) {
    let text = source.text.as_str();
    let start = floor_boundary(text, at.start);
    let end = floor_boundary(text, at.end).max(start);
    let (before, after) = text.split_at(start);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = after.find('\n').map_or(text.len(), |newline| start + newline);
    let count = |range: Range<usize>| text.get(range).unwrap_or_default().chars().count();
    diagnostic.line = source.lines.number(start);
    diagnostic.column = count(line_start..start) + 1;
    diagnostic.width = count(start..end.min(line_end)).max(1);
    diagnostic.source = printable(text.get(line_start..line_end).unwrap_or_default().trim_end_matches('\r'));
}

fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Without control characters: what a file holds must not move a terminal's cursor. One character stays one.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if is_obeyed(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}
