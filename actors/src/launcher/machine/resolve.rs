//! Which file is executed: the script on its search path, the interpreter and the program by PATH.

use super::refuse;
use crate::model::{Arg, Command, Program, SpawnFailure, SpawnProblem};
use std::path::{Component, Path, PathBuf};

/// The extensions that a script's name may leave out, and the interpreter of each.
const EXTENSIONS: [(&str, &str); 5] =
    [("py", "python3"), ("sh", "sh"), ("js", "node"), ("rb", "ruby"), ("pl", "perl")];

/// What has to be known of the file system.
pub trait Files {
    /// Whether the path is a regular file, links followed.
    fn is_file(&self, path: &Path) -> bool;
    /// Whether the supervisor may execute the file.
    fn is_executable(&self, path: &Path) -> bool;
    /// The path without links and dots; `None` if it does not exist.
    fn canonical(&self, path: &Path) -> Option<PathBuf>;
    /// Where a link leads; `None` for a path that is no link.
    fn link(&self, path: &Path) -> Option<PathBuf>;
    /// A name in a folder that looks like this one, for the help; `None` when there is none.
    fn similar(&self, folder: &Path, name: &str) -> Option<String>;
}

/// What to execute.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resolved {
    /// The absolute path of the file to execute.
    pub program: PathBuf,
    /// The arguments before the rendered ones, `argv[0]` first.
    pub head: Vec<Vec<u8>>,
    /// The script; `None` when there is none.
    pub script: Option<PathBuf>,
}

/// Finds what to execute. `base` and `cwd` are absolute; `search` is the PATH that the child will have.
///
/// # Errors
/// The file does not exist, may not be executed, or lies outside its folder.
pub fn resolve(
    program: &Program,
    base: &Path,
    cwd: &Path,
    search: &[u8],
    files: &impl Files,
) -> Result<Resolved, SpawnFailure> {
    match &program.command {
        Command::Argv(argv) => {
            let Some(Arg::One(first)) = argv.first().filter(|first| **first != Arg::One(String::new()))
            else {
                return Err(refuse(
                    SpawnProblem::Input,
                    format!("cannot start `{}`: its command is empty", program.name),
                    format!("give program.{}.command a program to run", program.name),
                ));
            };
            Ok(Resolved {
                program: find_program(program, first, cwd, search, files)?,
                head: vec![first.clone().into_bytes()],
                script: None,
            })
        }
        Command::Script { name, path, interpreter } => {
            let script = find_script(program, name, path, base, files)?;
            let mut words = interpreter.clone();
            if words.is_empty() {
                let extension = script.extension().and_then(|extension| extension.to_str());
                let known = EXTENSIONS.iter().find(|(ext, _)| Some(*ext) == extension);
                words.extend(known.map(|(_, interpreter)| (*interpreter).to_owned()));
            }
            let file = bytes(&script);
            match words.split_first() {
                None => Ok(Resolved { program: script.clone(), head: vec![file], script: Some(script) }),
                Some((first, rest)) => {
                    let interpreter =
                        find_program(program, first, cwd, search, files).map_err(|failure| SpawnFailure {
                            problem: as_interpreter(failure.problem),
                            ..failure
                        })?;
                    let mut head = vec![bytes(&interpreter)];
                    head.extend(rest.iter().map(|word| word.clone().into_bytes()));
                    head.push(file);
                    Ok(Resolved { program: interpreter, head, script: Some(script) })
                }
            }
        }
    }
}

const fn as_interpreter(problem: SpawnProblem) -> SpawnProblem {
    match problem {
        SpawnProblem::NotFound => SpawnProblem::Interpreter,
        other => other,
    }
}

fn find_script(
    program: &Program,
    name: &str,
    folders: &[PathBuf],
    base: &Path,
    files: &impl Files,
) -> Result<PathBuf, SpawnFailure> {
    let mut parts = Path::new(name).components();
    let one_name =
        matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    if !one_name || name.contains('\0') {
        return Err(refuse(
            SpawnProblem::Input,
            format!("cannot start `{}`: `{name}` is not the name of one file", program.name),
            "write the name alone, and its folder in script_path",
        ));
    }
    for folder in folders {
        let folder = base.join(folder);
        let names = std::iter::once(name.to_owned())
            .chain(EXTENSIONS.iter().map(|(extension, _)| format!("{name}.{extension}")));
        let Some(found) = names.map(|name| folder.join(name)).find(|path| files.is_file(path)) else {
            continue;
        };
        let inside = files.canonical(&folder).zip(files.canonical(&found));
        return match inside {
            Some((folder, script)) if script.starts_with(&folder) => Ok(script),
            inside => Err(refuse(
                SpawnProblem::Permission,
                format!(
                    "cannot start `{}`: `{}` leads out of its folder, to `{}`",
                    program.name,
                    found.display(),
                    inside.map_or_else(|| "nowhere".into(), |(_, script)| script.display().to_string())
                ),
                "put the script itself there, or name the script's own folder before that one in script_path",
            )),
        };
    }
    if let Some(failure) =
        folders.iter().find_map(|folder| no_file(program, &base.join(folder).join(name), files))
    {
        return Err(failure);
    }
    let looked: Vec<String> = folders.iter().map(|folder| base.join(folder).display().to_string()).collect();
    let similar = folders.iter().find_map(|folder| files.similar(&base.join(folder), name));
    Err(refuse(
        SpawnProblem::NotFound,
        format!("cannot start `{}`: no script `{name}` in {}", program.name, looked.join(", ")),
        similar.map_or_else(
            || format!("add the script, or fix program.{}.script or script_path", program.name),
            |similar| format!("there is `{similar}`; fix program.{}.script", program.name),
        ),
    ))
}

/// The failure when something of the script's name exists, but is no file.
fn no_file(program: &Program, path: &Path, files: &impl Files) -> Option<SpawnFailure> {
    let what = match (files.link(path), files.canonical(path)) {
        (Some(target), _) => format!("is a link to `{}`, where no file is", target.display()),
        (None, Some(_)) => "is no regular file".to_owned(),
        (None, None) => return None,
    };
    Some(refuse(
        SpawnProblem::NotFound,
        format!("cannot start `{}`: `{}` {what}", program.name, path.display()),
        format!("put the script there, or fix program.{}.script", program.name),
    ))
}

fn find_program(
    program: &Program,
    word: &str,
    cwd: &Path,
    search: &[u8],
    files: &impl Files,
) -> Result<PathBuf, SpawnFailure> {
    use std::os::unix::ffi::OsStrExt;
    // The kernel's error for a path that was given is the best one; so the path is not checked here.
    if word.contains('/') {
        return Ok(cwd.join(word).components().collect());
    }
    let mut present = None;
    for folder in search.split(|byte| *byte == b':') {
        let path = cwd.join(std::ffi::OsStr::from_bytes(folder)).join(word);
        if files.is_file(&path) {
            if files.is_executable(&path) {
                return Ok(path);
            }
            present.get_or_insert(path);
        }
    }
    let near = search
        .split(|byte| *byte == b':')
        .find_map(|folder| files.similar(&cwd.join(std::ffi::OsStr::from_bytes(folder)), word));
    Err(match present {
        Some(path) => refuse(
            SpawnProblem::Permission,
            format!("cannot start `{}`: `{}` is not executable", program.name, path.display()),
            format!("chmod +x {}", path.display()),
        ),
        None => refuse(
            SpawnProblem::NotFound,
            format!("cannot start `{}`: no program `{word}` on its PATH", program.name),
            format!(
                "{}, write it with its path, or set PATH in env; its PATH is {}",
                near.map_or_else(
                    || "install it".into(),
                    |near| format!("did you mean `{near}`? Else install it")
                ),
                String::from_utf8_lossy(search)
            ),
        ),
    })
}

fn bytes(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regular files, executable ones marked with `*`, links as `from -> to`.
    struct Listed(Vec<&'static str>);

    impl Listed {
        fn entry(&self, path: &Path) -> Option<&'static str> {
            let plain = |e: &str| e.trim_end_matches('*').split(" -> ").next().map(PathBuf::from);
            self.0.iter().copied().find(|e| plain(e).as_deref() == Some(path))
        }
    }

    impl Files for Listed {
        fn is_file(&self, path: &Path) -> bool {
            self.entry(path).is_some()
        }
        fn is_executable(&self, path: &Path) -> bool {
            self.entry(path).is_some_and(|entry| entry.ends_with('*'))
        }
        fn canonical(&self, path: &Path) -> Option<PathBuf> {
            let link = self.entry(path).and_then(|entry| entry.split(" -> ").nth(1));
            Some(link.map_or_else(|| path.to_owned(), PathBuf::from))
        }
        fn link(&self, _: &Path) -> Option<PathBuf> {
            None
        }
        fn similar(&self, _: &Path, _: &str) -> Option<String> {
            Some("scrape.py".into())
        }
    }

    #[track_caller]
    fn found(command: Command, files: Vec<&'static str>) -> Result<String, SpawnProblem> {
        let program = Program::new("p", command);
        let search = b"/usr/bin:/bin:rel:";
        resolve(&program, Path::new("/app"), Path::new("/cwd"), search, &Listed(files))
            .map(|resolved| {
                let head: Vec<_> = resolved.head.iter().map(|part| String::from_utf8_lossy(part)).collect();
                format!("{}: {}", resolved.program.display(), head.join(" "))
            })
            .map_err(|failure| failure.problem)
    }

    fn script(name: &str, interpreter: &[&str]) -> Command {
        Command::Script {
            name: name.into(),
            path: vec!["a".into(), "/b".into()],
            interpreter: interpreter.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    #[test]
    fn the_first_file_on_the_path_wins_as_given_before_an_extension() {
        let python = "/usr/bin/python3*";
        assert_eq!(
            found(script("s", &[]), vec!["/b/s", "/app/a/s.py", python]),
            Ok("/usr/bin/python3: /usr/bin/python3 /app/a/s.py".into())
        );
        assert_eq!(found(script("s", &[]), vec!["/app/a/s.py", "/app/a/s"]), Ok("/app/a/s: /app/a/s".into()));
        assert_eq!(
            found(script("s.py", &["python3", "-u"]), vec!["/b/s.py", python]),
            Ok("/usr/bin/python3: /usr/bin/python3 -u /b/s.py".into())
        );
    }

    #[test]
    fn a_script_is_one_name_inside_its_folder() {
        for name in ["../s", "x/s", "/b/s", "..", ".", "", "s/"] {
            assert_eq!(found(script(name, &[]), vec!["/b/s"]), Err(SpawnProblem::Input), "{name}");
        }
        assert_eq!(found(script("s", &[]), vec!["/b/s -> /etc/s"]), Err(SpawnProblem::Permission));
        assert_eq!(found(script("s", &[]), vec!["/b/s -> /b/v2/s"]), Ok("/b/v2/s: /b/v2/s".into()));
        assert_eq!(found(script("s", &[]), vec![]), Err(SpawnProblem::NotFound));
        assert_eq!(found(script("s.py", &[]), vec!["/b/s.py"]), Err(SpawnProblem::Interpreter));
    }

    #[test]
    fn a_command_is_found_by_the_childs_path_and_a_slash_is_relative_to_cwd() {
        let argv = |first: &str| Command::Argv(vec![first.into()]);
        assert_eq!(found(argv("x"), vec!["/usr/bin/x", "/bin/x*"]), Ok("/bin/x: x".into()));
        assert_eq!(found(argv("x"), vec!["/usr/bin/x"]), Err(SpawnProblem::Permission));
        assert_eq!(found(argv("x"), vec!["/cwd/rel/x*"]), Ok("/cwd/rel/x: x".into()));
        assert_eq!(found(argv("x"), vec!["/cwd/x*"]), Ok("/cwd/x: x".into()));
        assert_eq!(found(argv("x"), vec![]), Err(SpawnProblem::NotFound));
        assert_eq!(found(argv("./x"), vec![]), Ok("/cwd/x: ./x".into()));
        assert_eq!(found(argv(""), vec![]), Err(SpawnProblem::Input));
    }
}
