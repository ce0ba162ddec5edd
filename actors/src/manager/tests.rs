//! The Manager alone, with one recorder in place of all four rooms.

use super::*;
use crate::{
    breaker,
    clerk::{Asked, Door, Due, Rules, TakeDue},
    launcher,
    model::{
        AttemptId, Command, Counts, Event, Evidence, ExitStatus, IfBlocked, JournalRecord, Params, Phase,
        Program, Scope, Spool, SpoolSizes, Timestamp,
    },
    monitor, retry,
    store::Store,
};
use actix::{Actor, ActorContext, Addr, Context, Handler, Message, MessageResult};
use futures_util::future::join_all;
use std::sync::{Arc, Mutex};

type Heard = Arc<Mutex<Vec<String>>>;

/// Writes down what it is told, and answers as a room that has no worries.
struct Recorder {
    heard: Heard,
    fail_first: bool,
    due: Option<crate::model::RunId>,
}

impl Actor for Recorder {
    type Context = Context<Self>;
}

/// `launcher::Launch`, `retry::Judge`, `retry::TakeDue`: the room, and what it is told.
fn told<M: std::fmt::Debug>(message: &M) -> String {
    let path = std::any::type_name::<M>();
    let of = |inner: &str| inner.split("::").nth(1).unwrap_or_default().to_owned();
    let word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
    let Some((message_name, room)) = path.split_once('<') else {
        return format!("{}::{}", of(path), path.rsplit("::").next().unwrap_or_default());
    };
    let said = format!("{message:?}");
    let name = match said.split_once("ask: ") {
        Some((_, ask)) => word(ask),
        None => message_name.rsplit("::").next().unwrap_or_default().to_owned(),
    };
    format!("{}::{name}", of(room))
}

macro_rules! records {
    ($($message:ty => $answer:expr;)*) => {$(
        impl Handler<$message> for Recorder {
            type Result = MessageResult<$message>;

            fn handle(&mut self, message: $message, _: &mut Context<Self>) -> Self::Result {
                self.heard.lock().expect("no panic").push(told(&message));
                let answer: fn(&mut Recorder, $message) -> <$message as Message>::Result = $answer;
                MessageResult(answer(self, message))
            }
        }
    )*};
}

records! {
    launcher::Launch => |_, _| ();
    launcher::Stop => |_, _| ();
    launcher::Signal => |_, _| ();
    launcher::Acknowledge => |_, _| ();
    launcher::KeepSecrets => |_, _| Ok(());
    launcher::ForgetSecrets => |_, _| ();
    launcher::Recover => |_, _| launcher::Recovery::default();
    launcher::Ending => |_, _| ();
    launcher::Shutdown => |_, _| ();
    monitor::Watch => |_, _| ();
    monitor::Drain => |me, drain| monitor::Drained {
        evidence: std::mem::take(&mut me.fail_first).then(|| Evidence {
            class: "rate_limited".into(),
            rule: "classify[0]".into(),
            line: format!("HTTP 429 at attempt {}", drain.attempt.number),
            stream: None,
            seq: 1,
            at: Timestamp(0),
            retry_after_ms: None,
            preferred: None,
        }),
        counts: Counts { lines: 3, errors: 1, gaps: 0 },
        items: None,
        complete: true,
    };
    monitor::Lose => |_, _| ();
    monitor::Close => |_, _| true;
    monitor::LastOutput => |_, _| None;
    monitor::Query => |_, _| Ok(crate::model::Page::default());
    monitor::GetRules => |_, _| Vec::new();
    monitor::Flush => |_, _| true;
    Asked<retry::Machine> => |me, Asked { ask, .. }| match ask {
        retry::Ask::Judge(ended) if ended.outcome != retry::Outcome::Success => {
            let decision = retry::Decision::RetryAt {
                at: crate::clock::now().plus(60_000),
                n: 1,
                raw_ms: 60_000,
                delay_ms: 60_000,
                why: "failure 1".into(),
            };
            let verdict =
                retry::Verdict { decision, events: Vec::new(), saved: Vec::new(), quarantined: false };
            retry::Answer::Judged { run: ended.run, verdict }
        }
        retry::Ask::Schedule { run, .. } => {
            me.due = Some(run);
            retry::Answer::Done
        }
        ask => retry::Machine::new(7).answer(crate::clock::now(), ask),
    };
    TakeDue<retry::Machine> => |me, _| me.due.take();
    Asked<breaker::Machine> => |_, Asked { at, ask }| breaker::Machine::new(7).answer(at, ask);
    TakeDue<breaker::Machine> => |_, _| breaker::Changes::default();
}

struct Bench {
    manager: Addr<ManagerActor>,
    heard: Heard,
    _folder: tempfile::TempDir,
}

async fn bench(fail_first: bool) -> Bench {
    bench_with(fail_first, |_| ()).await
}

/// A bench some of whose rooms are others.
async fn bench_with(fail_first: bool, change: impl FnOnce(&mut Rooms)) -> Bench {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let saved = store.load().expect("an empty store");
    let heard = Heard::default();
    let recorder = Recorder { heard: heard.clone(), fail_first, due: None }.start();
    let mut rooms = Rooms {
        launcher: ToLauncher::new(&recorder),
        monitor: ToMonitor::new(&recorder),
        retry: Door::new(&recorder),
        breaker: Door::new(&recorder),
    };
    change(&mut rooms);
    let manager = ManagerActor::new(store, saved, rooms, machine::Limits::default(), 7).start();
    let programs = vec![Program::new("job", Command::Argv(vec!["true".into()]))];
    manager.send(Configure::new(programs, [])).await.expect("the manager lives");
    Bench { manager, heard, _folder: folder }
}

impl Bench {
    /// Waits until a room was told this, then forgets what was told up to it.
    async fn heard(&self, name: &str) -> Vec<String> {
        loop {
            {
                let mut heard = self.heard.lock().expect("no panic");
                if let Some(at) = heard.iter().position(|told| told == name) {
                    return heard.drain(..=at).collect();
                }
            }
            tokio::task::yield_now().await;
        }
    }

    async fn start(&self) -> crate::model::Run {
        let start = Start { program: "job".into(), ..Start::default() };
        self.manager.send(start).await.expect("the manager lives").expect("it fits")
    }

    fn live_through(&self, attempt: AttemptId, exit: ExitStatus) {
        let spool = Spool { token: 1, stdout: "out".into(), stderr: "err".into() };
        let sizes = SpoolSizes { stdout: 9, stderr: 0 };
        for report in [
            launcher::Report::Launched { attempt, pid: 7, start_ticks: 1, spool, secrets: Vec::new() },
            launcher::Report::Exited { attempt, exit, sizes, leftovers: false },
            launcher::Report::Emptied { attempt, sizes },
        ] {
            self.manager.do_send(report);
        }
    }
}

#[actix::test]
async fn one_run_asks_every_room_in_order() {
    let bench = bench(true).await;
    let run = bench.start().await;
    bench.heard("launcher::Launch").await;
    bench.live_through(AttemptId { run: run.id, number: 1 }, ExitStatus::Code(1));
    let told = bench.heard("launcher::Acknowledge").await;
    let order: Vec<_> = told.iter().map(String::as_str).collect();
    let expected = [
        "monitor::Watch",
        "monitor::Drain",
        "breaker::Settle",
        "retry::Judge",
        "retry::Schedule",
        "monitor::Close",
        "launcher::Acknowledge",
    ];
    assert_eq!(order, expected);

    bench.manager.do_send(Due::<retry::Machine>::new());
    assert_eq!(
        bench.heard("launcher::Launch").await,
        ["retry::TakeDue", "breaker::Admit", "retry::TakeDue", "launcher::Launch"]
    );
    bench.live_through(AttemptId { run: run.id, number: 2 }, ExitStatus::Code(0));
    let ended = bench.manager.send(Wait { run: run.id }).await.expect("it lives").expect("it is known");
    assert_eq!((ended.phase, ended.attempt, ended.counts.lines), (Phase::Succeeded, 2, 6));

    let why = bench.manager.send(Why { run: run.id }).await.expect("it lives").expect("it is known");
    let story: Vec<_> = why.chain.iter().map(|sentence| sentence.text.as_str()).collect();
    assert!(story.iter().any(|text| text.contains("HTTP 429 at attempt 1")), "{story:?}");
    assert!(story.last().is_some_and(|text| text.contains("succeeded")), "{story:?}");
}

#[actix::test]
async fn nothing_is_launched_before_its_start_is_in_the_journal() {
    let bench = bench(false).await;
    let run = bench.start().await;
    bench.heard("launcher::Launch").await;
    let get = GetEvents { after: 0, limit: 0, wait_ms: 0 };
    let events: Vec<JournalRecord> = bench.manager.send(get).await.expect("it lives").expect("it reads");
    let started = |record: &JournalRecord| {
        record.run == Some(run.id) && matches!(record.event, Event::AttemptStarted { .. })
    };
    assert!(events.iter().any(started), "{events:?}");
}

#[actix::test]
async fn subscribers_hear_of_records_that_are_written() {
    struct Ear(Arc<Mutex<Vec<JournalRecord>>>);
    impl Actor for Ear {
        type Context = Context<Self>;
    }
    impl Handler<JournalRecord> for Ear {
        type Result = ();
        fn handle(&mut self, record: JournalRecord, _: &mut Context<Self>) {
            self.0.lock().expect("no panic").push(record);
        }
    }
    let bench = bench(false).await;
    let heard = Arc::default();
    let recipient = Ear(Arc::clone(&heard)).start().recipient();
    bench.manager.send(Subscribe { recipient }).await.expect("it lives");
    let run = bench.start().await;
    while heard.lock().expect("no panic").iter().all(|record: &JournalRecord| record.run != Some(run.id)) {
        tokio::task::yield_now().await;
    }
}

#[actix::test]
async fn the_same_idempotency_key_makes_one_run() {
    let bench = bench(false).await;
    let start = || Start { program: "job".into(), idempotency_key: Some("k".into()), ..Start::default() };
    let first = bench.manager.send(start()).await.expect("it lives").expect("it fits");
    let second = bench.manager.send(start()).await.expect("it lives").expect("it fits");
    assert_eq!(first.id, second.id);
    for other in [
        Start { force: true, ..start() },
        Start { requested_by: Some("alice".into()), ..start() },
        Start { labels: [("a".to_owned(), "b".to_owned())].into(), ..start() },
        Start { params: Params::from([("x".to_owned(), 1.into())]), ..start() },
        Start { program: "jbo".into(), ..start() },
    ] {
        let refused = bench.manager.send(other).await.expect("it lives");
        assert_eq!(refused, Err(StartError::KeyReused { key: "k".into(), run: first.id }));
    }
    assert_eq!(bench.manager.send(GetRuns::default()).await.expect("it lives").len(), 1);
}

#[actix::test]
async fn a_refused_start_creates_no_run() {
    let bench = bench(false).await;
    let unknown = Start { program: "jbo".into(), ..Start::default() };
    let error = bench.manager.send(unknown).await.expect("it lives").expect_err("there is no such program");
    assert_eq!(error, StartError::UnknownProgram { name: "jbo".into(), known: vec!["job".into()] });
    let params = Params::from([("x".to_owned(), 1.into())]);
    let unfit = Start { program: "job".into(), params, ..Start::default() };
    let error = bench.manager.send(unfit).await.expect("it lives").expect_err("there is no such parameter");
    assert!(matches!(error, StartError::Params { .. }), "{error}");
    assert!(bench.manager.send(GetRuns::default()).await.expect("it lives").is_empty());
    let scope = Scope("site:x".into());
    let act = breaker::OperatorAct::Reset;
    let operate = OperateBreaker { scope, act, by: None, reason: None };
    assert!(bench.manager.send(operate).await.expect("it lives").is_err());
}

#[actix::test]
async fn a_follower_that_is_told_of_a_record_does_not_hold_the_next_one_up() {
    let bench = bench(false).await;
    let followers = (0..4).map(|_| async {
        let mut after = 0;
        while after < 300 {
            let news = bench.manager.send(GetEvents { after, limit: 0, wait_ms: 60_000 }).await;
            news.expect("the manager lives").expect("the journal reads");
            // The newest decision, which may not be written yet: there is something to wait for.
            after = bench.manager.send(GetInfo).await.expect("the manager lives").last_seq;
        }
    });
    // Out of step with each other, so that one commit is written while another is read.
    let bench = &bench;
    let starters = (0..8).map(|pace| async move {
        for _ in 0..25 {
            bench.start().await;
            for _ in 0..pace * 7 {
                tokio::task::yield_now().await;
            }
        }
    });
    let (starters, followers) = (join_all(starters), join_all(followers));
    futures_util::future::join(starters, followers).await;
}

/// A room that has ended.
fn dead() -> Addr<Recorder> {
    Recorder::create(|ctx| {
        ctx.stop();
        Recorder { heard: Heard::default(), fail_first: false, due: None }
    })
}

#[actix::test]
async fn a_breaker_that_has_ended_is_not_no_breakers() {
    let bench = bench_with(false, |rooms| rooms.breaker = Door::new(&dead())).await;
    let ended = NoAnswer { room: "Breaker" };
    let manager = &bench.manager;
    assert_eq!(manager.send(GetBreakers).await.expect("it lives"), Err(ended));
    let some = GetSomeBreakers { after: None, limit: 9 };
    assert_eq!(manager.send(some).await.expect("it lives"), Err(ended));
    let why = WhyProgram { program: "job".into() };
    assert_eq!(manager.send(why.clone()).await.expect("it lives"), Err(StartError::NoAnswer(ended)));
    let (act, scope) = (breaker::OperatorAct::Reset, Scope("site:x".into()));
    let operate = OperateBreaker { scope, act, by: None, reason: None };
    assert_eq!(manager.send(operate).await.expect("it lives"), Err(ended.into()));
    let look = Start { program: "job".into(), if_blocked: IfBlocked::Refuse, ..Start::default() };
    let refused = manager.send(look).await.expect("it lives").expect_err("nobody said that it may start");
    assert_eq!(refused, StartError::NoAnswer(ended));
    assert!(manager.send(GetRuns::default()).await.expect("it lives").is_empty());
    let run = bench.start().await.id;
    assert_eq!(manager.send(Why { run }).await.expect("it lives"), Err(RunError::NoAnswer(ended)));
    assert_eq!(manager.send(why).await.expect("it lives"), Err(StartError::NoAnswer(ended)));
}

#[actix::test]
async fn a_room_that_has_ended_is_told() {
    let bench = bench_with(false, |rooms| rooms.retry = Door::new(&dead())).await;
    let trouble =
        || async { bench.manager.send(GetInfo).await.expect("it lives").trouble().unwrap_or_default() };
    let said = trouble().await;
    assert!(
        said.contains("the Retry of this supervisor has ended") && said.contains("start it again"),
        "{said}"
    );
}

#[actix::test]
async fn an_explanation_without_retrys_forecast_is_an_error() {
    let bench = bench_with(false, |rooms| rooms.retry = Door::new(&dead())).await;
    let run = bench.start().await.id;
    bench.heard("launcher::Launch").await;
    let spool = Spool { token: 1, stdout: "out".into(), stderr: "err".into() };
    let attempt = AttemptId { run, number: 1 };
    let launched = launcher::Report::Launched { attempt, pid: 7, start_ticks: 1, spool, secrets: Vec::new() };
    bench.manager.send(launched).await.expect("it lives");
    let why = bench.manager.send(Why { run }).await.expect("it lives");
    assert_eq!(why.err(), Some(RunError::NoAnswer(NoAnswer { room: "Retry" })));
}
