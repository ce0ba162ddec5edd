//! Saved state: how it is written, and what a new manager makes of it.

use super::{About, Effect, Live, Machine, Next, Stage, StopCause, Wait};
use crate::{
    breaker::Permit,
    launcher::{self, LeftSpool, Orphan, Recovered},
    model::{
        Attempt, AttemptId, ClockShift, Command, EndReason, Event, Evidence, ExitStatus, Phase, Program, Put,
        Run, RunId, SavedClock, Spool, SpoolSizes, Stream, Timestamp, Wanted,
    },
    monitor, retry,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

/// First byte of every value of ours. Another one is of another layout, and is left alone.
const SAVED_RUN: u8 = 1;

/// The key of the clocks, by which the next manager moves the times in all that is saved beside it.
pub(super) const CLOCK_KEY: &str = "clock";

/// What a saved key is about.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::manager) enum SavedKey {
    Run(RunId),
    Attempt(AttemptId),
    IdempotencyKey(String),
    Retry,
    Breaker,
    Clock,
    Other,
}

impl SavedKey {
    pub(in crate::manager) fn parse(key: &str) -> Self {
        let mut parts = key.splitn(3, '/');
        let run = |text: Option<&str>| text.and_then(|text| text.parse::<RunId>().ok());
        match parts.next() {
            Some("run") => run(parts.next()).map_or(Self::Other, Self::Run),
            Some("attempt") => {
                let run = run(parts.next());
                let number = parts.next().and_then(|text| text.parse().ok());
                match (run, number) {
                    (Some(run), Some(number)) => Self::Attempt(AttemptId { run, number }),
                    _ => Self::Other,
                }
            }
            Some("key") => {
                key.strip_prefix("key/").map_or(Self::Other, |key| Self::IdempotencyKey(key.to_owned()))
            }
            Some("retry" | "param" | "budget") => Self::Retry,
            Some("breaker") => Self::Breaker,
            Some("clock") if key == CLOCK_KEY => Self::Clock,
            _ => Self::Other,
        }
    }
}

pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![SAVED_RUN];
    // Our nouns are maps with text keys and plain values: JSON cannot refuse them.
    let _ = serde_json::to_writer(&mut bytes, value);
    bytes.shrink_to_fit();
    bytes
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match bytes.split_first() {
        Some((&SAVED_RUN, json)) => serde_json::from_slice(json).ok(),
        _ => None,
    }
}

pub(super) fn run_key(id: RunId) -> String {
    format!("run/{id}")
}

/// Attempts sort by their number.
pub(super) fn attempt_key(id: AttemptId) -> String {
    format!("attempt/{}/{:010}", id.run, id.number)
}

/// A run as it is saved: with what the next manager needs to go on with its present attempt.
#[derive(Deserialize, Serialize)]
struct SavedRun<R> {
    #[serde(flatten)]
    run: R,
    /// By which it can say how the attempt went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    permits: Vec<Permit>,
    /// What was decided, where members of the tree are still being stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    overdue_since: Option<Timestamp>,
}

fn put_run(run: &Run, permits: &[Permit], next: Option<Next>, overdue_since: Option<Timestamp>) -> Put {
    let value = encode(&SavedRun { run, permits: permits.to_vec(), next, overdue_since });
    Put { key: run_key(run.id), value: Some(value) }
}

pub(super) fn put_living(live: &Live) -> Put {
    let next = if let Stage::Emptying(next) = &live.stage { Some(next.clone()) } else { None };
    put_run(&live.run, &live.permits, next, live.overdue_since)
}

pub(super) fn put_ended(run: &Run) -> Put {
    put_run(run, &[], None, None)
}

/// The run that a key made, when, and the checksum of its request. Nothing for that from stores of an older version.
pub(super) type Remembered = (RunId, Timestamp, Option<u32>);

pub(super) fn put_key(key: &str, entry: &Remembered) -> Put {
    Put { key: format!("key/{key}"), value: Some(encode(entry)) }
}

fn decode_key(value: &[u8]) -> Option<Remembered> {
    let without_checksum = || decode(value).map(|(run, at)| (run, at, None));
    decode(value).or_else(without_checksum)
}

/// Times of a living run by the clock of now, as far as something is decided by them. What is history stays where the
/// journal has it.
fn move_times(saved: &mut SavedRun<Run>, shift: ClockShift, now: Timestamp) {
    let SavedRun { run, permits, next, overdue_since } = saved;
    if let Some(Next::Start(at)) = next {
        *at = shift.apply(*at);
    }
    *overdue_since = overdue_since.map(|at| shift.apply(at).min(now));
    run.next_attempt_at = run.next_attempt_at.map(|at| shift.apply(at));
    if let Some(held) = &mut run.held {
        held.retry_at = held.retry_at.map(|at| shift.apply(at));
        held.since = shift.apply(held.since).min(now);
    }
    if let Some(current) = run.attempts.back_mut().filter(|current| current.ended_at.is_none()) {
        current.started_at = shift.apply_within_boot(current.started_at).min(now);
    }
    for permit in permits {
        permit.lease_until = permit.lease_until.map(|at| shift.apply(at));
    }
}

pub(super) fn put_attempt(id: AttemptId, attempt: &Attempt) -> Put {
    Put { key: attempt_key(id), value: Some(encode(attempt)) }
}

/// Reads saved attempts, as `GET /runs/{id}/attempts` shows them.
pub(in crate::manager) fn decode_attempt(bytes: &[u8]) -> Option<Attempt> {
    decode(bytes)
}

impl Live {
    /// When a start is made that came due while no supervisor ran: not all of them at once, and none later because yet
    /// another supervisor found it.
    pub(super) fn spread(&mut self, now: Timestamp) -> Timestamp {
        let since = *self.overdue_since.get_or_insert(now);
        since.plus(retry::startup_spread_ms(self.run.id, self.program.retry.startup_spread_ms)).max(now)
    }

    /// When the next attempt is due that Retry decided on now: the delay counts from the end, also when that was found
    /// later. One that was lost counts from now, because what ended it was our own absence.
    pub(super) fn due_after_end(&self, at: Timestamp, now: Timestamp) -> Timestamp {
        let ended = self.run.current().and_then(|current| current.ended_at);
        match ended.filter(|_| self.ended_at.is_some() && self.stop != Some(StopCause::Lost)) {
            Some(ended) => Timestamp(at.0.saturating_sub(now.since(ended))),
            None => at,
        }
    }
}

impl Machine {
    /// What the saved times must be moved by: to be asked once, before [`Self::restore`]. `now` is what all clocks say.
    pub fn set_clock(&mut self, state: &BTreeMap<String, Vec<u8>>, now: &SavedClock) -> ClockShift {
        let saved = state.get(CLOCK_KEY).and_then(|value| decode::<SavedClock>(value));
        self.times.begin(saved.as_ref(), now)
    }

    /// Whether the clocks are to be saved with the commit that is going out. Not while saved times wait to be moved: they
    /// and the clocks that they go by are written together.
    pub fn is_clock_due(&self, now: Timestamp) -> bool {
        self.times.is_clock_due(now)
    }

    /// The clocks, to be saved.
    pub fn save_clock(&mut self, now: &SavedClock) -> Put {
        self.times.save(now)
    }

    /// Takes up saved runs, their times moved as [`Self::set_clock`] found. Called once, before anything else but the
    /// configuration.
    ///
    /// Returns how many values could not be read: they are left in the store and out of memory.
    pub fn restore(&mut self, state: &BTreeMap<String, Vec<u8>>, now: Timestamp) -> usize {
        self.now = self.now.max(now);
        let (shift, mut unreadable) = (self.times.shift(), 0);
        let mut attempts: BTreeMap<RunId, Vec<Attempt>> = BTreeMap::new();
        let mut runs = Vec::new();
        for (key, value) in state {
            match SavedKey::parse(key) {
                SavedKey::Run(_) => match decode::<SavedRun<Run>>(value) {
                    Some(saved) => runs.push(saved),
                    None => unreadable += 1,
                },
                SavedKey::Attempt(id) => match decode::<Attempt>(value) {
                    Some(attempt) => attempts.entry(id.run).or_default().push(attempt),
                    None => unreadable += 1,
                },
                SavedKey::IdempotencyKey(key) => match decode_key(value) {
                    Some((run, at, checksum)) => {
                        self.keys.insert(key, (run, shift.apply(at).min(self.now), checksum));
                    }
                    None => unreadable += 1,
                },
                SavedKey::Retry | SavedKey::Breaker | SavedKey::Clock | SavedKey::Other => {}
            }
        }
        for mut saved in runs {
            let mut own = attempts.remove(&saved.run.id).unwrap_or_default();
            own.sort_by_key(|attempt| attempt.number);
            self.trim_saved(&saved.run, &own);
            let skip = own.len().saturating_sub(Run::ATTEMPTS_KEPT);
            saved.run.attempts = own.into_iter().skip(skip).collect();
            if saved.run.phase.is_ended() {
                self.runs.end(saved.run);
            } else {
                move_times(&mut saved, shift, self.now);
                let SavedRun { run, permits, next, overdue_since } = saved;
                let program = self.programs.get(&run.program).cloned();
                let program = program.unwrap_or_else(|| unconfigured(run.program.clone()));
                let mut live = Live::boxed(run, program, self.now);
                live.permits = permits;
                live.overdue_since = overdue_since;
                if let Some(next) = next {
                    live.stage = Stage::Emptying(next);
                }
                self.runs.begin(live);
            }
        }
        self.tell_max_attempts();
        self.trim_forgotten(state, attempts);
        self.find_stops();
        unreadable
    }

    /// Whether decisions depend on this key of the state, which was restored: not on runs that are over, nor on
    /// attempts of which nothing remains but their count.
    pub(in crate::manager) fn depends_on(&self, key: &SavedKey) -> bool {
        match key {
            SavedKey::Run(run) => self.runs.is_live(*run),
            SavedKey::Attempt(id) => {
                let kept = |live: &Live| live.run.attempts.iter().any(|attempt| attempt.number == id.number);
                self.runs.live(id.run).is_some_and(kept)
            }
            SavedKey::Retry | SavedKey::Breaker | SavedKey::Clock => true,
            SavedKey::IdempotencyKey(_) | SavedKey::Other => false,
        }
    }

    /// A run that is over, as it is saved.
    pub(in crate::manager) fn saved_when_over(&self, run: RunId) -> Option<Put> {
        self.runs.ended(run).map(put_ended)
    }

    /// Attempts that may still have processes: to be stopped before anything is started.
    pub fn orphans(&self) -> Vec<Orphan> {
        let alive = |live: &&Live| live.run.phase.has_process();
        let orphan = |live: &Live| {
            let current = live.run.current()?;
            Some(Orphan {
                attempt: live.attempt_id(),
                pid: current.pid,
                start_ticks: current.start_ticks,
                started_at: current.started_at,
            })
        };
        self.runs.all_live().filter(alive).filter_map(orphan).collect()
    }

    /// Goes on with every saved run, now that no old process is left: ends that the old keeper saw are judged as any
    /// end is, waiting runs wait on, and what was lost is tried again as `on_lost` says.
    pub fn resume(
        &mut self,
        recovered: Vec<Recovered>,
        adopted: &BTreeSet<AttemptId>,
        down_ms: u64,
        clean: bool,
        now: Timestamp,
    ) -> Vec<Effect> {
        self.settle_time(now);
        self.ledger.record(self.now, About::default(), Event::SupervisorRestarted { down_ms, clean });
        self.save_moved();
        self.write_trimmed();
        let mut recovered: BTreeMap<RunId, Recovered> =
            recovered.into_iter().map(|one| (one.attempt.run, one)).collect();
        let mut ids: Vec<_> = self.runs.live_ids();
        // Who was first in line asks first again.
        ids.sort_by_key(|id| {
            let run = self.runs.live(*id).map(|live| &live.run);
            let held = run.and_then(|run| run.held.as_ref());
            let priority = Reverse(run.map_or(0, |run| run.priority));
            (priority, held.map_or(self.now, |held| held.since), *id)
        });
        // All places first: a run in line may be older than one that has a place.
        for live in self.runs.all_live_mut().filter(|live| live.run.phase != Phase::Queued) {
            if !matches!(live.stage, Stage::Emptying(_)) {
                live.stage = Stage::Waits(Wait::Suspended);
            }
            self.lines.take_place(&live.run.program);
        }
        for id in ids {
            let Some(live) = self.runs.live(id) else { continue };
            let known = self.programs.is_configured(&live.run.program);
            let ended = live.run.current().is_some_and(|current| current.ended_at.is_some());
            let had_process = live.run.phase.has_process();
            if let Stage::Emptying(next) = live.stage.clone() {
                self.take_up_decided(id, recovered.remove(&id), next, known);
                continue;
            }
            if adopted.contains(&live.attempt_id()) {
                self.adopt(id);
                continue;
            }
            match recovered.remove(&id) {
                Some(one) if ended => self.take_up_unjudged(one),
                Some(one) => self.take_up_end(one),
                // Nobody could say what became of it.
                None if had_process && known => self.take_up_end(unseen(live.attempt_id())),
                None if !known => self.end_removed(id),
                None => self.take_up(id),
            }
        }
        self.commit(true);
        self.take_effects()
    }

    /// Its end and what follows were decided; the rest of its tree was being stopped, and is gone now.
    fn take_up_decided(&mut self, id: RunId, one: Option<Recovered>, next: Next, known: bool) {
        if let Some(one) = one {
            self.close_judged(one);
        }
        let Some(live) = self.runs.live_mut(id) else { return };
        live.empty = true;
        match next {
            Next::Finish(phase, reason, why) => self.finish(id, phase, reason, why),
            Next::Start(_) if !known => self.end_removed(id),
            Next::Start(at) => {
                live.run.phase = Phase::Backoff;
                live.run.next_attempt_at = Some(at);
                self.take_up(id);
            }
        }
    }

    /// Its end is in the journal and what follows is not: stores of before the two were one commit have such runs.
    fn take_up_unjudged(&mut self, one: Recovered) {
        let id = one.attempt.run;
        self.ledger.begin_end(id);
        self.close_judged(one);
        let now = self.now;
        let Some(live) = self.runs.live_mut(id) else { return };
        live.empty = true;
        let class = live.run.current().and_then(|current| current.class.clone());
        let reason = live.run.reason.as_ref().filter(|reason| Some(&reason.class) == class.as_ref());
        live.evidence = class.as_ref().map(|class| Evidence {
            class: class.clone(),
            rule: reason.map_or_else(String::new, |reason| reason.rule.clone()),
            line: reason.map_or_else(String::new, |reason| reason.message.clone()),
            stream: None,
            seq: 0,
            at: now,
            retry_after_ms: None,
            preferred: None,
        });
        self.settle(id, class.as_deref());
    }

    /// What is left of an attempt's output goes to the store; its end was judged before.
    fn close_judged(&mut self, one: Recovered) {
        let Recovered { attempt, spool, sizes, secrets, .. } = one;
        self.take_in_rest(LeftSpool { attempt, spool, sizes, secrets });
        self.ledger.act(Effect::Acknowledge(attempt));
    }

    fn take_in_rest(&mut self, left: LeftSpool) {
        let LeftSpool { attempt, spool, sizes, secrets } = left;
        let name = self.run(attempt.run).map(|run| run.program.clone());
        let name = name.unwrap_or_else(|| NO_LONGER_KNOWN.to_owned());
        let living = self.runs.live(attempt.run).map(|live| live.program.clone());
        let program = living.or_else(|| self.programs.get(&name).cloned());
        let program = program.unwrap_or_else(|| unconfigured(name));
        let watch = monitor::Watch { attempt, program, spool, secrets, first_output: false, judged: true };
        self.ledger.emit(Effect::Watch(watch));
        self.ledger.act(Effect::Close(monitor::Close { attempt, sizes }));
    }

    /// Output of attempts whose ends are journalled and that was not all stored when the last manager died; and the
    /// secrets of runs that are over, which were kept for it.
    pub fn take_in_left(
        &mut self,
        left: Vec<LeftSpool>,
        with_secrets: Vec<RunId>,
        now: Timestamp,
    ) -> Vec<Effect> {
        self.settle_time(now);
        left.into_iter().for_each(|one| self.take_in_rest(one));
        for run in with_secrets.into_iter().filter(|run| !self.runs.is_live(*run)).collect::<Vec<_>>() {
            self.ledger.act(Effect::ForgetSecrets(run));
        }
        self.commit(false);
        self.take_effects()
    }

    /// Writes moved times, all at once and before anything else, with the clocks that they go by.
    fn save_moved(&mut self) {
        if !self.times.take_moved() {
            return; // The clocks are as they were when the times were saved.
        }
        for live in self.runs.all_live() {
            self.ledger.save_run(live.run.id);
            if live.run.phase.has_process() {
                self.ledger.save_attempt(live.attempt_id());
            }
        }
        self.ledger.save(self.keys.iter().map(|(key, entry)| put_key(key, entry)));
        self.ledger.save([self.times.save_beginning()]);
        self.commit(true);
    }

    /// Its process lives on: its deadlines count from its own start.
    fn adopt(&mut self, id: RunId) {
        let Some(live) = self.runs.live_mut(id) else { return };
        live.stage = Stage::Running;
        live.empty = false;
        live.run.phase = Phase::Running;
        let attempt = live.attempt_id();
        if let Some(current) = live.attempt() {
            current.adopted = true;
        }
        self.ledger.save_run(id);
        self.ledger.save_attempt(attempt);
        self.arm_attempt(id);
        if self.runs.live(id).is_some_and(|live| live.run.wanted == Wanted::Down) {
            self.stop_for(id, StopCause::Operator);
        }
    }

    fn take_up(&mut self, id: RunId) {
        let now = self.now;
        let Some(live) = self.runs.live_mut(id) else { return };
        if live.run.wanted == Wanted::Down {
            return self.finish(id, Phase::Stopped, EndReason::Operator, "stopped as asked".into());
        }
        match (live.run.phase, live.run.next_attempt_at) {
            (Phase::Backoff, Some(at)) => {
                live.stage = Stage::Waits(Wait::Backoff);
                let at = if at > now { at } else { live.spread(now) };
                live.run.next_attempt_at = Some(at);
                self.ledger.save_run(id);
                self.ask_retry(retry::Ask::Schedule { run: id, at });
            }
            (Phase::Queued, _) => self.enqueue(id),
            _ => self.ask(id),
        }
    }

    fn take_up_end(&mut self, one: Recovered) {
        let id = one.attempt.run;
        let Some(live) = self.runs.live_mut(id) else { return };
        live.stage = Stage::Running;
        live.empty = false;
        if one.stopped_by_keeper || one.exit == ExitStatus::Unknown {
            live.stop = Some(StopCause::Lost);
        }
        live.ended_at = one.ended_at;
        let program = live.program.clone();
        let Recovered { attempt, exit, spool, sizes, losses, secrets, .. } = one;
        live.unspooled = losses.iter().map(|loss| loss.bytes).sum();
        // A probe's permit did not outlive its supervisor: nobody waits for its first output.
        let watch = monitor::Watch { attempt, program, spool, secrets, first_output: false, judged: false };
        self.ledger.emit(Effect::Watch(watch));
        let streams = [(Stream::Stdout, sizes.stdout), (Stream::Stderr, sizes.stderr)];
        for ((stream, at), loss) in streams.into_iter().zip(losses).filter(|(_, loss)| !loss.is_none()) {
            self.launcher(launcher::Report::OutputLost { attempt, stream, at, length: 0, loss });
        }
        self.exited(attempt, exit, sizes, false);
        self.launcher(launcher::Report::Emptied { attempt, sizes });
    }
}

/// The program under which output is stored whose run is gone, and its program's name with it.
const NO_LONGER_KNOWN: &str = "unknown";

/// What a run goes by whose program is not configured any more: no rule of its own.
fn unconfigured(name: String) -> Arc<Program> {
    Arc::new(Program::new(name, Command::Argv(Vec::new())))
}

/// An attempt of which the Launcher found nothing.
fn unseen(attempt: AttemptId) -> Recovered {
    Recovered {
        attempt,
        exit: ExitStatus::Unknown,
        ended_at: None,
        stopped_by_keeper: false,
        spool: Spool { token: 0, stdout: PathBuf::new(), stderr: PathBuf::new() },
        sizes: SpoolSizes::default(),
        losses: Default::default(),
        secrets: Vec::new(),
    }
}
