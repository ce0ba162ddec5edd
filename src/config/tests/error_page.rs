//! The page of error codes: each with a file that brings it about, and what is then said.

use super::{bad, good};
use crate::config::{Severity, load};
use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

/// A code, what it means, and a file that has this mistake.
const CODES: &[(&str, &str, &str)] = &[
    (
        "config.command",
        "A command given as one text cannot be split without a shell.",
        "[program.p]\ncommand = \"cat a | wc -l\"\n",
    ),
    (
        "config.conflict",
        "Two settings contradict each other. As a warning: they can both hold, but that is probably not meant.",
        "[program.p]\nscript = \"x\"\n[program.p.retry]\ndelay = \"10m\"\nmax_delay = \"5m\"\n",
    ),
    (
        "config.duplicate",
        "A table stands in two files of one configuration. As a warning: a scope stands twice in a list.",
        "",
    ),
    (
        "config.duration",
        "A time cannot be read: its unit is missing or unknown, or it has a fraction.",
        "[program.p]\nscript = \"x\"\ntimeout = 5\n",
    ),
    (
        "config.include",
        "An included file cannot be read, or is included twice.",
        "include = [\"missing.toml\"]\n",
    ),
    ("config.name", "A name has characters that it may not have.", "[program.Scraper]\nscript = \"x\"\n"),
    (
        "config.not_yet",
        "A warning: the key is accepted, and this version does not act upon it.",
        "[server]\ntokens_file = \"other.toml\"\n",
    ),
    (
        "config.range",
        "A number or a time is too small or too large.",
        "[program.p]\nscript = \"x\"\n[program.p.retry]\nfactor = 0.5\n",
    ),
    ("config.read", "The file itself cannot be read.", ""),
    (
        "config.regex",
        "A regular expression cannot be used.",
        "[program.p]\nscript = \"x\"\n[[program.p.classify]]\nclass = \"rate_limited\"\npattern = 'HTTP 429'\nretry_after = 'after \\d+ s'\n",
    ),
    ("config.required", "Something is missing without which the rest says nothing.", "[program.p]\n"),
    (
        "config.secret",
        "A secret would be seen by others, or reaches nobody.",
        "[program.p]\nscript = \"x\"\nargs = [\"{key}\"]\n[program.p.params.key]\nsecret = true\nenv = \"API_KEY\"\n",
    ),
    (
        "config.shell",
        "A warning: a parameter becomes a part of a program that a shell or another interpreter reads.",
        "[program.p]\ncommand = [\"sh\", \"-c\", \"echo {name}\"]\nparams.name.required = true\n",
    ),
    (
        "config.signal",
        "A signal is not called so.",
        "[program.p]\nscript = \"x\"\nstop_signal = \"SIGTREM\"\n",
    ),
    (
        "config.size",
        "A size cannot be read: its unit is missing or unknown.",
        "[program.p]\nscript = \"x\"\noutput.recent = 65536\n",
    ),
    ("config.syntax", "The file is not TOML.", "[program.p]\nscript = \n"),
    (
        "config.template",
        "Braces do not fit together. As a warning: they stand where no value is filled in.",
        "[program.p]\nscript = \"x\"\nargs = [\"{host\"]\n",
    ),
    ("config.too_many", "There are more errors than anybody reads; the rest is counted.", ""),
    (
        "config.type",
        "A value is of another type than its key.",
        "[program.p]\nscript = \"x\"\nautostart = \"yes\"\n",
    ),
    (
        "config.unknown_class",
        "A warning: a class is given rules, and nothing finds it.",
        "[program.p]\nscript = \"x\"\n[program.p.classes.rate_limted]\nretry = false\n",
    ),
    (
        "config.unknown_key",
        "A key is not known here. Keys are never ignored, because a slip would then mean a default.",
        "[program.scraper]\ncomand = [\"python3\", \"scrape.py\"]\nscript = \"x\"\n",
    ),
    (
        "config.unknown_param",
        "A parameter is named that the program does not have.",
        "[program.p]\nscript = \"x\"\nargs = [\"{hots}\"]\nparams.host.type = \"string\"\n",
    ),
    (
        "config.value",
        "A value of the right type means nothing here.",
        "[program.p]\nscript = \"x\"\nrestart = \"on_failure\"\n",
    ),
    ("config.version", "The file is of a version of the format that is not known.", "version = 2\n"),
];

fn page() -> String {
    let mut page = String::from(
        "# Errors of a configuration\n\nMade by a test from files that have these mistakes. `supervise check FILE` tells all errors of a file at once\n\
         and ends with exit code 2; warnings go to standard error, and the file can be used. Codes are stable.\n",
    );
    for (code, meaning, text) in CODES {
        let _ = write!(page, "\n## `{code}`\n\n{meaning}\n");
        if !text.is_empty() {
            let said = said(code, text).replace("/etc/shop/", "");
            let _ = write!(page, "\n```toml\n{text}```\n\n```text\n{said}\n```\n");
        }
    }
    page
}

/// What is said about a file with one mistake.
fn said(code: &str, text: &str) -> String {
    let warns = ["config.not_yet", "config.shell", "config.unknown_class"].contains(&code);
    let (severity, told) =
        if warns { (Severity::Warning, good(text).warnings) } else { (Severity::Error, bad(text)) };
    let [one] = told.as_slice() else { panic!("{code}: {told:#?}") };
    assert_eq!((one.code.as_str(), one.severity), (code, severity));
    one.to_string()
}

#[test]
fn the_reference_page_of_errors_is_what_is_said() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/errors.md");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(path, page()).unwrap();
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    assert!(written == page(), "say `UPDATE_REFERENCE=1 cargo test the_reference_page` and commit docs/");
}

#[test]
fn every_code_in_the_sources_has_its_place_on_the_page() {
    let mut used = BTreeSet::new();
    for folder in ["src", "actors/src"] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut used);
    }
    let known: BTreeSet<_> = CODES.iter().map(|(code, ..)| (*code).to_owned()).collect();
    assert_eq!(used, known);
    assert_eq!(load(Path::new("/nonexistent/x.toml")).unwrap_err().0[0].code, "config.read");
}

/// Every `"config.…"` of the sources below a folder.
fn collect(folder: &Path, used: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, used);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        for piece in text.split("\"config.").skip(1) {
            let name = piece.split('"').next().unwrap_or_default();
            if !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                used.insert(format!("config.{name}"));
            }
        }
    }
}
