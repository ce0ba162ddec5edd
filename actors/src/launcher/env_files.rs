//! Reads env files on threads of their own, beside the thread that the actors share.
//!
//! A file system may not answer: the read then waits for ever, on a thread of its own, and the start is refused after a
//! while. There is one read of a path at a time, so that a dead mount holds one thread for each env file and not one for
//! each start.

use super::machine::{refuse, scarce};
use crate::{
    model::{Program, SpawnFailure, SpawnProblem},
    user_file,
};
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, oneshot};

/// The largest env file, in bytes: the kernel takes an environment of 2 MiB at most, arguments included.
const LARGEST: u64 = 1 << 20;

/// The longest wait for an env file. Beyond it the start has failed for now, and is tried again as such starts are.
const PATIENCE: Duration = Duration::from_secs(30);

/// The stack of a reading thread, in bytes: it opens one file.
const STACK: usize = 128 << 10;

/// An env file as it was read.
#[derive(Clone, Debug)]
pub(super) struct EnvFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// The env files that were ever read, each with the place of its reader.
#[derive(Debug, Default)]
pub(super) struct EnvFiles(HashMap<PathBuf, Arc<Mutex<()>>>);

impl EnvFiles {
    /// Reads the file of this path for a program; the future may be dropped.
    pub(super) fn read(
        &mut self,
        program: Arc<Program>,
        path: PathBuf,
    ) -> impl Future<Output = Result<EnvFile, SpawnFailure>> + use<> {
        let turn = Arc::clone(self.0.entry(path.clone()).or_default());
        async move {
            match tokio::time::timeout(PATIENCE, read(turn, path.clone())).await {
                Ok(Ok(Ok(text))) => Ok(EnvFile { path, text }),
                Ok(Ok(Err(error))) => Err(unreadable(&program, &path, &error)),
                // No thread could be made.
                Ok(Err(error)) => Err(scarce(&program.name, error.raw_os_error().unwrap_or(libc::EAGAIN))),
                Err(_) => Err(unanswered(&program, &path)),
            }
        }
    }

    /// Takes the turn of a path, as a reader does that waits for a dead mount.
    #[cfg(test)]
    pub(super) async fn hold(&mut self, path: PathBuf) -> tokio::sync::OwnedMutexGuard<()> {
        Arc::clone(self.0.entry(path).or_default()).lock_owned().await
    }
}

/// The thread keeps the turn until it has read, also when the caller no longer waits.
async fn read(turn: Arc<Mutex<()>>, path: PathBuf) -> io::Result<io::Result<String>> {
    let turn = turn.lock_owned().await;
    let (tell, told) = oneshot::channel();
    // Not a thread of the runtime: those are waited for at the end.
    std::thread::Builder::new().name("env-file".into()).stack_size(STACK).spawn(move || {
        let text = user_file::read_text(&path, LARGEST);
        drop(turn);
        // The start that asked may have been stopped meanwhile.
        let _ = tell.send(text);
    })?;
    Ok(told.await.unwrap_or_else(|_| Err(io::Error::other("its reader ended"))))
}

fn unreadable(program: &Program, path: &Path, error: &io::Error) -> SpawnFailure {
    if let Some(errno @ (libc::EMFILE | libc::ENFILE | libc::ENOMEM)) = error.raw_os_error() {
        return scarce(&program.name, errno);
    }
    if error.kind() == io::ErrorKind::WouldBlock {
        let what =
            format!("cannot start `{}`: another program holds its env_file {}", program.name, path.display());
        return refuse(
            SpawnProblem::Scarcity,
            what,
            "it is tried again when that has let go of it (a file lease)",
        );
    }
    let path = path.display();
    let name_another = || "name a file with KEY=value lines in env_file".to_owned();
    let (why, help) = match error.kind() {
        io::ErrorKind::NotFound => ("does not exist".into(), format!("create {path}, or remove env_file")),
        io::ErrorKind::PermissionDenied => (
            "may not be read by the supervisor's user".into(),
            format!("change the owner or the mode of {path}"),
        ),
        io::ErrorKind::InvalidData => (error.to_string(), format!("save {path} as UTF-8")),
        io::ErrorKind::InvalidInput => (
            error.to_string(),
            "name a regular file in env_file; what a program writes into a pipe, have it write into a file"
                .into(),
        ),
        io::ErrorKind::IsADirectory | io::ErrorKind::FileTooLarge => (error.to_string(), name_another()),
        _ => (format!("cannot be read: {error}"), name_another()),
    };
    let what = format!("cannot start `{}`: its env_file {path} {why}", program.name);
    refuse(SpawnProblem::Input, what, help)
}

fn unanswered(program: &Program, path: &Path) -> SpawnFailure {
    let (name, path, seconds) = (&program.name, path.display(), PATIENCE.as_secs());
    let what = format!(
        "cannot start `{name}`: its env_file {path} could not be read in {seconds} s: its file system does not answer"
    );
    refuse(SpawnProblem::Scarcity, what, "it is tried again; look at the mount that the file is on")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Command;

    fn program() -> Program {
        Program::new("p", Command::Argv(vec!["x".into()]))
    }

    #[test]
    fn an_env_file_that_cannot_be_read_is_named_with_the_reason() {
        let says = |errno| {
            let error = io::Error::from_raw_os_error(errno);
            let failure = unreadable(&program(), Path::new("/a/.env"), &error);
            format!("{}\n{}", failure.message, failure.help)
        };
        assert_eq!(
            says(libc::EACCES),
            "cannot start `p`: its env_file /a/.env may not be read by the supervisor's user\n\
             change the owner or the mode of /a/.env"
        );
        assert!(says(libc::ENOENT).contains("/a/.env does not exist"));
        assert!(says(libc::ELOOP).contains("symbolic links"));
        assert!(says(libc::EMFILE).contains("open files"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_does_not_answer_fails_its_start_for_now_and_holds_one_thread() {
        let mut files = EnvFiles::default();
        let path = PathBuf::from("/nowhere/.env");
        let stuck = files.hold(path.clone()).await;
        let failure = files.read(Arc::new(program()), path.clone()).await.unwrap_err();
        assert_eq!(failure.problem, SpawnProblem::Scarcity);
        assert!(failure.message.contains("/nowhere/.env could not be read in 30 s"), "{}", failure.message);
        drop(stuck);
        tokio::time::resume();
        let failure = files.read(Arc::new(program()), path).await.unwrap_err();
        assert_eq!(failure.problem, SpawnProblem::Input, "it answers again: {}", failure.message);
    }
}
