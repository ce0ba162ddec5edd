//! No two files of a crate need each other, directly or around others: who reads one of them can stop there.
//!
//! A file needs another when it names something in it by `use`, or by a path that begins with `crate`, `self` or `super`. What
//! this does not see: names that come through a `mod.rs`, `lib.rs` or `main.rs` (such files are left out, both as who needs and
//! as what is needed), methods that an `impl` of another file adds to a type, macros, and modules inside a file. Tests are
//! left out.

use super::{Broken, Source, code, is_test_file, open_braces, without_tests};
use std::collections::{BTreeMap, BTreeSet};

/// Where the crates begin.
const CRATES: [&str; 3] = ["actors/src/", "src/", "examples/supervise/"];

/// Circles that are there, and why they still are. One that is gone must go here too.
pub(crate) const KNOWN: &[(&[&str], &str)] = &[(
    &[
        "src/web/figures.rs",
        "src/web/journal.rs",
        "src/web/logs.rs",
        "src/web/metrics.rs",
        "src/web/programs.rs",
        "src/web/recording.rs",
        "src/web/routes.rs",
        "src/web/runs.rs",
        "src/web/wire.rs",
    ],
    "what all routes share stands in the files of some; to be told apart with the program verbs",
)];

/// Circles that nobody has excused, and excuses that nobody needs.
pub(crate) fn unexcused(files: &[Source], known: &[(&[&str], &str)]) -> Broken {
    let found: Vec<_> = CRATES.iter().flat_map(|root| circles(files, root)).collect();
    let excused = |circle: &BTreeSet<String>| {
        known.iter().any(|(files, _)| circle.iter().all(|file| files.contains(&file.as_str())))
    };
    let new = found.iter().filter(|circle| !excused(circle)).map(|circle| {
        let files: Vec<_> = circle.iter().map(String::as_str).collect();
        format!("{} need each other", files.join(", "))
    });
    let needed = |files: &[&str]| found.iter().flatten().any(|file| files.contains(&file.as_str()));
    let stale = known
        .iter()
        .filter(|(files, _)| !needed(files))
        .map(|(files, _)| format!("{} need each other no more: strike them from `KNOWN`", files.join(", ")));
    new.chain(stale).collect()
}

/// The files of a crate that need each other, as sets.
fn circles(files: &[Source], root: &str) -> Vec<BTreeSet<String>> {
    let of_crate: BTreeMap<String, &Source> = files
        .iter()
        .filter(|file| file.path.starts_with(root) && file.path.ends_with(".rs") && !is_test_file(&file.path))
        .map(|file| (module_of(&file.path, root), file))
        .collect();
    let is_leaf = |module: &String| !is_door(&of_crate[module].path);
    let needs: BTreeMap<&String, BTreeSet<String>> = of_crate
        .iter()
        .map(|(module, file)| {
            let needed = names(&without_tests(&code(&file.text))).into_iter();
            let needed = needed.filter_map(|name| resolve(module, &name, &of_crate));
            (module, needed.filter(|needed| needed != module && is_leaf(needed)).collect())
        })
        .filter(|(module, _): &(&String, _)| is_leaf(module))
        .collect();
    let reach: BTreeMap<&String, BTreeSet<&String>> =
        needs.keys().map(|module| (*module, reachable(module, &needs))).collect();
    let mut found = BTreeSet::new();
    for (module, reached) in &reach {
        if reached.contains(module) {
            let circle = reached.iter().filter(|other| reach[**other].contains(module));
            found.insert(circle.map(|other| of_crate[*other].path.clone()).collect::<BTreeSet<_>>());
        }
    }
    found.into_iter().collect()
}

fn reachable<'a>(from: &String, needs: &'a BTreeMap<&'a String, BTreeSet<String>>) -> BTreeSet<&'a String> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<&String> = needs[from].iter().collect();
    while let Some(module) = open.pop() {
        if seen.insert(module) {
            open.extend(&needs[module]);
        }
    }
    seen
}

/// Whether a file is what others come in by.
fn is_door(path: &str) -> bool {
    ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| path.rsplit('/').next() == Some(name))
}

/// `crate::store::journal` for `actors/src/store/journal.rs`.
fn module_of(path: &str, root: &str) -> String {
    let path = path.trim_start_matches(root).trim_end_matches(".rs");
    let parts = path.split('/').filter(|part| !matches!(*part, "mod" | "lib" | "main"));
    std::iter::once("crate").chain(parts).collect::<Vec<_>>().join("::")
}

/// What the code names: by `use`, and by paths that say where they begin.
fn names(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let begins = code[..at].chars().next_back().is_none_or(|c| c.is_whitespace() || c == ')');
        if let (true, Some(end)) = (begins, code[at..].find(';')) {
            open_braces("", &code[at + 4..at + end], &mut found);
        }
    }
    for start in ["crate::", "self::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let inside = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            if !code[..at].chars().next_back().is_some_and(inside) {
                found.push(code[at..].chars().take_while(|c| inside(*c)).collect());
            }
        }
    }
    found
}

/// The module that a name leads to, as far as it has a file of its own.
fn resolve(module: &str, name: &str, files: &BTreeMap<String, &Source>) -> Option<String> {
    let mut at: Vec<&str> = module.split("::").collect();
    let mut rest = name.split("::").filter(|part| !part.is_empty()).peekable();
    match rest.peek()? {
        &"crate" => at.clear(),
        &"self" | &"super" => {
            while let Some(step) = rest.next_if(|part| matches!(*part, "self" | "super")) {
                at.truncate(at.len().saturating_sub(usize::from(step == "super")));
            }
        }
        child if files.contains_key(&format!("{module}::{child}")) => {}
        _ => return None,
    }
    at.extend(rest);
    while !at.is_empty() {
        let path = at.join("::");
        if files.contains_key(&path) {
            return Some(path);
        }
        at.pop();
    }
    None
}
