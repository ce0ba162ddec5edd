//! A scenario with mistakes: all of them at once, each at its place.

use super::*;

#[track_caller]
fn finds(text: &str, expected: &[(&str, usize, &str)]) {
    let errors = match scenario(&rules(JOB), text) {
        Ok(scenario) => panic!("accepted: {scenario:#?}\nfrom\n{text}"),
        Err(ConfigErrors(errors)) => errors,
    };
    let found: Vec<_> =
        errors.iter().map(|error| (error.code.as_str(), error.line, error.message.as_str())).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((code, line, message), (wanted, at, part)) in found.iter().zip(expected) {
        assert!(code == wanted && line == at && message.contains(part), "{found:#?}");
    }
    assert!(errors.iter().all(|error| !error.help.is_empty() && error.column > 0), "{errors:#?}");
}

/// A good start and script, to stand before one mistake.
const GOOD: &str = "until = \"1h\"\n[[start]]\nprogram = \"job\"\n[[script]]\nprogram = \"job\"\nattempts = [{ lasts = \"1s\" }]\n";

#[test]
fn everything_that_is_wrong_is_told_together() {
    finds(
        "until = 5\n[[start]]\nprogram = \"jib\"\n[[start]]\nprogram = \"job\"\nparams = { x = 1 }\nat = \"1x\"\n\
         [[script]]\nprogram = \"job\"\nattempts = [{ exit = 1 }, { lasts = \"5\" }]\n[[operator]]\ndo = \"stp\"\n",
        &[
            ("config.duration", 1, "needs a unit"),
            ("scenario.unknown_program", 3, "there is no program `jib`"),
            ("scenario.params", 6, "x is unknown"),
            ("config.duration", 7, "`x` is not a unit"),
            ("config.required", 10, "how long this attempt lasts"),
            ("config.duration", 10, "needs a unit"),
            ("config.value", 12, "`do` cannot be \"stp\""),
        ],
    );
}

/// What follows the good part, and what is said of it: code, line, and a part of the message.
const MISTAKES: &[(&str, &str, usize, &str)] = &[
    (
        "[[operator]]\ndo = \"stop\"\nrun = \"r1\"\nforce = true\n",
        "config.conflict",
        10,
        "`force` says nothing for do = \"stop\"",
    ),
    ("[[strat]]\n", "config.unknown_key", 7, "unknown key `strat`"),
    ("[[script]]\nprogram = \"job\"\nattempts = [{ lasts = \"1s\" }]\n", "config.duplicate", 7, "already"),
    (
        "[[script]]\nrun = \"r9\"\nattempts = [{ lasts = \"1s\" }]\n",
        "scenario.unknown_run",
        8,
        "makes a run `r9`",
    ),
    ("[[script]]\nrun = \"r1\"\n", "config.required", 7, "says nothing of its attempts"),
    ("[[script]]\nrun = \"r1\"\nattempts = []\n", "config.value", 7, "empty"),
    ("[[script]]\nattempts = [{ lasts = \"1s\" }]\n", "config.required", 7, "whom this is about"),
    (
        "[[script]]\nrun = \"r1\"\nprogram = \"job\"\nattempts = [{ lasts = \"1s\" }]\n",
        "config.conflict",
        8,
        "both",
    ),
    (
        "[[script]]\nrun = \"r1\"\nattempts = [{ lasts = \"1s\" }]\nwindows = [{ lasts = \"1s\" }]\n",
        "config.conflict",
        10,
        "both say",
    ),
    (
        "[[script]]\nrun = \"r1\"\nattempts = [{ lasts = \"1s\", exit = 300 }]\n",
        "config.range",
        9,
        "no exit code",
    ),
    (
        "[[script]]\nrun = \"r1\"\nattempts = [{ lasts = \"1s\", exit = 1, signal = \"SIGHUP\" }]\n",
        "config.conflict",
        9,
        "`exit` or by `signal`",
    ),
    (
        "[[script]]\nrun = \"r1\"\nattempts = [{ lasts = \"1s\", spawn_error = \"ENOENT\" }]\n",
        "config.conflict",
        9,
        "never lives",
    ),
    (
        "[[script]]\nrun = \"r1\"\nattempts = [{ lasts = \"1s\", output = [\"x\"], output_at = \"2s\" }]\n",
        "config.conflict",
        9,
        "later than the attempt's end",
    ),
    (
        "[[script]]\nrun = \"r1\"\nattempts = [{ lasts = \"1s\", ready_at = \"500ms\" }]\n",
        "config.conflict",
        9,
        "`ready_at` needs a `ready` rule, and `job` has none",
    ),
    (
        "[[script]]\nrun = \"r1\"\nwindows = [{ to = \"2h\", lasts = \"1s\" }, { from = \"1h\", lasts = \"1s\" }]\n",
        "config.conflict",
        9,
        "overlaps",
    ),
    (
        "[[script]]\nrun = \"r1\"\nwindows = [{ from = \"2h\", to = \"2h\", lasts = \"1s\" }]\n",
        "config.conflict",
        9,
        "not later than `from`",
    ),
    ("[[operator]]\nrun = \"r1\"\n", "config.required", 7, "`do` is missing"),
    ("[[operator]]\ndo = \"reset_breaker\"\n", "config.required", 7, "`scope` is missing"),
    (
        "[[operator]]\ndo = \"stop\"\nrun = \"r1\"\nttl = \"1h\"\n",
        "config.conflict",
        10,
        "`ttl` says nothing",
    ),
    ("[[start]]\nprogram = \"job\"\nrun = \"r1\"\n", "config.duplicate", 7, "two runs are called `r1`"),
    (
        "[[restart_supervisor]]\nat = \"1m\"\ndown_for = \"1m\"\n[[restart_supervisor]]\nat = \"90s\"\n",
        "config.conflict",
        10,
        "down already",
    ),
    ("[[restart_supervisor]]\nwall_step = \"-1\"\n", "config.duration", 8, "needs a unit"),
];

#[test]
fn one_mistake_one_message() {
    for (mistake, code, line, message) in MISTAKES {
        finds(&format!("{GOOD}{mistake}"), &[(code, *line, message)]);
    }
    finds(
        "[[start]]\nprogram = \"job\"\n",
        &[("config.required", 1, "does not say how long"), ("config.required", 1, "no [[script]] says")],
    );
    finds("until = \"1h\" x\n", &[("config.syntax", 1, "")]);
    let ready = JOB.replace("breaker = false", "breaker = false\nready.pattern = 'up'");
    for (play, message) in [
        ("lasts = \"1s\", ready_at = \"2s\"", "`ready_at` is later than the attempt's end"),
        ("spawn_error = \"ENOENT\", ready_at = \"2s\"", "so `ready_at` says nothing"),
    ] {
        let text = format!("{GOOD}[[script]]\nrun = \"r1\"\nattempts = [{{ {play} }}]\n");
        let ConfigErrors(errors) = scenario(&rules(&ready), &text).expect_err("it is wrong");
        let [error] = &errors[..] else { panic!("{errors:#?}") };
        assert!(error.line == 9 && error.message.contains(message), "{error}");
    }
}

#[test]
fn a_missing_file_is_told_by_its_name() {
    let errors =
        config::load_scenario(Path::new("nowhere.toml"), &rules(JOB), None).expect_err("no such file");
    let text = errors.to_string();
    assert!(text.contains("nowhere.toml") && text.contains("cannot read the scenario file"), "{text}");
}
