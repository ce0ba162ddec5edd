//! Which part of a start was wrong: the kernel gives the same error for several.

use crate::model::{SpawnFailure, SpawnProblem};
use std::path::PathBuf;

/// What the working directory turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CwdFact {
    /// A folder that the supervisor may enter.
    Usable,
    /// The path does not exist.
    Missing,
    /// The path is something else than a folder.
    NoFolder,
    /// A folder that the supervisor may not enter.
    Closed,
}

/// What the file to execute turned out to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FileFact {
    /// The file does not exist.
    Missing,
    /// The file is a link to this path, which does not exist.
    Dangling(PathBuf),
    /// The path is something else than a regular file.
    NoFile,
    /// The supervisor may not even look: a folder on the way is closed.
    Hidden,
    /// The path is a regular file.
    Present {
        /// The permission bits of the file.
        mode: u32,
        /// Whether the supervisor may execute the file.
        executable: bool,
        /// What the first line of the file asks for.
        first_line: FirstLine,
    },
}

/// What the first line of a file is to the kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FirstLine {
    /// The file has no line that begins with `#!`.
    None,
    /// The line asks for an interpreter.
    Asks {
        /// The interpreter as the kernel reads it: a carriage return at its end is a part of the name.
        interpreter: String,
        /// Whether the interpreter exists.
        exists: bool,
    },
    /// The file has a `#!`, but something stands before it, so that the kernel does not see it.
    Hidden(&'static str),
}

impl FirstLine {
    /// Reads the first bytes of a file.
    #[must_use]
    pub fn of(head: &[u8], exists: impl FnOnce(&str) -> bool) -> Self {
        let Some(line) = head.strip_prefix(b"#!") else { return Self::behind_something(head) };
        let line = line.split(|byte| matches!(byte, b'\n' | 0)).next().unwrap_or_default();
        let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        words.next().map_or(Self::None, |word| {
            let interpreter = String::from_utf8_lossy(word).into_owned();
            let exists = exists(&interpreter);
            Self::Asks { interpreter, exists }
        })
    }

    fn behind_something(head: &[u8]) -> Self {
        const BEFORE: [(&[u8], &str); 3] = [
            (b"\xef\xbb\xbf#!", "a byte order mark"),
            (b"\xff\xfe#\0!\0", "the byte order mark of UTF-16"),
            (b"\xfe\xff\0#\0!", "the byte order mark of UTF-16"),
        ];
        let marked = BEFORE.iter().find(|(bytes, _)| head.starts_with(bytes)).map(|(_, name)| *name);
        let blank = || head.trim_ascii_start().starts_with(b"#!").then_some("blanks or empty lines");
        marked.or_else(blank).map_or(Self::None, Self::Hidden)
    }
}

/// The facts that were gathered after a spawn had failed.
#[derive(Clone, Debug)]
pub struct StartFacts {
    /// The program's name.
    pub name: String,
    /// The error number of the kernel.
    pub errno: i32,
    /// The path of the file to execute.
    pub program: PathBuf,
    /// What the file is.
    pub file: FileFact,
    /// The path of the working directory.
    pub cwd: PathBuf,
    /// What the working directory is.
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

/// What is scarce, and where more of it comes from. The start is tried again in any case.
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

/// The failure of a start that is not even tried, because something is scarce.
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

/// The failure of a start for want of descriptors; `who_holds` says which processes hold them.
#[must_use]
pub fn out_of_descriptors(name: &str, who_holds: &str) -> SpawnFailure {
    let failure = scarce(name, libc::EMFILE);
    SpawnFailure { message: format!("{}: {who_holds}", failure.message), ..failure }
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
        FileFact::Present { first_line: FirstLine::Asks { interpreter, exists: false }, .. } => {
            no_interpreter(facts, interpreter)
        }
        FileFact::Present { mode, executable: false, first_line } => (
            SpawnProblem::Permission,
            format!("`{path}` is not executable (mode {:04o})", mode & 0o7777),
            if matches!(first_line, FirstLine::Asks { .. }) {
                format!("chmod +x {path}")
            } else {
                format!("chmod +x {path}, and add a first line such as \"#!/bin/sh\"; or set interpreter")
            },
        ),
        FileFact::Present { first_line: FirstLine::Hidden(before), .. } if facts.errno == libc::ENOEXEC => (
            SpawnProblem::Format,
            format!("`{path}` has {before} before its `#!`, so that the kernel does not see it"),
            "save it as UTF-8 without byte order mark, with `#!` as its first two characters; or set interpreter".into(),
        ),
        FileFact::Present { first_line: FirstLine::None, .. } if facts.errno == libc::ENOEXEC => (
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

/// The failure when the first line asks for an interpreter that does not exist.
fn no_interpreter(facts: &StartFacts, interpreter: &str) -> Finding {
    let path = facts.program.display();
    let (why, help) = if interpreter.ends_with('\r') {
        (": it has the line ends of Windows", format!("sed -i 's/\\r$//' {path}, or set interpreter"))
    } else {
        (", which does not exist", "correct the first line, or set interpreter".into())
    };
    let asks = interpreter.replace('\r', "\\r");
    let what = format!("`{path}` exists, but its first line asks for `{asks}`{why}");
    (SpawnProblem::Interpreter, what, help)
}

/// The name of an error: `ENOENT` for 2; `errno 999` for a number without a name here.
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

    fn present(executable: bool, asks: Option<(&str, bool)>) -> FileFact {
        let first_line = asks.map_or(FirstLine::None, |(path, exists)| FirstLine::Asks {
            interpreter: path.to_owned(),
            exists,
        });
        FileFact::Present { mode: 0o100_644, executable, first_line }
    }

    #[test]
    fn a_first_line_is_read_as_the_kernel_reads_it() {
        let asks = |head: &[u8]| match FirstLine::of(head, |path| path == "/bin/sh") {
            FirstLine::Asks { interpreter, exists } => format!("{interpreter:?} {exists}"),
            FirstLine::Hidden(before) => before.to_owned(),
            FirstLine::None => String::new(),
        };
        for (head, expected) in [
            (&b"#!/bin/sh\necho"[..], r#""/bin/sh" true"#),
            (b"#! \t/bin/sh -e\r\n", r#""/bin/sh" true"#),
            (b"#!/bin/sh", r#""/bin/sh" true"#),
            (b"#!/bin/sh\r\necho", r#""/bin/sh\r" false"#),
            (b"#!/no/such\x00/x\n", r#""/no/such" false"#),
            (b"#!\n", ""),
            (b"\xef\xbb\xbf#!/bin/sh\n", "a byte order mark"),
            (b"\xff\xfe#\0!\0/\0", "the byte order mark of UTF-16"),
            (b"\n #!/bin/sh\n", "blanks or empty lines"),
            (b"\x7fELF", ""),
            (b"echo #!/bin/sh", ""),
            (b"", ""),
        ] {
            assert_eq!(asks(head), expected, "{}", head.escape_ascii());
        }
    }

    #[test]
    fn line_ends_of_windows_and_marks_before_the_first_line_are_named() {
        let (problem, text) = says(libc::ENOENT, present(true, Some(("/bin/sh\r", false))), CwdFact::Usable);
        assert!(
            problem == SpawnProblem::Interpreter
                && text.contains("`/bin/sh\\r`: it has the line ends of Windows"),
            "{text}"
        );
        let hidden = FileFact::Present {
            mode: 0o100_755,
            executable: true,
            first_line: FirstLine::Hidden("a byte order mark"),
        };
        let (problem, text) = says(libc::ENOEXEC, hidden, CwdFact::Usable);
        assert!(
            problem == SpawnProblem::Format && text.contains("has a byte order mark before its `#!`"),
            "{text}"
        );
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
