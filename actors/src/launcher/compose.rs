//! Turns a [`Launch`] into what the keeper is asked for.

use super::{
    machine::{Surroundings, Variables, arguments, environment, resolve, scarce},
    messages::Launch,
    search::Disk,
    secrets::Secrets,
};
use crate::{
    keeper::protocol,
    model::{AttemptId, Backlog, ParamValue, Program, SpawnFailure, SpawnProblem, Spool, StderrMode},
};
use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf, absolute},
};

/// Where things of an attempt lie: functions of store and attempt, so that a later supervisor finds them.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) store: PathBuf,
    pub(super) manager: u128,
}

impl Places {
    pub(super) fn spool_folder(&self) -> PathBuf {
        self.store.join("spool")
    }

    pub(super) fn spool(&self, attempt: AttemptId, token: u64) -> Spool {
        Spool { token, stdout: self.of(attempt, "out"), stderr: self.of(attempt, "err") }
    }

    pub(super) fn record(&self, attempt: AttemptId) -> PathBuf {
        self.of(attempt, "exit")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.store.join("keeper.lock")
    }

    fn of(&self, attempt: AttemptId, kind: &str) -> PathBuf {
        self.spool_folder().join(format!("{}.{}.{kind}", attempt.run, attempt.number))
    }

    /// What every tag of ours begins with.
    pub(super) fn tag_prefix(&self) -> String {
        format!("{:032x}/", self.manager)
    }

    pub(super) fn tag(&self, attempt: AttemptId) -> String {
        format!("{}{attempt}", self.tag_prefix())
    }
}

/// A start, ready to be sent.
pub(super) struct Composed {
    pub(super) request: protocol::Launch,
    /// Values to redact.
    pub(super) secrets: Vec<String>,
    pub(super) program: PathBuf,
    pub(super) cwd: PathBuf,
}

/// Finds the files, renders the arguments, makes the environment.
pub(super) fn compose(
    launch: &Launch,
    token: u64,
    places: &Places,
    inherited: &Variables,
) -> Result<Composed, SpawnFailure> {
    let program = &*launch.program;
    let base = absolute(&program.base_dir).map_err(|error| {
        input(program, format!("its base_dir cannot be used: {error}"), "set base_dir".into())
    })?;
    // Without the `.` of the default, which only makes paths in messages harder to read.
    let cwd: PathBuf = base.join(&program.cwd).components().collect();
    let secret = launch.params.values().any(|value| *value == ParamValue::Secret);
    let secrets = if secret { Secrets::of(&places.store).load(launch.attempt.run) } else { BTreeMap::new() };
    let env_file = read_env_file(program, &base)?;
    let around = Surroundings {
        inherited,
        env_file: env_file.as_ref().map(|(path, content)| (&**path, &**content)),
        params: &launch.params,
        secrets: &secrets,
        tag: &places.tag(launch.attempt),
    };
    let variables = environment(program, &around)?;
    let search = variables.get(b"PATH".as_slice()).map_or(b"/usr/bin:/bin".as_slice(), Vec::as_slice);
    let found = resolve(program, &base, &cwd, search, &Disk)?;
    let elements: Vec<String> = found.templates.iter().chain(&program.args).cloned().collect();
    let mut argv = found.head;
    argv.extend(arguments(program, &elements, &launch.params)?.into_iter().map(String::into_bytes));
    let spool = places.spool(launch.attempt, token);
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let hold_at = match program.output.on_backlog {
        Backlog::Wait => program.output.backlog,
        Backlog::Drop => 0,
    };
    let request = protocol::Launch {
        token,
        merge: program.output.stderr == StderrMode::Merge,
        stop_signal: program.stop_signal,
        grace_ms: program.stop_timeout_ms,
        hold_at,
        program: bytes(&found.program),
        argv,
        env: variables.into_iter().map(|(name, value)| [name, value].join(&b'=')).collect(),
        cwd: bytes(&cwd),
        stdout: bytes(&spool.stdout),
        stderr: bytes(&spool.stderr),
        record: bytes(&places.record(launch.attempt)),
    };
    Ok(Composed { request, secrets: secrets.into_values().collect(), program: found.program, cwd })
}

fn read_env_file(program: &Program, base: &Path) -> Result<Option<(PathBuf, String)>, SpawnFailure> {
    let Some(file) = &program.env_file else { return Ok(None) };
    let path = base.join(file);
    match fs::read_to_string(&path) {
        Ok(content) => Ok(Some((path, content))),
        Err(error) => Err(unreadable(program, &path, &error)),
    }
}

fn unreadable(program: &Program, path: &Path, error: &io::Error) -> SpawnFailure {
    if let Some(errno @ (libc::EMFILE | libc::ENFILE | libc::ENOMEM)) = error.raw_os_error() {
        return scarce(&program.name, errno);
    }
    let path = path.display();
    let (why, help) = match error.kind() {
        io::ErrorKind::NotFound => ("does not exist".into(), format!("create {path}, or remove env_file")),
        io::ErrorKind::PermissionDenied => (
            "may not be read by the supervisor's user".into(),
            format!("change the owner or the mode of {path}"),
        ),
        io::ErrorKind::InvalidData => ("is not UTF-8".into(), format!("save {path} as UTF-8")),
        io::ErrorKind::IsADirectory => {
            ("is a directory".into(), "name a file with KEY=value lines in env_file".to_owned())
        }
        _ => (format!("cannot be read: {error}"), "name a file with KEY=value lines in env_file".to_owned()),
    };
    input(program, format!("its env_file {path} {why}"), help)
}

fn input(program: &Program, what: String, help: String) -> SpawnFailure {
    SpawnFailure {
        problem: SpawnProblem::Input,
        errno: String::new(),
        message: format!("cannot start `{}`: {what}", program.name),
        help,
    }
}

/// Our own environment, as the children inherit it.
pub(super) fn own_environment() -> Variables {
    std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::machine::TAG_NAME, *};
    use crate::{keeper::tree::TAG, model::Command};

    #[test]
    fn an_env_file_that_cannot_be_read_is_named_with_the_reason() {
        let program = Program::new("p", Command::Argv(vec!["x".into()]));
        let says = |errno| {
            let error = io::Error::from_raw_os_error(errno);
            let failure = unreadable(&program, Path::new("/a/.env"), &error);
            format!("{}\n{}", failure.message, failure.help)
        };
        assert_eq!(
            says(libc::EACCES),
            "cannot start `p`: its env_file /a/.env may not be read by the supervisor's user\n\
             change the owner or the mode of /a/.env"
        );
        assert!(says(libc::ENOENT).contains("/a/.env does not exist"));
        assert!(says(libc::EISDIR).contains("/a/.env is a directory"));
        assert!(says(libc::ELOOP).contains("symbolic links"));
        assert!(says(libc::EMFILE).contains("open files"));
    }

    #[test]
    fn the_keeper_looks_for_the_tag_that_children_get() {
        assert_eq!(TAG.strip_suffix('='), Some(TAG_NAME));
    }
}
