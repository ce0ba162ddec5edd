//! Configurations with every key, damaged: each is refused with places and reasons, or is one that works.

use crate::{draw::Draw, witness};
use actix_process::config;
use std::{path::Path, sync::mpsc::channel, time::Duration};

const SEEDS: [&str; 2] = [include_str!("../config/full.toml"), include_str!("../../examples/supervise.toml")];

/// Longest time that one may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// What stands where something else should.
const VALUES: [&str; 34] = [
    "\"\"",
    "\"5s\"",
    "5",
    "-1",
    "0",
    "1e400",
    "-0.0",
    "nan",
    "inf",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "true",
    "[]",
    "{}",
    "[[]]",
    "[\"\", \"\"]",
    "{ a = {} }",
    "1979-05-27T07:32:00Z",
    "\"99999999999d\"",
    "\"-5s\"",
    "\"5\"",
    "\"1e9s\"",
    "'\\'",
    "\"\\u0000\"",
    "\"\\u202e\"",
    "\"\\u001b[31m\"",
    "\"{a}\"",
    "\"{\"",
    "\"{{a}}\"",
    "\"(a\"",
    "'(?s)(a{1000}){1000}'",
    "\"99999999999GiB\"",
    "\"../../../..\"",
];

/// Pieces that the language knows.
const PIECES: [&str; 20] = [
    "=",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    ",",
    ".",
    "#",
    "\r",
    "\t",
    "\u{0}",
    "\u{feff}",
    "[program.crawler]\n",
    "include = [\".\"]\n",
];

fn at(draw: &mut Draw, text: &str) -> usize {
    let place = usize::try_from(draw.next() % (text.len() as u64 + 1)).unwrap_or(0);
    (0..=place).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0)
}

fn damage(draw: &mut Draw, text: &mut String) {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line = usize::try_from(draw.next() % lines.len().max(1) as u64).unwrap_or(0);
    let join = |lines: &[String]| lines.join("\n");
    match draw.between(0, 9) {
        0 => text.truncate(at(draw, &text.clone())),
        1 => {
            let (a, b) = (at(draw, text), at(draw, text));
            text.replace_range(a.min(b)..a.max(b).min(a.min(b) + 40).max(a.min(b)), "");
        }
        2 => text.insert_str(at(draw, &text.clone()), draw.one_of(&PIECES)),
        3 => {
            let mut lines = lines;
            if line < lines.len() {
                lines.remove(line);
            }
            *text = join(&lines);
        }
        4 => {
            let mut lines = lines;
            if line < lines.len() {
                lines.insert(line, lines[line].clone());
            }
            *text = join(&lines);
        }
        5 => {
            let mut lines = lines;
            let other = usize::try_from(draw.next() % lines.len().max(1) as u64).unwrap_or(0);
            if line < lines.len() {
                lines.swap(line, other);
            }
            *text = join(&lines);
        }
        6 => {
            let mut lines = lines;
            if let Some(found) = lines.get_mut(line)
                && let Some((_, value)) = found.split_once(" = ")
            {
                text.push_str(&format!(
                    "{} = {value}\n",
                    draw.one_of(&["version", "x", "command", "\"\"", "a.b"])
                ));
                lines[line].insert(0, '"');
            }
            *text = join(&lines);
        }
        _ => {
            let mut lines = lines;
            if let Some(found) = lines.get_mut(line)
                && let Some((key, _)) = found.split_once(" = ")
            {
                *found = format!("{key} = {}", draw.one_of(&VALUES));
            }
            *text = join(&lines);
        }
    }
}

/// Sizes that nobody writes by hand.
fn monsters() -> Vec<String> {
    vec![
        "[".repeat(100_000),
        format!("a = {}", "[".repeat(50_000)),
        format!("a = {}", "{a=".repeat(20_000)),
        format!("{} = 1", "a.".repeat(50_000)),
        format!("{} = 1", "k".repeat(1_000_000)),
        format!("[program.{}]\ncommand = ['x']\n", "n".repeat(100_000)),
        (0..20_000).map(|n| format!("key{n} = 1\n")).collect(),
        (0..2_000)
            .map(|n| format!("[program.p{n}]\ncommand = ['x']\nbreakers = ['site:{{nobody}}']\n"))
            .collect(),
        "\u{0}".repeat(1_000),
        String::new(),
    ]
}

/// What is wrong with how a text was taken; empty when nothing is.
fn judge(text: &str) -> String {
    let lines = text.lines().count().max(1) + 1;
    match config::parse_alone(text, Path::new("fuzzed.toml")) {
        Ok(config) => {
            let bad = config.programs.iter().flat_map(|program| program.check());
            bad.map(|problem| format!("accepted, and its check says {problem:?}\n")).collect()
        }
        Err(errors) => {
            let mut found = String::new();
            if errors.0.is_empty() || errors.to_string().trim().is_empty() {
                found.push_str("refused without a word\n");
            }
            for one in &errors.0 {
                if one.message.is_empty() || one.line > lines || one.column > text.len() + 2 {
                    found.push_str(&format!("no place or no reason: {one:?}\n"));
                }
            }
            found
        }
    }
}

#[test]
fn damaged_configurations_are_refused_with_place_and_reason_or_work() {
    witness::watch();
    let (count, mut draw) = crate::cases(500);
    let mut texts = monsters();
    for _ in 0..count {
        let mut text = draw.one_of(&SEEDS).to_owned();
        for _ in 0..draw.between(1, 6) {
            damage(&mut draw, &mut text);
        }
        texts.push(text);
    }
    let (tell, heard) = channel();
    let cases = texts.clone();
    std::thread::spawn(move || cases.iter().for_each(|text| drop(tell.send(judge(text)))));
    for (number, text) in texts.iter().enumerate() {
        let shown: String = text.chars().take(6_000).collect();
        let judged = heard.recv_timeout(PATIENCE);
        let judged = judged.unwrap_or_else(|why| panic!("case {number} is not answered ({why}):\n{shown}"));
        assert!(judged.is_empty(), "case {number}: {judged}\n{shown}");
    }
    witness::assert_no_panic("a configuration");
}

#[test]
fn files_that_are_no_text_are_refused_with_a_reason() {
    witness::watch();
    let (count, mut draw) = crate::cases(100);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("supervise.toml");
    for _ in 0..count {
        let mut bytes = SEEDS[0].as_bytes().to_vec();
        for _ in 0..draw.between(1, 8) {
            let place = usize::try_from(draw.next() % bytes.len() as u64).expect("a place");
            bytes[place] ^= 1 << draw.between(0, 7);
        }
        std::fs::write(&path, &bytes).expect("written");
        if let Err(errors) = config::load(&path) {
            assert!(!errors.0.is_empty() && !errors.to_string().is_empty(), "{bytes:?}");
        }
    }
    witness::assert_no_panic("a configuration");
}
