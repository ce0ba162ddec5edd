//! A parameter's value is one argument, byte for byte, or the start is refused.

use crate::bench_of_one::bench;
use actix_process::{ErrorKind, Param, Program, actors::model::Stream};

/// A child that prints its arguments, each ended by NUL, so that no value can hide where it was split.
fn printer() -> Program {
    Program::command(
        "printer",
        ["sh", "-c", r#"for a in "$@"; do printf '%s\0' "$a"; done"#, "sh", "{value}", "x{value}x"],
    )
    .param(Param::string("value").required())
}

#[actix::test]
async fn hostile_values_arrive_byte_for_byte() {
    let bench = bench([printer()]).await;
    let values = [
        "two words",
        "\"quoted\" 'twice'",
        "$(touch /tmp/never) `id` $HOME",
        "line one\nline two\n",
        "; rm -rf /tmp/never",
        "a && b | c > d",
        "*?[a-z]~",
        "\\ \\n \t",
        "é😀",
        "",
        "{not} a {{place}}",
        "%s%n",
        "a=b",
    ];
    for value in values {
        let run = bench.pm.start("printer").param("value", value).send().await.expect("the value fits");
        assert!(run.wait().await.expect("it ends").is_success());
        let printed = bench.output(&run, Stream::Stdout).await;
        assert_eq!(String::from_utf8_lossy(&printed), format!("{value}\0x{value}x\0"), "{value:?}");
    }
    bench.end().await;
}

#[actix::test]
async fn a_leading_dash_is_refused_unless_the_definition_allows_it() {
    let echo = |name: &str, param: Param, args: &[&str]| {
        Program::command(name, ["printf", "%s\\n"]).args(args.iter().copied()).param(param)
    };
    let bench = bench([
        echo("plain", Param::string("value"), &["{value}"]),
        echo("allowed", Param::string("value").allow_dash(), &["{value}"]),
        echo("guarded", Param::string("value"), &["--", "{value}"]),
        echo("inside", Param::string("value"), &["--name={value}"]),
        echo("number", Param::integer("value"), &["{value}"]),
    ])
    .await;
    for (program, value, fits) in [
        ("plain", "--force", false),
        ("plain", "-", false),
        ("plain", "force-", true),
        ("allowed", "--force", true),
        ("guarded", "--force", true),
        ("inside", "--force", true),
        ("number", "-5", true),
    ] {
        let start = bench.pm.start(program).param("value", value).send().await;
        match start {
            Ok(run) => {
                assert!(fits, "{program} {value} is let through");
                assert!(run.wait().await.expect("it ends").is_success());
            }
            Err(error) => {
                assert!(!fits, "{program} {value}: {error}");
                assert_eq!(error.kind(), ErrorKind::InvalidParams, "{error}");
                assert!(error.to_string().contains("option"), "{error}");
            }
        }
    }
    bench.end().await;
}

#[actix::test]
async fn values_that_cannot_be_arguments_are_refused_before_a_run_exists() {
    let bench = bench([printer().param(Param::integer("n").range(1..=10))]).await;
    for (name, value) in [("value", "nul\0byte"), ("n", "eleven"), ("n", "11"), ("unknown", "x")] {
        let start = bench.pm.start("printer").param("value", "x").param(name, value);
        let error = start.send().await.expect_err("it does not fit");
        assert_eq!(error.kind(), ErrorKind::InvalidParams, "{error}");
        assert!(error.param_problems().iter().any(|problem| problem.name == name), "{error}");
    }
    let missing = bench.pm.start("printer").send().await.expect_err("value is required");
    assert_eq!(missing.kind(), ErrorKind::InvalidParams, "{missing}");
    assert!(bench.pm.runs(Default::default()).await.expect("it lives").is_empty());
    bench.end().await;
}

#[actix::test]
async fn a_secret_reaches_the_child_and_nothing_else() {
    let program =
        crate::bench_of_one::shell("keyed", r#"echo "key is $API_KEY"; env | grep -c ACTIX_PROCESS"#)
            .param(Param::string("api_key").secret("API_KEY"));
    let bench = bench([program]).await;
    let run = bench.pm.start("keyed").param("api_key", "s3cr3t-value").send().await.expect("it fits");
    assert!(run.wait().await.expect("it ends").is_success());
    let output = bench.output(&run, Stream::Stdout).await;
    assert_eq!(String::from_utf8_lossy(&output), "key is ***\n1\n", "redacted in what is stored");
    let journal = format!("{:?}", bench.journal().await);
    assert!(!journal.contains("s3cr3t"), "no secret in the journal");
    let folder = bench.folder.path().join("store");
    bench.pm.shutdown().await.expect("an orderly end");
    let mut todo = vec![folder];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(
                std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()),
            );
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            let found = bytes.windows(12).any(|window| window == b"s3cr3t-value");
            assert!(!found, "{} holds the secret after the run ended", path.display());
        }
    }
}
