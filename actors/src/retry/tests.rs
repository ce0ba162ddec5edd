//! The actor alone, under a clock that the test moves.

use super::*;
use crate::{
    clerk::{Door, Due},
    clock,
    model::{Command, Jitter, Params, Program, RunId, Timestamp},
};
use actix::{Actor, Context, Handler};
use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

/// Who was due, and how long after the test began.
type Heard = Rc<RefCell<Vec<(RunId, u64)>>>;

struct Recorder {
    heard: Heard,
    began: Timestamp,
    retry: Option<Door<Machine>>,
}

impl Actor for Recorder {
    type Context = Context<Self>;
}

impl Handler<Due<Machine>> for Recorder {
    type Result = ();

    /// Takes everybody who is due, as the Manager does.
    fn handle(&mut self, _: Due<Machine>, _: &mut Context<Self>) {
        let (heard, began, retry) =
            (self.heard.clone(), self.began, self.retry.clone().expect("it was told"));
        actix_rt::spawn(async move {
            while let Some(run) = retry.take_due(clock::now()).await.expect("it lives") {
                heard.borrow_mut().push((run, clock::now().since(began)));
            }
        });
    }
}

#[derive(actix::Message)]
#[rtype(result = "()")]
struct Of(Door<Machine>);

impl Handler<Of> for Recorder {
    type Result = ();

    fn handle(&mut self, Of(retry): Of, _: &mut Context<Self>) {
        self.retry = Some(retry);
    }
}

fn start() -> (Door<Machine>, Heard, Timestamp) {
    let (heard, began) = (Heard::default(), clock::now());
    let recorder = Recorder { heard: heard.clone(), began, retry: None }.start();
    let retry = RetryActor::new(Machine::new(7), recorder.clone().recipient()).start();
    let retry = Door::new(&retry);
    recorder.do_send(Of(retry.clone()));
    (retry, heard, began)
}

fn run(n: u128) -> RunId {
    RunId::from_parts(0, n)
}

async fn after(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[actix::test]
async fn each_run_is_due_at_its_own_time_and_once() {
    tokio::time::pause();
    let (retry, heard, began) = start();
    for (n, ms) in [(1, 3_000), (2, 1_000), (3, 2_000), (4, 1_000)] {
        retry.ask(began, Ask::Schedule { run: run(n), at: began.plus(ms) }).await.unwrap();
    }
    after(10_000).await;
    let due: Vec<_> = heard.borrow().iter().map(|(run, ms)| (*run, ms / 100 * 100)).collect();
    assert_eq!(due, [(run(2), 1_000), (run(4), 1_000), (run(3), 2_000), (run(1), 3_000)]);
}

#[actix::test]
async fn a_later_word_replaces_and_a_cancelled_run_is_never_due() {
    tokio::time::pause();
    let (retry, heard, began) = start();
    retry.ask(began, Ask::Schedule { run: run(1), at: began.plus(1_000) }).await.unwrap();
    retry.ask(began, Ask::Schedule { run: run(1), at: began.plus(5_000) }).await.unwrap();
    retry.ask(began, Ask::Schedule { run: run(2), at: began.plus(2_000) }).await.unwrap();
    retry.ask(began, Ask::Cancel(run(2))).await.unwrap();
    retry.ask(began, Ask::Schedule { run: run(3), at: began.plus(2_000) }).await.unwrap();
    retry.ask(began, Ask::Forget(run(3))).await.unwrap();
    after(4_900).await;
    assert!(heard.borrow().is_empty(), "the alarms of before are stale");
    after(200).await;
    assert_eq!(heard.borrow().iter().map(|(run, _)| *run).collect::<Vec<_>>(), [run(1)]);
}

#[actix::test]
async fn what_is_overdue_is_due_at_once() {
    tokio::time::pause();
    let (retry, heard, began) = start();
    retry.ask(began, Ask::Schedule { run: run(1), at: Timestamp(began.0 - 5_000) }).await.unwrap();
    after(1).await;
    assert_eq!(heard.borrow().len(), 1);
}

#[actix::test]
async fn an_end_is_answered_and_its_saved_state_brings_a_successor_to_the_same_place() {
    tokio::time::pause();
    let (retry, _, _) = start();
    let mut program = Program::new("scraper", Command::Argv(vec!["true".into()]));
    program.retry.jitter = Jitter::None;
    program.retry.max_failing_ms = Some(60_000);
    let program = Arc::new(program);
    let ended = Ended {
        run: run(1),
        program: Arc::clone(&program),
        base: Params::new(),
        effective: Params::new(),
        outcome: Outcome::Failed { class: "crash".into(), retry_after_ms: None },
        uptime_ms: 10,
        quarantine: None,
    };
    let verdict = judge(&retry, &ended).await;
    assert!(matches!(verdict.decision, Decision::RetryAt { n: 1, delay_ms: 1_000, .. }));
    let (second, _, _) = start();
    let saved = verdict.saved.into_iter().map(|put| (put.key, put.value.unwrap())).collect();
    let shift = crate::model::ClockShift::default();
    second.ask(clock::now(), Ask::Restore { saved, shift }).await.unwrap();
    let verdict = judge(&second, &ended).await;
    assert!(matches!(verdict.decision, Decision::RetryAt { n: 2, delay_ms: 2_000, .. }));
    let deadline = Ask::Deadline { run: run(1), program: Arc::clone(&program) };
    let until = second.ask(clock::now(), deadline).await.unwrap();
    assert!(matches!(until, Answer::FailsUntil { at: Some(_), .. }), "{until:?}");
    let prepare = Ask::Prepare { run: run(1), program, base: Params::new(), probe: None };
    let prepared = second.ask(clock::now(), prepare).await.unwrap();
    assert!(matches!(prepared, Answer::Prepared { prepared, .. } if prepared.params.is_empty()));
}

async fn judge(retry: &Door<Machine>, ended: &Ended) -> Verdict {
    let answer = retry.ask(clock::now(), Ask::Judge(Box::new(ended.clone()))).await.unwrap();
    let Answer::Judged { verdict, .. } = answer else { panic!("{answer:?}") };
    verdict
}
