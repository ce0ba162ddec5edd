//! Which part of a start was wrong: the kernel gives the same error for several.

use crate::model::{SpawnFailure, SpawnProblem};
use std::path::PathBuf;

/// What the working directory turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CwdFact {
    /// A folder we may enter.
    Usable,
    /// It does not exist.
    Missing,
    /// Something else than a folder.
    NoFolder,
    /// A folder we may not enter.
    Closed,
}

/// What the file to execute turned out to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FileFact {
    /// It does not exist.
    Missing,
    /// A link to this, which does not exist.
    Dangling(PathBuf),
    /// Something else than a regular file.
    NoFile,
    /// We may not even look: a folder on the way is closed.
    Hidden,
    /// A regular file.
    Present {
        /// Its permission bits.
        mode: u32,
        /// Whether we may execute it.
        executable: bool,
        /// The interpreter that its first line asks for, and whether that exists.
        shebang: Option<(String, bool)>,
    },
}

/// What was found after a spawn had failed.
#[derive(Clone, Debug)]
pub struct StartFacts {
    /// The program's name.
    pub name: String,
    /// The kernel's error.
    pub errno: i32,
    /// The file.
    pub program: PathBuf,
    /// What it is.
    pub file: FileFact,
    /// The working directory.
    pub cwd: PathBuf,
    /// What it is.
    pub cwd_fact: CwdFact,
}

/// Says which part was wrong.
#[must_use]
pub fn diagnose(facts: &StartFacts) -> SpawnFailure {
    let (problem, what, help) = by_cwd(facts).or_else(|| by_errno(facts)).unwrap_or_else(|| by_file(facts));
    SpawnFailure {
        problem,
        errno: errno_name(facts.errno),
        message: format!("cannot start `{}`: {what}", facts.name),
        help,
    }
}

type Finding = (SpawnProblem, String, String);

fn by_cwd(facts: &StartFacts) -> Option<Finding> {
    let cwd = facts.cwd.display();
    if !matches!(facts.errno, libc::ENOENT | libc::ENOTDIR | libc::EACCES) {
        return None;
    }
    match facts.cwd_fact {
        CwdFact::Usable => None,
        CwdFact::Missing => Some((
            SpawnProblem::Cwd,
            format!("working directory {cwd} does not exist"),
            format!("mkdir -p {cwd}, or set cwd"),
        )),
        CwdFact::NoFolder => Some((
            SpawnProblem::Cwd,
            format!("working directory {cwd} is no directory"),
            "set cwd to a directory".into(),
        )),
        CwdFact::Closed => Some((
            SpawnProblem::Permission,
            format!("working directory {cwd} may not be entered"),
            format!("chmod +x {cwd}, or set cwd"),
        )),
    }
}

fn by_errno(facts: &StartFacts) -> Option<Finding> {
    let problem = match facts.errno {
        libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::ENOSPC => {
            let (what, help) = scarcity(facts.errno);
            return Some((SpawnProblem::Scarcity, what.into(), help.into()));
        }
        libc::ETXTBSY => {
            return Some((
                SpawnProblem::Scarcity,
                format!("`{}` is being written", facts.program.display()),
                "replace programs by renaming a finished file over them".into(),
            ));
        }
        libc::E2BIG => {
            return Some((
                SpawnProblem::Input,
                "its arguments and environment are longer than the kernel takes".into(),
                "pass long values in a file".into(),
            ));
        }
        libc::ENOENT | libc::ENOTDIR | libc::EACCES | libc::EPERM | libc::ENOEXEC => return None,
        _ => SpawnProblem::Other,
    };
    let word = std::io::Error::from_raw_os_error(facts.errno);
    Some((problem, word.to_string(), "the kernel's word says what was wrong".into()))
}

/// What there is too little of, and where more of it comes from. It is tried again in any case.
const fn scarcity(errno: i32) -> (&'static str, &'static str) {
    match errno {
        libc::EMFILE => (
            "the supervisor's limit of open files leaves no room for another child",
            "it is tried again when children have ended; or raise the limit (ulimit -n, LimitNOFILE=)",
        ),
        libc::ENFILE => (
            "the machine has no file descriptors left",
            "it is tried again; look at fs.file-max and at who holds so many",
        ),
        libc::EAGAIN => (
            "the kernel allows no more processes",
            "it is tried again; look at ulimit -u, TasksMax= and at who started so many",
        ),
        libc::ENOMEM => ("there is not enough memory", "it is tried again; look at who uses so much"),
        _ => ("the disk is full", "it is tried again; make room in the store's folder"),
    }
}

/// A start that is not even tried, because there is too little of something.
#[must_use]
pub fn scarce(name: &str, errno: i32) -> SpawnFailure {
    let (what, help) = scarcity(errno);
    SpawnFailure {
        problem: SpawnProblem::Scarcity,
        errno: errno_name(errno),
        message: format!("cannot start `{name}`: {what}"),
        help: help.into(),
    }
}

fn by_file(facts: &StartFacts) -> Finding {
    let path = facts.program.display();
    let other =
        |what: String| (SpawnProblem::Other, what, "the kernel's word says what was wrong".to_owned());
    match &facts.file {
        FileFact::Missing => (
            SpawnProblem::NotFound,
            format!("no file `{path}`; cwd is {}", facts.cwd.display()),
            format!("fix program.{}.command, or add the file", facts.name),
        ),
        FileFact::Dangling(target) => (
            SpawnProblem::NotFound,
            format!("`{path}` is a link to `{}`, where no file is", target.display()),
            format!("correct the link, or fix program.{}.command", facts.name),
        ),
        FileFact::NoFile => (
            SpawnProblem::Permission,
            format!("`{path}` is no regular file"),
            format!("fix program.{}.command", facts.name),
        ),
        FileFact::Hidden => (
            SpawnProblem::Permission,
            format!("a folder on the way to `{path}` may not be entered"),
            "give the supervisor's user leave to enter it".into(),
        ),
        FileFact::Present { shebang: Some((interpreter, false)), .. } => (
            SpawnProblem::Interpreter,
            format!("`{path}` exists, but its first line asks for `{interpreter}`, which does not exist"),
            "correct the first line, or set interpreter".into(),
        ),
        FileFact::Present { mode, executable: false, shebang } => (
            SpawnProblem::Permission,
            format!("`{path}` is not executable (mode {:04o})", mode & 0o7777),
            if shebang.is_some() {
                format!("chmod +x {path}")
            } else {
                format!("chmod +x {path}, and add a first line such as \"#!/bin/sh\"; or set interpreter")
            },
        ),
        FileFact::Present { shebang: None, .. } if facts.errno == libc::ENOEXEC => (
            SpawnProblem::Format,
            format!("`{path}` is executable, but neither a program nor a script with a `#!` line"),
            "add a first line such as \"#!/bin/sh\", or set interpreter".into(),
        ),
        FileFact::Present { .. } => match facts.errno {
            libc::ENOEXEC => (
                SpawnProblem::Format,
                format!("`{path}` is no program for this machine"),
                "build it for this machine".into(),
            ),
            libc::ENOENT => (
                SpawnProblem::Interpreter,
                format!("`{path}` exists, but the loader or interpreter it asks for does not"),
                "install what it was linked with".into(),
            ),
            libc::EACCES | libc::EPERM => (
                SpawnProblem::Permission,
                format!("`{path}` may not be executed here: its interpreter or file system forbids it"),
                "look at the interpreter's mode and at the mount option noexec".into(),
            ),
            errno => other(std::io::Error::from_raw_os_error(errno).to_string()),
        },
    }
}

/// `ENOENT` for 2; `errno 999` for a number without a name here.
#[must_use]
pub fn errno_name(errno: i32) -> String {
    const NAMES: [(i32, &str); 20] = [
        (libc::EPERM, "EPERM"),
        (libc::ENOENT, "ENOENT"),
        (libc::EIO, "EIO"),
        (libc::E2BIG, "E2BIG"),
        (libc::ENOEXEC, "ENOEXEC"),
        (libc::EAGAIN, "EAGAIN"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::EACCES, "EACCES"),
        (libc::ENOTDIR, "ENOTDIR"),
        (libc::EISDIR, "EISDIR"),
        (libc::EINVAL, "EINVAL"),
        (libc::ENFILE, "ENFILE"),
        (libc::EMFILE, "EMFILE"),
        (libc::ETXTBSY, "ETXTBSY"),
        (libc::ENOSPC, "ENOSPC"),
        (libc::EROFS, "EROFS"),
        (libc::ENAMETOOLONG, "ENAMETOOLONG"),
        (libc::ELOOP, "ELOOP"),
        (libc::ELIBBAD, "ELIBBAD"),
        (libc::ESRCH, "ESRCH"),
    ];
    NAMES
        .iter()
        .find(|(number, _)| *number == errno)
        .map_or_else(|| format!("errno {errno}"), |(_, n)| (*n).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(errno: i32, file: FileFact, cwd_fact: CwdFact) -> (SpawnProblem, String) {
        let failure = diagnose(&StartFacts {
            name: "p".into(),
            errno,
            program: "/app/run.sh".into(),
            file,
            cwd: "/srv".into(),
            cwd_fact,
        });
        assert!(!failure.help.is_empty());
        (failure.problem, failure.message)
    }

    fn present(executable: bool, shebang: Option<(&str, bool)>) -> FileFact {
        let shebang = shebang.map(|(path, exists)| (path.to_owned(), exists));
        FileFact::Present { mode: 0o100_644, executable, shebang }
    }

    #[test]
    fn one_enoent_is_three_different_faults() {
        let (problem, text) = says(libc::ENOENT, FileFact::Missing, CwdFact::Usable);
        assert_eq!(
            (problem, text.as_str()),
            (SpawnProblem::NotFound, "cannot start `p`: no file `/app/run.sh`; cwd is /srv")
        );
        let (problem, text) = says(libc::ENOENT, present(true, Some(("/bin/shh", false))), CwdFact::Usable);
        assert!(problem == SpawnProblem::Interpreter && text.contains("`/bin/shh`, which does not exist"));
        let (problem, text) = says(libc::ENOENT, present(true, None), CwdFact::Missing);
        assert!(problem == SpawnProblem::Cwd && text.contains("/srv does not exist"));
    }

    #[test]
    fn permission_format_and_scarcity_are_told_apart() {
        let (problem, text) = says(libc::EACCES, present(false, None), CwdFact::Usable);
        assert!(problem == SpawnProblem::Permission && text.contains("mode 0644"));
        assert_eq!(says(libc::EACCES, FileFact::Hidden, CwdFact::Usable).0, SpawnProblem::Permission);
        assert_eq!(says(libc::ENOEXEC, present(true, None), CwdFact::Usable).0, SpawnProblem::Format);
        assert_eq!(says(libc::EAGAIN, present(true, None), CwdFact::Usable).0, SpawnProblem::Scarcity);
        assert_eq!(says(libc::E2BIG, present(true, None), CwdFact::Usable).0, SpawnProblem::Input);
        assert_eq!(says(libc::ELOOP, present(true, None), CwdFact::Missing).0, SpawnProblem::Other);
    }
}
