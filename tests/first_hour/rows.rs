//! The table of what was tried: every row is shown, and those that came out otherwise are told together at the end.

use crate::daemon::Said;

/// What is tried, and what came of it.
#[derive(Default)]
pub(crate) struct Rows {
    wrong: Vec<String>,
    tried: usize,
}

impl Rows {
    /// One row: the exit code, and words that stand in what was said. `!` before a word: it must not stand there.
    pub(crate) fn check(&mut self, what: &str, said: &Said, code: i32, words: &[&str]) {
        let all = format!("{}{}", said.out, said.err);
        let stands = |word: &&&str| match word.strip_prefix('!') {
            Some(word) => !all.contains(word),
            None => all.contains(**word),
        };
        let missing: Vec<_> = words.iter().filter(|word| !stands(word)).collect();
        // Whatever is read by a program, and not by a person at a terminal, has no colours.
        let plain = !all.contains('\u{1b}');
        let right = said.code == code && missing.is_empty() && plain;
        let verdict = if right { "PASS" } else { "FAIL" };
        println!("{verdict}  exit {}  {what}", said.code);
        self.tried += 1;
        if !right {
            self.wrong.push(format!(
                "{what}: exit {} instead of {code}; not as it should be: {missing:?}; colours: {}\n{all}",
                said.code, !plain
            ));
        }
    }

    /// Nothing may have come out otherwise.
    pub(crate) fn end(self) {
        println!("{} rows", self.tried);
        assert!(self.tried > 0, "nothing was tried");
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n\n"));
    }
}
