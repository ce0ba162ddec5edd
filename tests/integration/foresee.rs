//! `why` foresees what follows, and changes nothing by it.

use crate::bench_of_one::bench;
use actix_process::{ErrorKind, Jitter, Program, RetryPolicy, actors::model::Phase};

#[actix::test]
async fn why_foresees_the_next_starts_and_the_giving_up_of_a_run_and_of_its_program() {
    let policy = RetryPolicy::constant("1h").max_retries(2).jitter(Jitter::None);
    let job = Program::command("job", ["sh", "-c", "echo no idea >&2; exit 3"]).retry(policy);
    let bench = bench([job]).await;
    let run = bench.pm.start("job").send().await.expect("it fits");
    bench.phase(&run, Phase::Backoff).await;
    let due = run.status().await.expect("known").next_attempt_at;

    let why = run.why().await.expect("known");
    let forecast = why.forecast.expect("it would fail again");
    assert!(forecast.given.starts_with("if it fails the same way (exit_nonzero)"), "{}", forecast.given);
    let [second, third, end] = forecast.steps.as_slice() else { panic!("{:#?}", forecast.steps) };
    assert_eq!(second.at, due);
    assert!(second.text.starts_with("attempt 2 in "), "{}", second.text);
    assert!(third.text.starts_with("attempt 3 in about 2h"), "{}", third.text);
    assert!(
        end.text.starts_with("after attempt 3 it gives up") && end.text.contains("max_retries = 2"),
        "{}",
        end.text
    );
    assert!(why.advice.iter().any(|advice| advice.text.contains("no rule knows why")));
    assert_eq!(run.status().await.expect("known").next_attempt_at, due, "asking moved nothing");

    let program = bench.pm.why_program("job").await.expect("configured");
    assert_eq!(program.summary, "job, a job, has 1 living run: 1 waiting for the next attempt");
    assert_eq!(program.runs.iter().map(|short| short.run).collect::<Vec<_>>(), [run.id()]);
    assert!(
        program.breakers.iter().any(|text| text.starts_with("program:job is closed")),
        "{:?}",
        program.breakers
    );
    assert_eq!(program.forecast.map(|forecast| forecast.steps.len()), Some(3));
    let unknown = bench.pm.why_program("jb").await.expect_err("there is none");
    assert_eq!(unknown.kind(), ErrorKind::UnknownProgram);
    run.stop().await.expect("it waits");
    bench.end().await;
}
