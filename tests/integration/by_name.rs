//! The verbs on a program: what is done to its runs, whichever these are.

use crate::bench_of_one::{Bench, bench, shell};
use actix_process::{ErrorKind, Restart, RunStatus, actors::model::Phase};

fn daemon() -> actix_process::Program {
    shell("api", "exec sleep 1000").restart(Restart::Always)
}

async fn reaches(bench: &Bench, run: &RunStatus, phase: Phase) -> RunStatus {
    let run = bench.pm.run(run.id).await.expect("known");
    bench.phase(&run, phase).await
}

#[actix::test]
async fn a_daemon_is_stopped_started_and_restarted_by_its_name() {
    let bench = bench([daemon()]).await;
    let api = bench.pm.program_handle("api").requested_by("alice");
    let first = api.start().await.expect("it starts");
    assert_eq!(first.requested_by.as_deref(), Some("alice"));
    reaches(&bench, &first, Phase::Running).await;
    let again = api.start().await.expect("it is up");
    assert_eq!((again.id, again.attempt, again.phase), (first.id, 1, Phase::Running), "left alone");

    let stopped = api.stop().await.expect("it stops");
    assert_eq!(stopped.iter().map(|run| run.id).collect::<Vec<_>>(), [first.id]);
    reaches(&bench, &first, Phase::Stopped).await;
    assert_eq!(api.stop().await.expect_err("nothing lives").kind(), ErrorKind::NotRunning);

    assert_eq!(api.start().await.expect("it goes on").id, first.id);
    assert_eq!(reaches(&bench, &first, Phase::Running).await.attempt, 2);
    let restarted = api.restart().await.expect("it restarts");
    assert_eq!(restarted.iter().map(|run| run.id).collect::<Vec<_>>(), [first.id]);
    assert!(api.status().await.expect("known").living.iter().all(|run| run.id == first.id));
    api.stop().await.expect("it stops");
    reaches(&bench, &first, Phase::Stopped).await;
    assert_eq!(api.restart().await.expect("a daemon that is down is started")[0].id, first.id);
    bench.end().await;
}

#[actix::test]
async fn a_job_gets_a_new_run_and_all_its_runs_are_stopped_together() {
    let bench = bench([shell("job", "exec sleep 1000")]).await;
    let job = bench.pm.program_handle("job");
    assert_eq!(job.restart().await.expect_err("nothing lives").kind(), ErrorKind::NotRunning);
    let runs = [job.start().await.expect("one"), job.start().await.expect("another")];
    assert_ne!(runs[0].id, runs[1].id);
    for run in &runs {
        reaches(&bench, run, Phase::Running).await;
    }
    assert_eq!(job.stop().await.expect("both").len(), 2);
    for run in &runs {
        reaches(&bench, run, Phase::Stopped).await;
    }
    bench.end().await;
}

#[actix::test]
async fn a_program_that_is_unknown_or_gone_is_not_started() {
    let bench = bench([daemon()]).await;
    let refused = bench.pm.program_handle("app").start().await.expect_err("unknown");
    assert_eq!((refused.kind(), refused.help()), (ErrorKind::UnknownProgram, Some("did you mean `api`?")));
    let api = bench.pm.program_handle("api");
    let run = api.start().await.expect("it starts");
    reaches(&bench, &run, Phase::Running).await;
    bench.pm.configure(Vec::new(), Vec::new()).await.expect("nothing to refuse");
    for refused in [api.start().await.map(|_| ()), api.restart().await.map(|_| ())] {
        assert_eq!(refused.expect_err("it is gone").kind(), ErrorKind::UnknownProgram);
    }
    api.stop().await.expect("what lives of it is stopped by its name");
    bench.end().await;
}
