//! What applications look at: each handler answers from the machine's knowledge, the store or a room, and changes
//! nothing (an operator's word to a breaker stands here because the room answers it, not the machine).

use super::{
    ManagerActor,
    machine::Input,
    messages::*,
    recording::{GetRecording, Happening, Recording},
    trouble::{keeper_trouble, room_trouble, store_trouble, with_output},
};
use crate::{
    breaker,
    clerk::Door,
    clock,
    model::{JournalRecord, Phase, Run, RunId, Timestamp},
    monitor,
};
use actix::{Context, Handler, MessageResult, ResponseFuture};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::oneshot;

/// Records read at once.
pub(super) const JOURNAL_PAGE: usize = 1_000;

/// No answer is not "no breakers": who hears that starts what an open breaker would have refused.
pub(super) const NO_BREAKER: NoAnswer = NoAnswer { room: "Breaker" };

impl Handler<GetPrograms> for ManagerActor {
    type Result = MessageResult<GetPrograms>;

    fn handle(&mut self, _: GetPrograms, _: &mut Context<Self>) -> Self::Result {
        let mut runs: BTreeMap<&str, RunsOfProgram> = BTreeMap::new();
        for run in self.machine.runs() {
            runs.entry(&run.program).or_default().add(run);
        }
        let now = clock::now();
        let status =
            |name: &String| self.program_status(name, runs.remove(name.as_str()).unwrap_or_default(), now);
        MessageResult(self.listed_programs().iter().filter_map(status).collect())
    }
}

impl Handler<GetProgram> for ManagerActor {
    type Result = Result<ProgramStatus, StartError>;

    fn handle(&mut self, GetProgram { name }: GetProgram, _: &mut Context<Self>) -> Self::Result {
        let mut runs = RunsOfProgram::default();
        self.machine.runs().filter(|run| run.program == name).for_each(|run| runs.add(run));
        self.program_status(&name, runs, clock::now())
            .ok_or_else(|| StartError::UnknownProgram { known: self.listed_programs(), name })
    }
}

/// What the status of a program tells of its runs.
#[derive(Default)]
struct RunsOfProgram {
    living: Vec<Run>,
    last: Option<Run>,
}

impl RunsOfProgram {
    /// Runs come newest first.
    fn add(&mut self, run: &Run) {
        if !run.phase.is_ended() {
            self.living.push(run.clone());
        } else if self.last.is_none() {
            self.last = Some(run.clone());
        }
    }
}

impl ManagerActor {
    /// Names of the programs that are configured, and of those of which only runs live; in alphabetical order.
    fn listed_programs(&self) -> Vec<String> {
        let mut names = self.machine.program_names();
        names.extend(self.machine.unconfigured().into_keys());
        names.sort_unstable();
        names
    }

    /// `None` when there is no such program, and no run of one lives.
    fn program_status(&self, name: &str, runs: RunsOfProgram, now: Timestamp) -> Option<ProgramStatus> {
        let program = self.machine.program_or_last(name)?.clone();
        let removed = self.machine.program(name).is_none();
        let figures = self.counters.of_program(name, self.started_at, now);
        let stopped_by_hand = self.machine.stopped_by_hand(name);
        let RunsOfProgram { living, last } = runs;
        Some(ProgramStatus { program, removed, stopped_by_hand, living, last, figures })
    }
}

impl Handler<GetRun> for ManagerActor {
    type Result = Result<Run, LookupError>;

    fn handle(&mut self, GetRun { id }: GetRun, _: &mut Context<Self>) -> Self::Result {
        let wanted = id.to_ascii_uppercase();
        if let Some(run) = wanted.parse::<RunId>().ok().and_then(|id| self.machine.run(id)) {
            return Ok(run.clone());
        }
        if wanted.len() < GetRun::MIN_SUFFIX {
            return Err(LookupError::Unknown(id));
        }
        let mut found = self.machine.runs().filter(|run| run.id.to_string().ends_with(&wanted));
        match (found.next(), found.count()) {
            (None, _) => Err(LookupError::Unknown(id)),
            (Some(run), 0) => Ok(run.clone()),
            (Some(_), more) => Err(LookupError::Ambiguous { id, count: more + 1 }),
        }
    }
}

impl Handler<GetRuns> for ManagerActor {
    type Result = MessageResult<GetRuns>;

    fn handle(&mut self, get: GetRuns, _: &mut Context<Self>) -> Self::Result {
        let limit = if get.limit == 0 { 100 } else { get.limit };
        let fits = |run: &&Run| {
            get.program.as_ref().is_none_or(|name| run.program == *name)
                && get.phase.is_none_or(|phase| run.phase == phase)
                && get
                    .class
                    .as_ref()
                    .is_none_or(|class| run.reason.as_ref().is_some_and(|r| r.class == *class))
                && (!get.living || !run.phase.is_ended())
                && get.before.is_none_or(|before| run.id < before)
        };
        MessageResult(self.machine.runs().filter(fits).take(limit).cloned().collect())
    }
}

impl Handler<GetAttempts> for ManagerActor {
    type Result = ResponseFuture<Result<Vec<crate::model::Attempt>, RunError>>;

    fn handle(&mut self, get: GetAttempts, _: &mut Context<Self>) -> Self::Result {
        if self.machine.run(get.run).is_none() {
            return Box::pin(async move { Err(RunError::Unknown(get.run)) });
        }
        let (tell, told) = oneshot::channel();
        self.store.scan(&format!("attempt/{}/", get.run), move |found| drop(tell.send(found)));
        Box::pin(async move {
            let gone = |error: &dyn std::fmt::Display| RunError::Store(error.to_string());
            let found = told.await.map_err(|error| gone(&error))?.map_err(|error| gone(&error))?;
            let attempts = found.iter().filter_map(|(_, value)| super::machine::decode_attempt(value));
            Ok(attempts.filter(|attempt| attempt.number > get.after).take(get.limit).collect())
        })
    }
}

/// Reads journal records after a place, in the store's own time.
pub(super) fn read_journal(
    store: &crate::store::Store,
    after: u64,
    limit: usize,
) -> impl Future<Output = Result<Vec<JournalRecord>, String>> + 'static {
    let (tell, told) = oneshot::channel();
    store.read_journal(after, limit, move |found| drop(tell.send(found)));
    async move {
        let found = told.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        Ok(found.iter().filter_map(|record| serde_json::from_slice(record).ok()).collect())
    }
}

impl Handler<GetEvents> for ManagerActor {
    type Result = ResponseFuture<Result<Vec<JournalRecord>, String>>;

    fn handle(&mut self, get: GetEvents, ctx: &mut Context<Self>) -> Self::Result {
        let effects = self.machine.write_out();
        self.carry_out(effects, ctx);
        let written = self.written();
        let (store, mut news) = (self.store.clone(), self.news.subscribe());
        let limit = if get.limit == 0 { JOURNAL_PAGE } else { get.limit };
        Box::pin(async move {
            let _ = written.await; // What is decided and not yet written belongs to the answer.
            let found = read_journal(&store, get.after, limit).await?;
            if !found.is_empty() || get.wait_ms == 0 {
                return Ok(found);
            }
            let newer = news.wait_for(|seq| *seq > get.after);
            let newer = tokio::time::timeout(Duration::from_millis(get.wait_ms), newer).await;
            // What `wait_for` answers locks the channel: kept while the store is asked, it would stop this very thread at
            // the next record.
            let is_newer = matches!(&newer, Ok(Ok(_)));
            drop(newer);
            if is_newer { read_journal(&store, get.after, limit).await } else { Ok(found) }
        })
    }
}

impl Handler<GetRecording> for ManagerActor {
    type Result = ResponseFuture<Result<Recording, String>>;

    fn handle(&mut self, get: GetRecording, ctx: &mut Context<Self>) -> Self::Result {
        let effects = self.machine.write_out();
        self.carry_out(effects, ctx);
        self.write_recorded(0, ctx);
        let (written, store) = (self.written(), self.store.clone());
        Box::pin(async move {
            let _ = written.await; // What is decided and not yet written belongs to the answer.
            let (tell, told) = oneshot::channel();
            store.read_commits(get.after, get.max_bytes, move |found| drop(tell.send(found)));
            let found = told.await.map_err(|error| error.to_string())?;
            Ok(Recording { seed: store.seed(), commits: found.map_err(|error| error.to_string())? })
        })
    }
}

impl Handler<Logs> for ManagerActor {
    type Result = ResponseFuture<Result<crate::model::Page, monitor::QueryError>>;

    fn handle(&mut self, Logs { query, wait_ms }: Logs, _: &mut Context<Self>) -> Self::Result {
        let answer = self.rooms.monitor.query.send(monitor::Query { query, wait_ms });
        Box::pin(async {
            answer.await.unwrap_or(Err(monitor::QueryError::NoAnswer(NoAnswer { room: "Monitor" })))
        })
    }
}

impl Handler<GetClasses> for ManagerActor {
    type Result = ResponseFuture<Result<Vec<monitor::RuleInfo>, StartError>>;

    fn handle(&mut self, GetClasses { program }: GetClasses, _: &mut Context<Self>) -> Self::Result {
        let builtin =
            || std::sync::Arc::new(crate::model::Program::new("", crate::model::Command::Argv(Vec::new())));
        let program = match program {
            None => builtin(),
            Some(name) => match self.machine.program(&name) {
                Some(program) => program.clone(),
                None => {
                    let known = self.machine.program_names();
                    return Box::pin(async { Err(StartError::UnknownProgram { name, known }) });
                }
            },
        };
        let answer = self.rooms.monitor.get_rules.send(monitor::GetRules { program });
        Box::pin(async { Ok(answer.await.map_err(|_| NoAnswer { room: "Monitor" })?) })
    }
}

/// Breakers as they stand now.
pub(super) fn breakers(
    door: &Door<breaker::Machine>,
    which: breaker::GetBreakers,
) -> impl Future<Output = Result<Vec<breaker::BreakerStatus>, NoAnswer>> + use<> {
    let answer = door.ask(clock::now(), breaker::Ask::Get(which));
    async {
        match answer.await? {
            breaker::Answer::Breakers(breakers) => Ok(breakers),
            _ => Err(NO_BREAKER), // It answers what it is asked.
        }
    }
}

impl ManagerActor {
    /// The same.
    pub(super) fn breakers(
        &self,
        which: breaker::GetBreakers,
    ) -> impl Future<Output = Result<Vec<breaker::BreakerStatus>, NoAnswer>> + use<> {
        breakers(&self.rooms.breaker, which)
    }
}

impl Handler<GetBreakers> for ManagerActor {
    type Result = ResponseFuture<Result<Vec<breaker::BreakerStatus>, NoAnswer>>;

    fn handle(&mut self, _: GetBreakers, _: &mut Context<Self>) -> Self::Result {
        Box::pin(self.breakers(breaker::GetBreakers::All))
    }
}

impl Handler<GetSomeBreakers> for ManagerActor {
    type Result = ResponseFuture<Result<Vec<breaker::BreakerStatus>, NoAnswer>>;

    fn handle(&mut self, ask: GetSomeBreakers, _: &mut Context<Self>) -> Self::Result {
        Box::pin(self.breakers(breaker::GetBreakers::After(ask.after, ask.limit)))
    }
}

impl Handler<OperateBreaker> for ManagerActor {
    type Result = ResponseFuture<Result<breaker::BreakerStatus, OperateError>>;

    fn handle(&mut self, operate: OperateBreaker, ctx: &mut Context<Self>) -> Self::Result {
        let OperateBreaker { scope, act, by, reason } = operate;
        let at = self.begin();
        let what = Happening::Operate { scope: scope.clone(), act, by: by.clone(), reason: reason.clone() };
        self.record(what);
        let (tell, told) = oneshot::channel();
        let word = breaker::Ask::Operate { scope: scope.clone(), act, by, reason };
        let answer = self.rooms.breaker.ask(at, word);
        self.ask_then(answer, ctx, move |manager, answer, ctx| {
            let known = matches!(answer, breaker::Answer::Operated(Some(_)));
            let effects = manager.machine.step(Input::Breaker(answer), at);
            manager.carry_out(effects, ctx);
            let _ = tell.send(known); // Who asked may have gone.
        });
        let door = self.rooms.breaker.clone();
        Box::pin(async move {
            if !told.await.map_err(|_| NO_BREAKER)? {
                return Err(OperateError::Unknown(scope));
            }
            let found = breakers(&door, breaker::GetBreakers::Of(vec![scope.clone()])).await?;
            found.into_iter().next().ok_or(OperateError::Unknown(scope))
        })
    }
}

impl Handler<GetInfo> for ManagerActor {
    type Result = MessageResult<GetInfo>;

    fn handle(&mut self, _: GetInfo, _: &mut Context<Self>) -> Self::Result {
        let mut living: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut ended = living.clone();
        for run in self.machine.runs() {
            let phases = if run.phase.is_ended() { &mut ended } else { &mut living };
            *phases.entry(Phase::name(run.phase)).or_default() += 1;
        }
        let (attempts_started, restarts) = self.counters.starts();
        let now = clock::now();
        MessageResult(Info {
            started_at: self.started_at,
            programs: self.machine.program_names().len(),
            removed: self.machine.unconfigured().values().map(Vec::len).sum(),
            living,
            ended,
            attempts_started,
            restarts,
            runs: self.machine.run_count(),
            last_seq: self.machine.last_seq(),
            store_trouble: with_output(
                store_trouble(self.store.condition(), self.refused.as_ref(), self.damage.as_ref(), now),
                self.machine.output_trouble(),
            ),
            room_trouble: room_trouble(self.ended_room),
            keeper_trouble: keeper_trouble(self.machine.keeper_silent_since(), now),
        })
    }
}
