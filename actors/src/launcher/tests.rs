//! The Launcher while an env file does not answer.

use super::*;
use crate::{
    keeper::wake_pair,
    model::{AttemptId, Command, Params, Program, RunId, SpawnProblem},
};
use actix::{Actor, Context, Handler};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(60);

struct Recorder(mpsc::UnboundedSender<Report>);

impl Actor for Recorder {
    type Context = Context<Self>;
}

impl Handler<Report> for Recorder {
    type Result = ();

    fn handle(&mut self, report: Report, _: &mut Self::Context) {
        let _ = self.0.send(report);
    }
}

#[actix::test]
async fn a_stop_is_heard_while_an_env_file_does_not_answer() {
    let store = tempfile::tempdir().unwrap();
    let (sender, mut reports) = mpsc::unbounded_channel();
    let (wake, _receiver) = wake_pair().unwrap();
    let recorder = Recorder(sender).start().recipient();
    let config = LauncherConfig::new(store.path().to_owned(), 7, recorder, wake);
    let mut launcher = LauncherActor::new(config).unwrap();
    let file = store.path().join(".env");
    let stuck = launcher.env_files.hold(file.clone()).await;
    let launcher = launcher.start();
    let attempt = |number| AttemptId { run: RunId::from_parts(1, 7), number };
    let mut failure = async |attempt| {
        let report = tokio::time::timeout(PATIENCE, reports.recv()).await.unwrap().unwrap();
        let Report::LaunchFailed { attempt: failed, failure } = report else { panic!("{report:?}") };
        assert_eq!(failed, attempt);
        failure
    };

    let mut waits = Program::new("waits", Command::Argv(vec!["no-such-program".into()]));
    waits.env_file = Some(file);
    let waits = Arc::new(waits);
    let launch = |number, program: &Arc<Program>| Launch {
        attempt: attempt(number),
        program: Arc::clone(program),
        params: Params::new(),
    };
    launcher.do_send(launch(1, &waits));
    launcher.do_send(Stop { attempt: attempt(1), signal: libc::SIGTERM, timeout_ms: 0 });
    assert!(failure(attempt(1)).await.message.contains("stopped while its env_file was read"));

    // Others are not held up by one that still waits.
    launcher.do_send(launch(2, &waits));
    let other = Arc::new(Program::new("other", Command::Argv(vec!["no-such-program".into()])));
    launcher.do_send(launch(3, &other));
    assert_eq!(failure(attempt(3)).await.problem, SpawnProblem::NotFound);
    drop(stuck);
    let late = failure(attempt(2)).await;
    assert!(late.message.contains(".env does not exist"), "and it is read in the end: {}", late.message);
    launcher.do_send(launch(4, &other));
    assert_eq!(failure(attempt(4)).await.problem, SpawnProblem::NotFound, "the stopped start never came");
}
