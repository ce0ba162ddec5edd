//! Turns a [`Launch`] into the request to the keeper.

use super::{
    env_files::EnvFile,
    machine::{Surroundings, Variables, arguments, environment, is_inherited, refuse, resolve},
    messages::Launch,
    search::Disk,
    secrets::Secrets,
};
use crate::{
    keeper::protocol,
    model::{
        AttemptId, Backlog, LeadsOut, ParamKind, ParamValue, Program, SpawnFailure, SpawnProblem, Spool,
        StderrMode, Stream, Values,
    },
};
use std::{
    collections::BTreeMap,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf, absolute},
};

/// Where the files of an attempt lie: functions of store and attempt, so that a later supervisor finds them.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) store: PathBuf,
    pub(super) manager: u128,
    pub(super) at_home: bool,
}

impl Places {
    pub(super) fn spool_folder(&self) -> PathBuf {
        self.store.join("spool")
    }

    pub(super) fn spool(&self, attempt: AttemptId, token: u64) -> Spool {
        let of = |stream| self.spool_folder().join(Spool::file_name(attempt, stream));
        Spool { token, stdout: of(Stream::Stdout), stderr: of(Stream::Stderr) }
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

    /// The attempt that this file is the spool of; `None` for any other file.
    pub(super) fn attempt_of(&self, path: &Path) -> Option<AttemptId> {
        let name = path.file_name()?.to_str()?;
        let name = name.strip_suffix(".out").or_else(|| name.strip_suffix(".err"))?;
        let (run, number) = name.split_once('.')?;
        Some(AttemptId { run: run.parse().ok()?, number: number.parse().ok()? })
    }

    /// The prefix of every tag of this store.
    pub(super) fn tag_prefix(&self) -> String {
        format!("{:032x}/", self.manager)
    }

    pub(super) fn tag(&self, attempt: AttemptId) -> String {
        format!("{}{attempt}", self.tag_prefix())
    }
}

/// A start, ready to be sent to the keeper.
pub(super) struct Composed {
    pub(super) request: protocol::Launch,
    /// The values to redact.
    pub(super) secrets: Vec<String>,
    pub(super) program: PathBuf,
    pub(super) cwd: PathBuf,
}

/// Finds the files, renders the arguments, makes the environment. The env file has been read before.
pub(super) fn compose(
    launch: &Launch,
    env_file: Option<&EnvFile>,
    token: u64,
    places: &Places,
    inherited: &Variables,
) -> Result<Composed, SpawnFailure> {
    let program = &*launch.program;
    let base = base_of(program)?;
    let values =
        Values { attempt: Some(launch.attempt), ..Values::of_a_start(&program.name, &launch.params) };
    let folder = program.folder(&values).map_err(|LeadsOut { param, folder }| {
        let what = format!("the parameter `{param}` leads out of its folder: cwd would be `{folder}`");
        input(program, what, format!("start it with another {param}"))
    })?;
    // Without the `.` of the default, which only makes paths in messages harder to read.
    let cwd: PathBuf = base.join(folder).components().collect();
    let secret = launch.params.values().any(|value| *value == ParamValue::Secret);
    let secrets = if secret { Secrets::of(&places.store).load(launch.attempt.run) } else { BTreeMap::new() };
    let around = Surroundings {
        inherited,
        env_file: env_file.map(|file| (&*file.path, &*file.text)),
        values,
        secrets: &secrets,
        tag: &places.tag(launch.attempt),
        cwd: &shown(&cwd),
    };
    let variables = environment(program, &around)?;
    let search = variables.get(b"PATH".as_slice()).map_or(b"/usr/bin:/bin".as_slice(), Vec::as_slice);
    let found = resolve(program, &base, &cwd, search, &Disk)?;
    let mut argv = found.head;
    let args = arguments(program, [program.own_args(), &program.args], values)?;
    argv.extend(args.into_iter().map(String::into_bytes));
    let spool = places.spool(launch.attempt, token);
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let output = &program.output;
    let (hold_at, patience_ms) = match output.on_backlog {
        Backlog::Wait => (output.backlog, output.stall_ms),
        Backlog::Block => (output.backlog, u64::MAX),
        // The Monitor drops the oldest output. If it stands still itself, the disk is not filled all the same.
        Backlog::Drop => (output.backlog.saturating_mul(2), 0),
    };
    let request = protocol::Launch {
        token,
        merge: program.output.stderr == StderrMode::Merge,
        stop_signal: program.stop_signal,
        grace_ms: program.stop_timeout_ms,
        hold_at,
        patience_ms,
        program: bytes(&found.program),
        argv,
        env: variables.into_iter().map(|(name, value)| [name, value].join(&b'=')).collect(),
        cwd: bytes(&cwd),
        stdout: bytes(&spool.stdout),
        stderr: bytes(&spool.stderr),
        record: bytes(&places.record(launch.attempt)),
    };
    Ok(Composed { request, secrets: redacted(program, secrets), program: found.program, cwd })
}

/// What must not be stored: each item of a list by itself, as the child shows it.
fn redacted(program: &Program, secrets: BTreeMap<String, String>) -> Vec<String> {
    let is_list =
        |name: &str| program.params.get(name).is_some_and(|spec| matches!(spec.kind, ParamKind::List { .. }));
    let texts = secrets.into_iter().flat_map(|(name, value)| {
        if is_list(&name) { value.lines().map(str::to_owned).collect() } else { vec![value] }
    });
    texts.collect()
}

/// The path of the program's env file; `None` when it has none.
pub(super) fn env_file_of(program: &Program) -> Result<Option<PathBuf>, SpawnFailure> {
    let Some(file) = &program.env_file else { return Ok(None) };
    Ok(Some(base_of(program)?.join(file)))
}

fn base_of(program: &Program) -> Result<PathBuf, SpawnFailure> {
    absolute(&program.base_dir).map_err(|error| {
        input(program, format!("its base_dir cannot be used: {error}"), "set base_dir".into())
    })
}

fn input(program: &Program, what: String, help: String) -> SpawnFailure {
    refuse(SpawnProblem::Input, format!("cannot start `{}`: {what}", program.name), help)
}

/// The folder as `PWD` may name it: what POSIX allows there has no `..`, and a link is left as it is.
fn shown(cwd: &Path) -> PathBuf {
    let roundabout = cwd.components().any(|part| part == Component::ParentDir);
    let direct = roundabout.then(|| cwd.canonicalize().ok()).flatten();
    direct.unwrap_or_else(|| cwd.to_owned())
}

/// The supervisor's own environment, as far as children inherit it.
pub(super) fn own_environment() -> Variables {
    let all = std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec()));
    all.filter(|(name, _)| is_inherited(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::machine::TAG_NAME;
    use crate::keeper::tree::TAG;

    #[test]
    fn the_keeper_looks_for_the_tag_that_children_get() {
        assert_eq!(TAG.strip_suffix('='), Some(TAG_NAME));
    }
}
