//! The environment of a child, later sources over earlier ones.

use super::{
    env_file::{EnvFileError, parse_env_file},
    refuse,
};
use crate::model::{ParamValue, Program, SpawnFailure, SpawnProblem, Template, Values};
use std::{collections::BTreeMap, os::unix::ffi::OsStrExt, path::Path};

/// The variables that a cleared environment still inherits.
const KEPT: [&[u8]; 4] = [b"PATH", b"HOME", b"LANG", b"TZ"];

/// The name of the tag's variable.
pub const TAG_NAME: &str = "ACTIX_PROCESS";

/// Names and values as bytes: an inherited variable need not be text.
pub type Variables = BTreeMap<Vec<u8>, Vec<u8>>;

/// What an environment is made of besides the program.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The supervisor's own environment.
    pub inherited: &'a Variables,
    /// The path and the content of the program's `env_file`; `None` without one.
    pub env_file: Option<(&'a Path, &'a str)>,
    /// The effective parameters, the program and the attempt.
    pub values: Values<'a>,
    /// The values of the secrets among the parameters.
    pub secrets: &'a BTreeMap<String, String>,
    /// The value of the tag.
    pub tag: &'a str,
    /// The working directory, for `PWD`.
    pub cwd: &'a Path,
}

/// Variables by which a service manager speaks to the supervisor, and the key to its API: meant for the supervisor,
/// and wrong or dangerous in any other process. A child that believes them tells systemd that the supervisor is
/// ready, takes a descriptor for a socket that is none, or ends because its watchdog is not fed.
const NOT_INHERITED: [&str; 18] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LISTEN_FDNAMES",
    "MAINPID",
    "MAINPIDFDID",
    "MANAGERPID",
    "MANAGERPIDFDID",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "SYSTEMD_EXEC_PID",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
    "SUPERVISE_TOKEN",
    // A folder that was left, to which `cd -` would go.
    "OLDPWD",
];

/// Whether children inherit this variable of the supervisor. What a program's own `env` and `env_file` set is
/// inherited in any case.
#[must_use]
pub fn is_inherited(name: &[u8]) -> bool {
    !NOT_INHERITED.iter().any(|ours| ours.as_bytes() == name)
}

/// Makes the environment of a child, later sources over earlier ones: inherited variables, `PWD`, `env_file`, `env`,
/// parameters with a variable of their own, the tag. `PWD` is the working directory, unless the environment is
/// cleared.
///
/// # Errors
/// [`SpawnProblem::Input`] names the line, variable or parameter.
pub fn environment(program: &Program, around: &Surroundings<'_>) -> Result<Variables, SpawnFailure> {
    let fail = |what: String, help: &str| {
        refuse(SpawnProblem::Input, format!("cannot start `{}`: {what}", program.name), help)
    };
    let mut out = Variables::new();
    for (name, value) in around.inherited {
        if !program.env_clear || KEPT.contains(&name.as_slice()) {
            out.insert(name.clone(), value.clone());
        }
    }
    if !program.env_clear {
        out.insert(b"PWD".to_vec(), around.cwd.as_os_str().as_bytes().to_vec());
    }
    if let Some((path, content)) = around.env_file {
        let pairs = parse_env_file(content).map_err(|error| {
            let EnvFileError { line, what, help } = error;
            fail(format!("line {line} of its env_file {} {what}", path.display()), help)
        })?;
        out.extend(pairs.into_iter().map(|(name, value)| (name.into_bytes(), value.into_bytes())));
    }
    let params = around.values.params;
    let value_of = |name: &str| match around.values.param(name) {
        Some(ParamValue::Secret) => around.secrets.get(name).cloned(),
        value => value.map(ParamValue::to_variable),
    };
    for name in params.iter().filter(|(_, value)| **value == ParamValue::Secret).map(|(name, _)| name) {
        if !around.secrets.contains_key(name) {
            let what = format!("the value of its secret `{name}` is no longer known");
            return Err(fail(what, "start the run anew with the secret"));
        }
    }
    for (name, text) in &program.env {
        let template = Template::parse(text)
            .map_err(|error| fail(format!("env.{name} is no template: {error}"), "correct it"))?;
        // Half a value would be worse than none.
        if template.is_filled_by(&around.values) {
            out.insert(name.clone().into_bytes(), template.render(&around.values).into_bytes());
        }
    }
    for spec in program.params.values() {
        if let (Some(name), Some(value)) = (&spec.env, value_of(&spec.name)) {
            out.insert(name.clone().into_bytes(), value.into_bytes());
        }
    }
    out.insert(TAG_NAME.as_bytes().to_vec(), around.tag.as_bytes().to_vec());
    let bad = out.iter().find(|(name, value)| {
        name.is_empty() || name.contains(&b'=') || name.contains(&0) || value.contains(&0)
    });
    match bad {
        Some((name, _)) => {
            let name = String::from_utf8_lossy(name);
            Err(fail(format!("the variable `{name}` has a NUL byte or `=` where none can be"), "correct it"))
        }
        None => Ok(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttemptId, Command, ParamSpec, Params, RunId};

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
    }

    fn program() -> Program {
        let mut program = Program::new("p", Command::Argv(vec!["x".into()]));
        let half = [("ONLY", "{unset}"), ("HALF", "x{unset}"), ("WHO", "{program} {attempt}")];
        program.env = [("B", "env {v}"), ("C", "env"), ("D", "env")]
            .into_iter()
            .chain(half)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let specs = [
            ParamSpec::string("v").env("D"),
            ParamSpec::list("tags").env("TAGS"),
            ParamSpec::string("key").secret("KEY"),
            ParamSpec::string("unset"),
        ];
        program.params = specs.map(|spec| (spec.name.clone(), spec)).into();
        program
    }

    #[track_caller]
    fn made(program: &Program, secrets: &[(&str, &str)]) -> Result<Variables, String> {
        let inherited = variables(&[
            ("PATH", "/bin"),
            ("PWD", "/of/the/daemon"),
            ("A", "inherited"),
            ("B", "inherited"),
            ("ACTIX_PROCESS", "other"),
        ]);
        let params: Params = [
            ("v".to_owned(), ParamValue::from("value")),
            ("key".to_owned(), ParamValue::Secret),
            ("tags".to_owned(), ["a", "b c"].into()),
        ]
        .into();
        let attempt = AttemptId { run: RunId::from_parts(0, 0), number: 3 };
        let secrets = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        environment(
            program,
            &Surroundings {
                inherited: &inherited,
                env_file: Some((Path::new("/.env"), "# comment\nA = 'file $HOME'\nC=file\n\nE=x\"y\n")),
                values: Values { attempt: Some(attempt), ..Values::of_a_start("p", &params) },
                secrets: &secrets,
                tag: "m/r/1",
                cwd: Path::new("/srv/sub"),
            },
        )
        .map_err(|failure| failure.message)
    }

    #[test]
    fn later_sources_win_and_the_tag_wins_over_all() {
        let expected = [
            ("A", "file $HOME"),
            ("ACTIX_PROCESS", "m/r/1"),
            ("B", "env value"),
            ("C", "env"),
            ("D", "value"),
            ("E", "x\"y"),
            ("KEY", "hush"),
            ("PATH", "/bin"),
            ("PWD", "/srv/sub"),
            ("TAGS", "a\nb c"),
            ("WHO", "p 3"),
        ];
        assert_eq!(made(&program(), &[("key", "hush")]), Ok(variables(&expected)));
    }

    #[test]
    fn a_cleared_environment_keeps_four_names_and_what_is_named() {
        let mut program = program();
        program.env_clear = true;
        program.env.remove("B");
        let made = made(&program, &[("key", "hush")]).unwrap();
        assert!(made.contains_key(b"PATH".as_slice()) && !made.contains_key(b"B".as_slice()));
        assert!(!made.contains_key(b"PWD".as_slice()));
    }

    #[test]
    fn a_pwd_that_the_program_names_is_its_own_affair() {
        let mut program = program();
        program.env.insert("PWD".into(), "/mine".into());
        assert_eq!(made(&program, &[("key", "hush")]).unwrap()[b"PWD".as_slice()], b"/mine");
    }

    #[test]
    fn what_a_service_manager_tells_us_is_not_told_to_children() {
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "MAINPID", "INVOCATION_ID"] {
            assert!(!is_inherited(name.as_bytes()), "{name}");
        }
        assert!(!is_inherited(b"JOURNAL_STREAM") && !is_inherited(b"SUPERVISE_TOKEN"));
        assert!(is_inherited(b"PATH") && is_inherited(b"LISTEN_ADDRESS") && is_inherited(b"SUPERVISE_URL"));
    }

    #[test]
    fn a_secret_whose_value_is_gone_is_no_empty_secret() {
        assert!(made(&program(), &[]).unwrap_err().contains("`key`"));
    }
}
