//! What `PROGRAM|RUN` names.

use crate::{
    answer::{items, text},
    client::{Client, percent},
    failure::{Failure, code},
    screen::escape,
};
use actix_process::actors::model::did_you_mean;
use serde_json::Value;

/// The shortest end of a run's id that the daemon looks up.
const SHORTEST_SUFFIX: usize = 6;
const ID_LENGTH: usize = 26;

/// What a name stands for, with the daemon's words about it.
#[derive(Debug)]
pub(crate) enum Target {
    Program(String, Value),
    Run(String, Value),
}

impl Target {
    /// Asks the daemon. Program names are lower case and ids upper case, so a name is rarely asked for twice.
    pub(crate) fn find(client: &Client, name: &str) -> Result<Self, Failure> {
        Self::find_with(client, name, &[])
    }

    /// The same, with more to be told about it.
    pub(crate) fn find_with(client: &Client, name: &str, query: &[(&str, &str)]) -> Result<Self, Failure> {
        let mut unknown = None;
        if is_program_name(name) {
            match client.get(&format!("/programs/{name}"), query) {
                Ok(program) => return Ok(Self::Program(name.to_owned(), program)),
                Err(failure) if failure.code == code::UNKNOWN && !may_be_run(name) => return Err(failure),
                Err(failure) if failure.code != code::UNKNOWN => return Err(failure),
                Err(failure) => unknown = Some(failure),
            }
        }
        if !may_be_run(name) {
            return Err(neither(client, name)?);
        }
        let run = client.get(&format!("/runs/{}", percent(&name.to_ascii_uppercase())), query);
        // What looks like a program's name was meant as one, unless a run is near it and no program.
        let run = run.map_err(|failure| match unknown {
            Some(program) if failure.code == code::UNKNOWN && (suggests(&program) || !suggests(&failure)) => {
                program
            }
            _ => failure,
        })?;
        let id = run.get("id").and_then(Value::as_str).unwrap_or(name).to_owned();
        Ok(Self::Run(id, run))
    }

    /// A run, when a program will not do.
    pub(crate) fn find_run(client: &Client, name: &str) -> Result<(String, Value), Failure> {
        match Self::find(client, name) {
            Ok(Self::Run(id, run)) => Ok((id, run)),
            Ok(Self::Program(name, _)) => {
                Err(Failure::new(code::USAGE, format!("`{name}` is a program, and this needs a run"))
                    .help(format!("`supervise status {name}` lists its runs")))
            }
            Err(failure) if failure.code == code::UNKNOWN && !may_be_run(name) => {
                let what = format!("`{}` cannot be the name of a run, and this needs one", escape(name));
                let help =
                    "write a run's id or its end, at least 6 letters and digits, as `supervise ps` shows it";
                Err(Failure::new(code::USAGE, what).help(help))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Its path in the API.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Program(name, _) => format!("/programs/{name}"),
            Self::Run(id, _) => format!("/runs/{id}"),
        }
    }
}

fn suggests(failure: &Failure) -> bool {
    failure.help.as_deref().is_some_and(|help| help.starts_with("did you mean"))
}

/// A name that nothing can have: the program that was meant, if one is near.
fn neither(client: &Client, name: &str) -> Result<Failure, Failure> {
    let programs = client.get("/programs", &[])?;
    let near = did_you_mean(name, items(&programs).iter().map(|program| text(program, "name")));
    let help = match near {
        Some(near) => format!("did you mean `{}`?", escape(near)),
        None => "`supervise ps` shows both; the end of a run's id has at least 6 characters".to_owned(),
    };
    let what = format!("`{}` names no program and no run", escape(name));
    Ok(Failure::new(code::UNKNOWN, what).help(help))
}

/// `[a-z][a-z0-9_-]{0,62}`
pub(crate) fn is_program_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}

fn may_be_run(name: &str) -> bool {
    (SHORTEST_SUFFIX..=ID_LENGTH).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric())
}

/// The end of an id that people type.
pub(crate) fn short(id: &str) -> &str {
    id.get(id.len().saturating_sub(8)..).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_are_told_apart() {
        assert!(is_program_name("scraper") && is_program_name("a-b_9"));
        assert!(!is_program_name("01JD07M3") && !is_program_name("") && !is_program_name("Api"));
        assert!(may_be_run("7M3ABC") && may_be_run("01JD07M3ABCDEFGHJKMNPQRSTV"));
        assert!(!may_be_run("7M3AB") && !may_be_run("site:x-y"));
        assert_eq!(short("01JD07M3ABCDEFGHJKMNPQRSTV"), "KMNPQRSTV".get(1..).unwrap());
    }
}
