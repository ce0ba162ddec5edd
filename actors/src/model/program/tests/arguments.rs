//! Arguments that are there or not, the folder, scopes, and code that parameters would become a part of.

use super::{super::*, problems_of};
use crate::model::{Arg, IntoArgs, ParamKind, ParamSpec, ParamValue, Params};

fn program<M>(args: impl IntoArgs<M>) -> Program {
    Program::command("p", ["x"])
        .args(args)
        .param(ParamSpec::string("set").default("a"))
        .param(ParamSpec::string("unset"))
        .param(ParamSpec::boolean("flag"))
        .param(ParamSpec::integer("n"))
        .param(ParamSpec::url("url"))
        .param(ParamSpec::list("l"))
        .param(ParamSpec::list("m").required())
        .param(ParamSpec::string("key").secret("KEY"))
}

#[track_caller]
fn advised(program: &Program, expected: &[(&str, &str, &str)]) {
    assert_eq!(program.check(), [], "advice is for what has no errors");
    let advice = program.advice();
    let found: Vec<_> =
        advice.iter().map(|p| (p.path.as_str(), p.message.as_str(), p.help.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_a_place_asks_for_must_be_there() {
    let wrong = |text: &str, code: &str| problems_of(&program([text]), &[&format!("args[0] {code}")]);
    for text in
        ["{n:lower}", "{flag:lower}", "{set.host}", "{set*}", "{l}", "{l:lower}", "{run.host}", "{program*}"]
    {
        wrong(text, "config.value");
    }
    wrong("{nope}", "config.unknown_param");
    wrong("x{key}", "config.secret");
    wrong("{set:upper}", "config.template");
    problems_of(&program(["{url.host}", "{set:lower}", "{l*}", "{run}", "{attempt}", "{program}"]), &[]);
}

#[test]
fn groups_and_choices_between_arguments_are_checked_to_their_last_text() {
    problems_of(
        &program((
            ["--a", "{nope}"],
            Arg::Group(Vec::new()),
            ["{l*}", "{m*}"],
            Arg::when("set", ["--x"]),
            Arg::when("nope", ["--x"]),
            Arg::when("flag", Vec::<String>::new()),
            Arg::when("flag", ["--x"]).otherwise(("y", ["--z", "{key}"])),
        )),
        &[
            "args[0][1] config.unknown_param",
            "args[1] config.value",
            "args[2] config.value",
            "args[3].when config.value",
            "args[4].when config.unknown_param",
            "args[5].args config.value",
            "args[6].else[1][1] config.secret",
        ],
    );
    problems_of(&Program::command("p", (["a", "b"], "c")), &["command[0] config.value"]);
    problems_of(&Program::command("p", ("a", ["b", "{c}"])), &["command[1][1] config.unknown_param"]);
}

#[test]
fn an_option_that_would_stand_alone_is_doubtful() {
    let help = "write the two as a group, which is left out whole: ";
    let lonely = |text: &str| {
        (
            format!("`--x` is there without a value when `{}` is unset", "unset"),
            format!("{help}[\"--x\", \"{text}\"]"),
        )
    };
    for text in ["{unset}", "k={unset}"] {
        let (message, help) = lonely(text);
        advised(&program(["--x", text]), &[("args[1]", &message, &help)]);
    }
    advised(
        &program(["--x", "{l*}"]),
        &[(
            "args[1]",
            "`--x` is there without a value when `l` is unset",
            "write the two as a group, which is left out whole: [\"--x\", \"{l*}\"]",
        )],
    );
    advised(
        &program(["--x={unset}"]),
        &[(
            "args[0]",
            "`--x={unset}` is left out when `unset` is unset",
            "if that is meant, write it as a group: [\"--x={unset}\"]; else give unset a default",
        )],
    );
    let nested = Arg::when("flag", ["--x", "{unset}"]);
    let (message, help) = lonely("{unset}");
    advised(&program((nested,)), &[("args[0].args[1]", &message, &help)]);
    let mut split = program(["{unset}"]);
    split.command = Command::Argv(["x", "--x"].map(Into::into).into());
    advised(&split, &[("args[0]", &message, &help)]);
    // A group, a value that is always there, a list that has an item, and what is no option.
    let fine = (
        ["--x", "{unset}"],
        "--x",
        "{set}",
        "--y={set}",
        "--m",
        "{m*}",
        "--x={m*}",
        ["--x={unset}"],
        "{unset}",
    );
    advised(&program(fine), &[]);
    advised(&program(["--", "{unset}"]), &[]);
}

#[test]
fn a_boolean_that_would_be_a_word_is_doubtful() {
    advised(
        &program(["{flag}"]),
        &[(
            "args[0]",
            "`{flag}` is the word true or false, and no switch",
            "write { when = \"flag\", args = [\"--flag\"] }",
        )],
    );
    advised(&program((["--flag", "{flag}"], ["--flag={flag}"])), &[]);
}

#[test]
fn what_no_start_could_use_is_refused_before() {
    let with = |spec: ParamSpec| Program::command("p", ["x", "{v}"]).param(spec);
    problems_of(&with(ParamSpec::string("v").default("-rf")), &["params.v.default config.value"]);
    problems_of(&with(ParamSpec::choice("v", ["a", "-a"])), &["params.v.choices config.value"]);
    problems_of(&with(ParamSpec::string("v").default("-rf").allow_dash()), &[]);
    problems_of(&with(ParamSpec::integer("v").default(-5)), &[]);
    let list = || ParamSpec::list("l").default(["a", "-b"]);
    problems_of(&Program::command("p", ["x", "{l*}"]).param(list()), &["params.l.default config.value"]);
    problems_of(&Program::command("p", ["x", "--", "{l*}"]).param(list()), &[]);
    problems_of(&Program::command("p", ["x", "--l={l*}"]).param(list()), &[]);
    problems_of(&Program::command("p", ["x"]).success_exit_codes([]), &["success_exit_codes config.value"]);
    problems_of(&Program::command("p", ["x"]).success_exit_codes([]).restart(Restart::Always), &[]);
}

#[test]
fn braces_where_no_value_goes_are_doubtful() {
    let program = Program::script("p", "{v}.sh")
        .script_path(["a/{v}"])
        .interpreter(["sh", "{v}"])
        .env_file("{v}.env")
        .env("T_{v}", "{v}")
        .param(ParamSpec::string("v").env("{v}"));
    let paths: Vec<_> = program.advice().into_iter().map(|problem| problem.path).collect();
    assert_eq!(
        paths,
        ["script", "script_path[0]", "interpreter[1]", "env_file", "env.T_{v}", "params.v.env"]
    );
    advised(&Program::script("p", "{other}.sh"), &[]);
}

#[test]
fn a_folder_chosen_by_a_parameter_is_always_there_and_chooses_no_program() {
    let with = |command: &[&str], cwd: &str| program(["y"]).cwd(cwd).own_command(command);
    problems_of(&with(&["x"], "/srv/{set}/{program}/{run}"), &[]);
    problems_of(&with(&["x"], "/srv/{m*}"), &["cwd config.value"]);
    problems_of(&with(&["x"], "/srv/{unset}"), &["cwd config.value"]);
    problems_of(&with(&["x"], "/srv/{key}"), &["cwd config.secret"]);
    problems_of(&with(&["./x"], "/srv/{set}"), &["command[0] config.value"]);
    problems_of(&with(&["/bin/x"], "/srv/{set}"), &[]);
    problems_of(&with(&["./x"], "/srv"), &[]);
}

impl Program {
    fn own_command(mut self, command: &[&str]) -> Self {
        self.command = Command::Argv(command.iter().copied().map(Into::into).collect());
        self
    }
}

#[test]
fn a_scope_begins_with_a_word_of_its_own() {
    let with = |scope: &str| program(["y"]).shared_breaker(scope);
    for scope in ["site:{url.host}", "site:{set:lower}", "{program}x", "globally", "pro:{set}", "host-{set}"]
    {
        let fits = scope != "{program}x";
        problems_of(&with(scope), if fits { &[] } else { &["breakers[0] config.value"] });
    }
    for scope in [
        "{set}",
        "program:{set}",
        "program:victim",
        "user:x",
        "global",
        "p{set}",
        "user{set}",
        "glob{set}",
        "g{set}",
    ] {
        problems_of(&with(scope), &["breakers[0] config.value"]);
    }
    for scope in ["s:{run}", "s:{attempt}", "s:{l*}"] {
        problems_of(&with(scope), &["breakers[0] config.value"]);
    }
    let many = (0..6).fold(program(["y"]), |program, n| program.shared_breaker(format!("s{n}")));
    problems_of(&many, &["breakers config.value"]);
    advised(
        &with("s").shared_breaker("s"),
        &[("breakers[1]", "`s` stands here twice, and is asked once", "take one of them out")],
    );
}

#[test]
fn a_parameter_that_would_be_code_is_doubtful() {
    let code = |words: &[&str]| {
        let advice = program(["y"]).own_command(words).advice();
        let shell = advice.iter().filter(|problem| problem.code == "config.shell");
        shell.map(|problem| problem.path.clone()).collect::<Vec<_>>()
    };
    for words in [
        &["sh", "-c", "echo {set}"][..],
        &["/bin/bash", "-lc", "echo {set}"],
        &["bash", "-ec", "echo {set}"],
        &["python3.11", "-c", "print('{set}')"],
        &["perl", "-ne", "print '{url}'"],
        &["ruby", "-e", "puts '{set}'"],
        &["su", "-c", "echo {set}"],
        &["zsh", "-c", "echo {url.host}"],
    ] {
        assert_eq!(code(words), ["command[2]"], "{words:?}");
    }
    assert_eq!(code(&["env", "sh", "-c", "echo {set}"]), ["command[3]"]);
    assert_eq!(code(&["node", "--eval=console.log('{set}')"]), ["command[1]"]);
    assert_eq!(code(&["ssh", "-p", "{n}", "{set}", "ls {set}"]), ["command[4]"]);
    let args = program(("sh", "-c", "echo {set}")).advice();
    assert_eq!(args.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), ["args[2]"]);
    for safe in [
        &["sh", "-c", "echo \"$1\"", "sh", "{set}"][..],
        &["sh", "-c", "exit {n}"],
        &["sh", "script.sh", "-x", "{set}"],
        &["bash", "-x", "run.sh", "{set}"],
        &["python3", "-u", "x.py", "{set}"],
        &["ssh", "{set}", "ls"],
    ] {
        assert_eq!(code(safe), Vec::<String>::new(), "{safe:?}");
    }
}

#[test]
fn lists_and_names_that_allow_no_value_are_found() {
    let with = |spec: ParamSpec| Program::command("p", ["x"]).param(spec);
    problems_of(&with(ParamSpec::list("l").max_items(0)), &["params.l.max_items config.range"]);
    problems_of(&with(ParamSpec::list("l").max_items(1001)), &["params.l.max_items config.range"]);
    let nested = ParamKind::List { items: Box::default(), max_items: 3 };
    problems_of(&with(ParamSpec::list("l").items(nested)), &["params.l.items config.value"]);
    problems_of(
        &with(ParamSpec::list("l").items(ParamKind::Integer).default(["x"])),
        &["params.l.default config.value"],
    );
    problems_of(
        &with(ParamSpec::list("l").items(ParamKind::Choice(vec![]))),
        &["params.l.choices config.required"],
    );
    problems_of(&with(ParamSpec::list("l").min(1)), &["params.l.min config.value"]);
    problems_of(
        &with(ParamSpec::list("l").required().default(Vec::<String>::new())),
        &["params.l.default config.value"],
    );
    problems_of(&with(ParamSpec::string("x").default(["a", "b"])), &["params.x.default config.value"]);
    for name in ["run", "attempt", "program"] {
        problems_of(&with(ParamSpec::string(name)), &[&format!("params.{name} config.name")]);
    }
}

/// What a start with this value of `v` is told.
fn refused(spec: ParamSpec, value: impl Into<ParamValue>) -> Option<String> {
    let program = Program::command("p", ["x"]).param(spec);
    let given = Params::from([("v".to_owned(), value.into())]);
    program.resolve_params(&given).err().map(|problems| problems.into_iter().map(|p| p.detail).collect())
}

#[test]
fn a_list_is_checked_item_by_item() {
    let list = || ParamSpec::list("v").items(ParamKind::Integer).max_items(2);
    assert_eq!(refused(list(), ["1", "2"]), None);
    assert_eq!(refused(list(), 7), None, "one value is a list of one");
    assert_eq!(refused(list(), Vec::<i64>::new()), None);
    assert_eq!(
        refused(list(), ["1", "x"]).unwrap(),
        "has a wrong item: number 2 must be a whole number, not `x`"
    );
    assert_eq!(refused(list(), [1, 2, 3]).unwrap(), "has 3 items, and at most 2 are allowed (max_items)");
    assert_eq!(refused(list().required(), Vec::<i64>::new()).unwrap(), "is required, and has no item");
    assert_eq!(
        refused(ParamSpec::list("v"), ["a", "b\0"]).unwrap(),
        "has a wrong item: number 2 contains a NUL byte, which no argument can"
    );
    assert!(refused(ParamSpec::list("v").env("V"), ["a\nb"]).unwrap().contains("one item a line"));
    assert_eq!(
        refused(ParamSpec::string("v"), ["a", "b"]).unwrap(),
        "takes one value and not 2, because it is no list"
    );
    assert_eq!(
        refused(ParamSpec::string("v"), ["a"]).unwrap(),
        "takes one value and not 1, because it is no list"
    );
}

#[test]
fn a_refusal_says_what_is_wrong_with_the_value() {
    use crate::model::Decimal;
    let decimal = |micros| ParamValue::Decimal(Decimal { micros });
    assert_eq!(refused(ParamSpec::integer("v"), decimal(5_000_000)), None);
    assert_eq!(
        refused(ParamSpec::integer("v"), decimal(5_500_000)).unwrap(),
        "must be of type integer, not `5.5`"
    );
    assert!(refused(ParamSpec::integer("v"), "9223372036854775808").unwrap().contains("64 bits"));
    let secret = || ParamSpec::integer("v").secret("V").range(10..=200);
    assert_eq!(refused(secret(), "250").unwrap(), "is out of its range 10..200");
    assert_eq!(refused(secret(), "hunter2").unwrap(), "is not of type integer");
    assert_eq!(
        refused(ParamSpec::string("v").secret("V"), "a\0").unwrap(),
        "contains a NUL byte, which no variable can"
    );
    let missing = Program::command("p", ["x"]).param(secret().required()).resolve_params(&Params::new());
    assert_eq!(missing.unwrap_err()[0].detail, "is required");
    let list = ParamSpec::list("v").secret("V").items(ParamKind::Integer).max_items(2);
    assert_eq!(
        refused(list, ["hunter2"]).unwrap(),
        "is not a list of integer with at most 2 items, each on one line"
    );
}

#[test]
fn a_secret_list_is_kept_as_its_variable_has_it() {
    let program = Program::command("p", ["x"]).param(ParamSpec::list("v").secret("V"));
    let given = Params::from([("v".to_owned(), ["one", "two"].into())]);
    let (params, secrets) = program.resolve_params(&given).unwrap();
    assert_eq!(params["v"], ParamValue::Secret);
    assert_eq!(secrets["v"], "one\ntwo");
}

#[test]
fn a_value_that_leads_out_of_its_folder_is_refused_before_a_run_exists() {
    let program = Program::command("p", ["x"]).cwd("/srv/{v}").param(ParamSpec::string("v").required());
    let refused = |v: &str| program.resolve_params(&Params::from([("v".to_owned(), v.into())])).err();
    assert_eq!(refused("shop"), None);
    assert_eq!(refused("../etc").unwrap()[0].detail, "leads out of its folder: cwd would be `/srv/../etc`");
}
