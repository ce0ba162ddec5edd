//! Parameters that would become a part of a program: the text behind `sh -c` and its like is not an argument but code.

use super::args::Word;
use crate::model::{Arg, Command, ParamKind, Placeholder, Problem, Program, Template};

/// Programs that take a program as an argument, the letter of the option that it stands behind, and how one writes it so that
/// a value stays a value.
const READERS: [(&[&str], &[char], &str); 6] = [
    (
        &["sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "su", "runuser", "script", "flock"],
        &['c'],
        "sh -c 'echo \"$1\"' sh {x}",
    ),
    (&["python", "pypy"], &['c'], "python3 -c 'import sys; print(sys.argv[1])' {x}"),
    (&["perl"], &['e', 'E'], "perl -e 'print $ARGV[0]' {x}"),
    (&["ruby"], &['e'], "ruby -e 'puts ARGV[0]' {x}"),
    (&["node", "nodejs", "bun", "deno"], &['e', 'p'], "node -e 'console.log(process.argv[1])' {x}"),
    (&["php"], &['r'], "php -r 'echo $argv[1];' -- {x}"),
];

/// Longest cluster of one-letter options: longer words are options by name.
const CLUSTER: usize = 6;

/// Options of `ssh` that have a value of their own.
const SSH_VALUES: &str = "BbcDEeFIiJLlmOopPQRSWw";

impl Program {
    /// Places inside of what a shell or another interpreter reads as a program.
    pub(super) fn places_in_code(&self) -> Vec<Problem> {
        let mut words = self.words();
        if let Command::Argv(argv) = &self.command
            && let Some(Arg::One(program)) = argv.first()
        {
            words.insert(0, Word { path: "command[0]".to_owned(), text: program, alone: true });
        }
        let mut found: Vec<Problem> = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let rest = words.get(at + 1..).unwrap_or_default();
            let name = word.text.rsplit('/').next().unwrap_or_default();
            let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
            let reader = READERS.iter().find(|(names, ..)| names.contains(&name));
            let (code, example) = match reader {
                Some((_, letters, example)) => (behind_option(rest, letters), Some(example)),
                None if name == "ssh" => (of_the_other_side(rest), None),
                None => continue,
            };
            for word in code {
                let place = self.free_place(word.text);
                if let Some(place) = place.filter(|_| !found.iter().any(|problem| problem.path == word.path))
                {
                    let message = format!(
                        "`{place}` becomes a part of a program that `{name}` reads: `$(…)` or a quote in it is obeyed"
                    );
                    let help = match example {
                        Some(example) => format!(
                            "hand it over as an argument of its own ({}), or give it an `env`",
                            example.replace("{x}", &place.to_string())
                        ),
                        None => "the other side's shell reads it: let a script there read it from its input"
                            .into(),
                    };
                    found.push(Problem::new("config.shell", &word.path, message, help));
                }
            }
        }
        found
    }

    /// A place in this text whose value may be any text.
    fn free_place<'t>(&self, text: &'t str) -> Option<Placeholder<'t>> {
        let free = |place: &Placeholder<'_>| {
            let kind = self.params.get(place.name).map(|spec| spec.kind.of_one());
            matches!(kind, Some(ParamKind::String | ParamKind::Url))
        };
        Template::parse(text).ok()?.places().find(free)
    }
}

/// The word behind an option of these letters, as in `-c` and `-lc`; or the same word, as in `--eval=…`.
fn behind_option<'w, 'a>(words: &'w [Word<'a>], letters: &[char]) -> Vec<&'w Word<'a>> {
    for (at, word) in words.iter().enumerate() {
        let Some(options) = word.text.strip_prefix('-') else { continue };
        let long = ["-eval", "-print", "-command", "-session-command"];
        if let Some((name, _)) = options.split_once('=')
            && long.contains(&name)
        {
            return vec![word];
        }
        let cluster = options.len() < CLUSTER && options.chars().all(|c| c.is_ascii_alphanumeric());
        if (cluster && options.ends_with(letters))
            || (cluster && letters == ['c'] && options.contains('c'))
            || long.contains(&options)
        {
            return words.get(at + 1).into_iter().collect();
        }
    }
    Vec::new()
}

/// What stands behind the host of an `ssh`.
fn of_the_other_side<'w, 'a>(words: &'w [Word<'a>]) -> Vec<&'w Word<'a>> {
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.text.strip_prefix('-') {
            Some(option) if option.len() == 1 && SSH_VALUES.contains(option) => drop(rest.next()),
            Some(_) => {}
            None => break,
        }
    }
    rest.collect()
}
