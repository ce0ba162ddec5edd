//! What is wrong with a program as a whole.

use super::{
    Command, Program,
    check_places::Use,
    check_rules::{check_regex, is_priority, wrong_priority},
};
use crate::model::{Arg, Placeholder, Problem, ScopeKind, Template, policy::LONGEST_WAIT_MS};
use std::path::Path;

/// Longest program name: it is part of file names, metrics and `ps`.
const LONGEST_NAME: usize = 63;
/// The variable that we set ourselves, so that leftovers of a lost attempt can be told.
const TAG_VARIABLE: &str = "ACTIX_PROCESS";

pub(super) fn range(path: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Problem {
    Problem::new("config.range", path, message, help)
}

pub(super) fn invalid(
    path: impl Into<String>,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Problem {
    Problem::new("config.value", path, message, help)
}

impl Program {
    /// Everything that is wrong with it, with paths in the names of the configuration file; empty when it can be
    /// used. Reads no file: whether script and folders exist is seen at the start.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut found = self.rejected.clone();
        self.check_name(&mut found);
        self.check_command(&mut found);
        self.check_environment(&mut found);
        self.check_numbers(&mut found);
        self.check_scopes(&mut found);
        self.check_params(&mut found);
        self.check_ready(&mut found);
        self.check_classify(&mut found);
        self.check_classes(&mut found);
        self.check_costs(&mut found);
        self.check_output(&mut found);
        found.extend(self.retry.check().into_iter().map(|problem| problem.below("retry")));
        if let Some(breaker) = &self.breaker {
            let trips = self.some_class_trips(ScopeKind::Program);
            let problems = if trips { breaker.check_where_a_class_trips() } else { breaker.check() };
            found.extend(problems.into_iter().map(|problem| problem.below("breaker")));
            found.extend(breaker.quarantine_never_begins(&self.retry));
        }
        found
    }

    /// What is allowed but probably not meant.
    #[must_use]
    pub fn advice(&self) -> Vec<Problem> {
        let mut found: Vec<_> =
            self.retry.advice(self.max_retries()).into_iter().map(|problem| problem.below("retry")).collect();
        if let Some(breaker) = &self.breaker {
            let advice = breaker.advice(self.timeout_ms, &self.retry);
            found.extend(advice.into_iter().map(|problem| problem.below("breaker")));
        }
        found.extend(self.short_class_delays());
        found.extend(self.unheard_ends());
        found.extend(self.unknown_classes());
        found.extend(self.patterns_over_lines());
        found.extend(self.doubtful_args());
        found.extend(self.places_in_code());
        found.extend(self.braces_taken_literally());
        found.extend(self.same_scopes());
        found
    }

    fn check_name(&self, found: &mut Vec<Problem>) {
        let first = self.name.chars().next().is_some_and(|c| c.is_ascii_lowercase());
        let rest =
            self.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c));
        if !first || !rest || self.name.len() > LONGEST_NAME {
            found.push(Problem::new(
                "config.name",
                "",
                format!("`{}` cannot be a program's name", self.name),
                "a name begins with a letter a-z and goes on with a-z, 0-9, _ and -; at most 63 characters",
            ));
        }
    }

    fn check_command(&self, found: &mut Vec<Problem>) {
        match &self.command {
            Command::Script { name, path, interpreter } => {
                if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
                    found.push(invalid(
                        "script",
                        format!("`{name}` is not one file name"),
                        "write the file's name alone, and its folder in script_path",
                    ));
                }
                if path.is_empty() || path.iter().any(|folder| !is_path(folder)) {
                    found.push(invalid(
                        "script_path",
                        "`script_path` names no folder",
                        "write for example script_path = [\"scripts\"]",
                    ));
                }
                if interpreter.first().is_some_and(String::is_empty) {
                    found.push(invalid(
                        "interpreter",
                        "the interpreter is empty",
                        "leave it out to go by extension",
                    ));
                }
                for (at, element) in interpreter.iter().enumerate() {
                    no_nul(&format!("interpreter[{at}]"), element, found);
                }
            }
            Command::Argv(_) => self.check_argv(found),
        }
        self.check_args(found);
    }

    fn check_environment(&self, found: &mut Vec<Problem>) {
        for (name, value) in &self.env {
            let path = format!("env.{name}");
            check_variable(&path, name, found);
            self.check_template(&path, value, Use::Variable, found);
        }
        self.check_folder(found);
        for (path, value) in [("cwd", Some(&self.cwd)), ("env_file", self.env_file.as_ref())] {
            if value.is_some_and(|value| !is_path(value)) {
                found.push(invalid(path, format!("`{path}` is no path"), "leave it out for the default"));
            }
        }
    }

    /// What chooses the folder must not choose what is run in it.
    fn check_folder(&self, found: &mut Vec<Problem>) {
        let Some(cwd) = self.cwd.to_str() else { return };
        self.check_template("cwd", cwd, Use::Folder, found);
        let chosen =
            Template::parse(cwd).ok().and_then(|template| template.places().next().map(|p| p.to_string()));
        let run = match &self.command {
            Command::Argv(argv) => match argv.first() {
                Some(Arg::One(program)) => Some(("command[0]", program)),
                _ => None,
            },
            Command::Script { interpreter, .. } => interpreter.first().map(|word| ("interpreter[0]", word)),
        };
        if let (Some(place), Some((path, word))) = (chosen, run)
            && word.contains('/')
            && !word.starts_with('/')
        {
            let message =
                format!("`{word}` is looked for in `cwd`, so that {place} would choose what is run");
            found.push(
                invalid(path, message, "write an absolute path, or a name that PATH has").against("cwd"),
            );
        }
    }

    /// Texts in braces that would be places elsewhere.
    fn braces_taken_literally(&self) -> Vec<Problem> {
        let mut texts: Vec<(String, String)> = Vec::new();
        if let Command::Script { name, path, interpreter } = &self.command {
            texts.push(("script".to_owned(), name.clone()));
            let folders = path.iter().enumerate();
            texts
                .extend(folders.map(|(at, path)| (format!("script_path[{at}]"), path.display().to_string())));
            let words = interpreter.iter().enumerate();
            texts.extend(words.map(|(at, word)| (format!("interpreter[{at}]"), word.clone())));
        }
        texts.extend(self.env_file.iter().map(|path| ("env_file".to_owned(), path.display().to_string())));
        texts.extend(self.env.keys().map(|name| (format!("env.{name}"), name.clone())));
        let carriers = self.params.values().filter_map(|spec| Some((spec, spec.env.clone()?)));
        texts.extend(carriers.map(|(spec, env)| (format!("params.{}.env", spec.name), env)));
        let known = |place: &Placeholder<'_>| place.is_own() || self.params.contains_key(place.name);
        let literal = |(path, text): (String, String)| {
            let place = Template::parse(&text).ok()?.places().find(known)?.to_string();
            let message = format!("`{place}` is no place for a value here: it stays as it is written");
            let help = "values go into args, command, cwd, the values of env, and scopes";
            Some(Problem::new("config.template", path, message, help))
        };
        texts.into_iter().filter_map(literal).collect()
    }

    /// Scopes that are written twice and asked once.
    fn same_scopes(&self) -> Vec<Problem> {
        let twice = |(at, scope): (usize, &String)| {
            self.breakers.get(..at)?.contains(scope).then(|| {
                let message = format!("`{scope}` stands here twice, and is asked once");
                Problem::new("config.duplicate", format!("breakers[{at}]"), message, "take one of them out")
            })
        };
        self.breakers.iter().enumerate().filter_map(twice).collect()
    }

    fn check_numbers(&self, found: &mut Vec<Problem>) {
        for (path, ms) in [("timeout", self.timeout_ms), ("idle_timeout", self.idle_timeout_ms)] {
            if ms == Some(0) {
                found.push(range(path, format!("`{path}` is 0s"), "leave it out for no limit"));
            }
        }
        if self.stop_timeout_ms > LONGEST_WAIT_MS {
            found.push(range(
                "stop_timeout",
                "`stop_timeout` is longer than 7d",
                "write for example \"10s\"",
            ));
        }
        if self.max_concurrent == Some(0) {
            let help = "write 1 or more, or leave it out for no limit";
            found.push(range("max_concurrent", "`max_concurrent` is 0: nothing could run", help));
        }
        if !is_priority(self.priority) {
            found.push(wrong_priority("priority"));
        }
        if !(1..=64).contains(&self.stop_signal) {
            let message = format!("{} is not a signal", self.stop_signal);
            found.push(Problem::new(
                "config.signal",
                "stop_signal",
                message,
                "write for example \"SIGTERM\"",
            ));
        }
        self.check_success(found);
        if self.success_exit_codes.is_empty() && !self.is_daemon() {
            let message = "`success_exit_codes` is empty: no end of this job would be a success";
            found.push(invalid("success_exit_codes", message, "leave it out for [0]"));
        }
        for (at, code) in self.success_exit_codes.iter().enumerate() {
            check_exit_code(&format!("success_exit_codes[{at}]"), *code, found);
        }
    }

    fn check_success(&self, found: &mut Vec<Problem>) {
        let least = [("min_lines", self.success_min_lines), ("min_items", self.success_min_items)];
        for (key, _) in least.into_iter().filter(|(_, least)| *least > 0 && self.is_daemon()) {
            let message = format!("`success.{key}` needs a job: a daemon's end is no success");
            let problem = Problem::new("config.conflict", format!("success.{key}"), message, "leave it out");
            found.push(problem.against("restart"));
        }
        if let Some(expression) = &self.success_items {
            check_regex("success.items", expression, 0, found);
        } else if self.success_min_items > 0 {
            let message = "`success.min_items` needs `success.items`: nothing says what an item is";
            let help = r"write for example items = 'scraped (\d+) items'";
            found.push(Problem::new("config.conflict", "success.min_items", message, help));
        }
    }
}

pub(super) fn check_exit_code(path: &str, code: i32, found: &mut Vec<Problem>) {
    if !(0..=255).contains(&code) {
        let help = "for a signal write a rule with signal = \"SIGKILL\"";
        found.push(range(path, format!("{code} is not an exit code; these are 0 to 255"), help));
    }
}

pub(super) fn check_variable(path: &str, name: &str, found: &mut Vec<Problem>) {
    if name.is_empty() || name.contains(['=', '\0']) {
        let message = format!("`{name}` cannot be the name of an environment variable");
        found.push(invalid(path, message, "a name is not empty and has no `=`"));
    } else if name == TAG_VARIABLE {
        let message = format!("`{TAG_VARIABLE}` is set for every attempt to its own name");
        found.push(invalid(path, message, "choose another variable"));
    }
}

fn no_nul(path: &str, text: &str, found: &mut Vec<Problem>) {
    if text.contains('\0') {
        found.push(invalid(path, "a NUL byte cannot be passed to a program", "take it out"));
    }
}

fn is_path(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    !bytes.is_empty() && !bytes.contains(&0)
}
