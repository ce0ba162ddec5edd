//! The files of one configuration, walked and joined.

use super::{
    diagnostic::{At, Finding, Lines, Source},
    files::{folder_of, read_text, unreadable},
    keys::Keys,
    root::ROOT,
    tree::{Node, Table, Value},
    walk::Walk,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    io,
    ops::Range,
    path::{Path, PathBuf},
};
use toml::de::DeTable;

/// Tables that stand once in all files together.
const SINGLE: [&str; 4] = ["server", "store", "defaults", "retry_budget"];

/// What all files say.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) sources: Vec<Source>,
    pub(super) findings: Vec<Finding>,
    /// `server`, `store`, `defaults`, `retry_budget`.
    pub(super) tables: Table,
    pub(super) programs: Vec<(String, Node)>,
    pub(super) breakers: Vec<(String, Node)>,
    /// Whether includes are refused.
    pub(super) alone: bool,
    /// Files on the way from the first to the one being read, to find circles.
    open: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
    /// Where the programs and breakers that are known stand.
    named: HashMap<(&'static str, String), At>,
    /// Lines of each file that the parser could not read.
    broken: BTreeMap<usize, Vec<Range<usize>>>,
}

/// Walks the text of one file by a table of keys.
pub(super) fn walk_text(file: usize, text: &str, keys: Keys) -> (Table, Vec<Finding>, Vec<Range<usize>>) {
    let mut walk = Walk { file, text, path: Vec::new(), findings: Vec::new() };
    let (tree, errors) = DeTable::parse_recoverable(text);
    let root = walk.table(keys, tree.get_ref());
    let mut found = walk.findings;
    let mut broken = Vec::new();
    if !errors.is_empty() {
        let spans: Vec<_> = errors.iter().map(|error| error.span().unwrap_or_default()).collect();
        let lines = Lines::of(text);
        broken = broken_lines(&lines, &spans, text.len());
        // What stands on a broken line is guesswork of the parser; its other lines are as good as ever.
        found.retain(|finding| !is_broken(&broken, finding.at.start));
        let syntax = errors.iter().zip(&spans).map(|(error, span)| {
            let help = "see toml.io for the format; texts stand in \"quotes\"";
            Finding::error(At::new(file, span), "config.syntax", error.message(), help)
        });
        found.extend(syntax);
    }
    (root, found, broken)
}

/// The lines on which these spans begin and end, ascending and apart.
fn broken_lines(lines: &Lines, spans: &[Range<usize>], length: usize) -> Vec<Range<usize>> {
    let numbers: BTreeSet<_> =
        spans.iter().flat_map(|span| [lines.number(span.start), lines.number(span.end)]).collect();
    numbers.into_iter().map(|number| lines.range(number, length)).collect()
}

fn is_broken(broken: &[Range<usize>], at: usize) -> bool {
    let after = broken.partition_point(|line| line.start <= at);
    after.checked_sub(1).and_then(|last| broken.get(last)).is_some_and(|line| line.contains(&at))
}

impl Document {
    /// Walks one file and all it includes.
    pub(super) fn add(&mut self, path: &Path, text: String) {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        self.seen.insert(real.clone());
        self.open.push(real);
        let file = self.sources.len();
        let (mut root, mut found, broken) = walk_text(file, &text, &ROOT);
        self.findings.append(&mut found);
        self.broken.extend((!broken.is_empty()).then_some((file, broken)));
        self.sources.push(Source::new(path.to_owned(), text));
        self.check_version(&root);
        let includes = root.remove("include");
        self.join(root);
        if let Some(Node { value: Value::List(files), .. }) = includes {
            for node in files {
                self.include(path, &node);
            }
        }
        self.open.pop();
    }

    /// Whether the parser could read all of every file.
    pub(super) fn is_sound(&self) -> bool {
        self.broken.is_empty()
    }

    /// Whether the parser could not read the line of this place.
    pub(super) fn is_guesswork(&self, at: At) -> bool {
        self.broken.get(&at.file).is_some_and(|broken| is_broken(broken, at.start))
    }

    fn fail(&mut self, at: At, code: &str, message: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding::error(at, code, message, help));
    }

    fn check_version(&mut self, root: &Table) {
        if let Some(Node { value: Value::Number(version), at }) = root.get("version")
            && *version != 1
        {
            let message = format!("version {version} of the format is not known");
            self.fail(*at, "config.version", message, "this program reads version = 1");
        }
    }

    fn include(&mut self, from: &Path, node: &Node) {
        let Value::Text(name) = &node.value else { return };
        if self.alone {
            let message = format!("`{name}` is not read: this text may include nothing");
            self.fail(node.at, "config.include", message, "put everything into one text");
            return;
        }
        let path = folder_of(from).join(name);
        let short = path.strip_prefix(".").ok().filter(|short| !short.as_os_str().is_empty());
        let path = short.map_or_else(|| path.components().collect(), Path::to_owned);
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if self.open.contains(&real) {
            let message = format!("`{name}` includes itself, through this line");
            self.fail(node.at, "config.include", message, "take the include out of one of the files");
        } else if self.seen.contains(&real) {
            let message = format!("`{name}` is included twice");
            self.fail(node.at, "config.include", message, "take one of the includes out");
        } else {
            match read_text(&path) {
                Ok(text) => self.add(&path, text),
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                    let message = format!("`{name}` is a directory, and `include` takes files");
                    let help = "name each file in it; the path is relative to the file it stands in";
                    self.fail(node.at, "config.include", message, help);
                }
                Err(error) => {
                    let (why, help) = unreadable(&error);
                    let message = format!("cannot read the included file {}: {why}", path.display());
                    let help = format!("{help}; the path is relative to the file it stands in");
                    self.fail(node.at, "config.include", message, help);
                }
            }
        }
    }

    /// Adds the tables of a file to those of the files before it.
    fn join(&mut self, root: Table) {
        for (name, node) in root {
            match name.as_str() {
                "program" => self.join_named("program", node),
                "breaker" => self.join_named("breaker", node),
                _ if SINGLE.contains(&name.as_str()) => match self.tables.get(&name).map(|first| first.at) {
                    Some(first) => self.twice(&format!("[{name}]"), first, node.at),
                    None => {
                        self.tables.insert(name, node);
                    }
                },
                _ => {}
            }
        }
    }

    fn join_named(&mut self, kind: &'static str, node: Node) {
        let Value::Table(entries) = node.value else { return };
        // Tables come sorted by name; the order of the file is the one the reader knows.
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_by_key(|(_, node)| node.at.start);
        for (name, node) in entries {
            match self.named.entry((kind, name.clone())) {
                Entry::Occupied(first) => {
                    let first = *first.get();
                    self.twice(&format!("[{kind}.{name}]"), first, node.at);
                }
                Entry::Vacant(free) => {
                    free.insert(node.at);
                    let known = if kind == "program" { &mut self.programs } else { &mut self.breakers };
                    known.push((name, node));
                }
            }
        }
    }

    fn twice(&mut self, what: &str, first: At, second: At) {
        let first = Finding::error(first, "", "", "").into_diagnostic(&self.sources);
        let message = format!("{what} stands already in {}:{}", first.file.display(), first.line);
        self.fail(second, "config.duplicate", message, "join the two, or rename one");
    }
}
