//! What is wrong with what is run, and with the environment that it is run in.

use super::{
    places::Use,
    values::{check_variable, invalid},
};
use crate::model::{Arg, Command, Placeholder, Problem, Program, Template};
use std::path::Path;

impl Program {
    pub(super) fn check_command(&self, found: &mut Vec<Problem>) {
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

    pub(super) fn check_environment(&self, found: &mut Vec<Problem>) {
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
    pub(super) fn braces_taken_literally(&self) -> Vec<Problem> {
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
