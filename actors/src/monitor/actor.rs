//! The Monitor: carries bytes from spools into the store, and answers.

use super::{
    attempt::Watched,
    goal::{Follower, Goal, Wait},
    messages::{Drained, QueryError, Report},
    query::{self, Search},
    rulebook::Rulebook,
    stored::{Acked, Stored},
    wake::{self, Wakes},
};
use crate::{
    clock,
    model::{AttemptId, Cursor, Direction, LogQuery, Page, SpoolName, Stream, Timestamp},
    store::Output,
};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};
use std::{
    collections::{HashMap, VecDeque},
    os::fd::OwnedFd,
    sync::Arc,
};

/// The number of bytes taken in before other messages get their turn: some five milliseconds. A reader beside a flood
/// waits two or three turns for each of its pages.
const TURN: usize = 1 << 20;

/// A chunk is stored at this age even when it is small: what a kill of the whole machine may cost beyond the spool, and
/// how long a quiet child's line stays out of the index.
const CHUNK_AGE_MS: u64 = 1_000;

/// The number of bytes given to the store and not stored yet, over all attempts. Beyond it output stays in its
/// spools.
pub(super) const MAX_WAITING: u64 = 32 << 20;

/// The number of bytes of one attempt in memory and not stored yet. Beyond it the rest stays in the spool.
const MAX_UNSTORED: usize = 8 << 20;

/// After how long a store that failed is tried again, in milliseconds.
pub(super) const RETRY_MS: u64 = 1_000;

/// While the store stands still and lines are dropped: how often the backlog is checked again, in milliseconds.
const STALLED_MS: u64 = 100;

/// The actor that watches the output of all attempts.
pub struct MonitorActor {
    pub(super) output: Output,
    pub(super) wakes: Option<OwnedFd>,
    pub(super) manager: Recipient<Report>,
    /// Boxed, because a value is a kilobyte and a table has twice the room that it needs.
    pub(super) watched: HashMap<AttemptId, Box<Watched>>,
    pub(super) tokens: HashMap<u64, AttemptId>,
    pub(super) rules: Rulebook,
    pub(super) dirty: VecDeque<AttemptId>,
    /// Attempts that wait for the store.
    pub(super) held_back: Vec<AttemptId>,
    /// Chunks that are being built, by the time at which they are old enough.
    pub(super) aging: VecDeque<(Timestamp, AttemptId)>,
    /// Attempts with an unfinished line, by the time at which the line is looked at if it does not grow.
    pub(super) silent: VecDeque<(Timestamp, AttemptId)>,
    pub(super) goals: Vec<Goal>,
    pub(super) followers: Vec<Follower>,
    pub(super) stored: Arc<Stored>,
    pub(super) failed: bool,
    pub(super) complained: bool,
    /// When the store last made progress, while something waits for it.
    pub(super) stored_at: Timestamp,
    /// Tells the keeper how far a spool is stored; another handle of `wakes`.
    pub(super) keeper: Option<OwnedFd>,
    /// When it is checked whether the store stood still for too long.
    pub(super) stalls_at: Option<Timestamp>,
    pub(super) retry_at: Option<Timestamp>,
    /// When memory and spools may hold something that is too old.
    pub(super) expires_at: Option<Timestamp>,
    /// What is read before it is taken in; shared by all attempts.
    block: Vec<u8>,
    pub(super) number: u64,
    /// Pieces up to this number may be missing in memory.
    pub(super) floor: u64,
    pub(super) alarm: Option<(Timestamp, SpawnHandle)>,
    pub(super) pumping: bool,
}

/// The message that there is more to take in.
#[derive(Message)]
#[rtype(result = "()")]
struct Pump;

/// The message that a follower's question was answered on another thread.
#[derive(Message)]
#[rtype(result = "()")]
struct Answered {
    follower: Follower,
    answer: Result<Page, QueryError>,
}

impl MonitorActor {
    /// Creates a Monitor for this store. It learns of growing spools from `wakes`, a datagram socket whose messages
    /// are [`SpoolName`](crate::model::SpoolName)s, and reports to `manager`.
    #[must_use]
    pub fn new(output: Output, wakes: OwnedFd, manager: Recipient<Report>) -> Self {
        let number = output.last_number();
        Self {
            output,
            // Without it the keeper finds out by itself, four times a second.
            keeper: wakes.try_clone().ok(),
            stored_at: clock::now(),
            stalls_at: None,
            wakes: Some(wakes),
            manager,
            watched: HashMap::new(),
            tokens: HashMap::new(),
            rules: Rulebook::default(),
            dirty: VecDeque::new(),
            held_back: Vec::new(),
            aging: VecDeque::new(),
            silent: VecDeque::new(),
            goals: Vec::new(),
            followers: Vec::new(),
            stored: Arc::default(),
            failed: false,
            complained: false,
            retry_at: None,
            expires_at: None,
            block: Vec::new(),
            number,
            floor: number,
            alarm: None,
            pumping: false,
        }
    }

    /// Marks both spools of the attempt to be looked at.
    pub(super) fn mark(&mut self, attempt: AttemptId) {
        self.mark_grown(attempt, Stream::Stdout);
        self.mark_grown(attempt, Stream::Stderr);
    }

    /// Marks this spool to be looked at.
    fn mark_grown(&mut self, attempt: AttemptId, stream: Stream) {
        let Some(watched) = self.watched.get_mut(&attempt) else { return };
        watched.look_at(stream);
        watched.exhausted = false;
        if !std::mem::replace(&mut watched.dirty, true) {
            self.dirty.push_back(attempt);
        }
    }

    /// Takes in one attempt for a turn. Returns true when more is there and can be taken in.
    pub(super) fn ingest(&mut self, attempt: AttemptId, ctx: &Context<Self>) -> bool {
        let Some(watched) = self.watched.get_mut(&attempt) else { return false };
        let now = clock::now();
        let full = watched.unstored() > MAX_UNSTORED || self.output.waiting() > MAX_WAITING;
        if full || self.failed {
            if !watched.held_back {
                watched.held_back = true;
                self.held_back.push(attempt);
            }
            let still_ms = now.since(self.stored_at);
            watched.drop_backlog(now, still_ms, &mut self.number, &self.output);
            // Output was dropped a moment ago, so the backlog is full again only after a moment.
            let drops_at = watched.drops_at(self.stored_at).map(|at| at.max(now.plus(STALLED_MS)));
            self.stalls_at = self.stalls_at.into_iter().chain(drops_at).min();
            watched.tell(self.keeper.as_ref());
            if full {
                return false;
            }
        }
        let taken = watched.take_in(now, &mut self.number, &mut self.block);
        if let Some(since) = taken.began {
            self.aging.push_back((since.plus(CHUNK_AGE_MS), attempt));
        }
        // An end that was judged keeps its class.
        for report in taken.reports.into_iter().filter(|_| !watched.judged) {
            self.manager.do_send(report);
        }
        self.await_silence(attempt, now);
        let Some(watched) = self.watched.get_mut(&attempt) else { return false };
        if taken.lines > 0 || taken.grew {
            let program = &watched.program.name;
            for follower in &mut self.followers {
                let wanted = query::wanted(&follower.query);
                let here = wanted.writer(attempt, Stream::Stdout) || wanted.writer(attempt, Stream::Stderr);
                follower.due |= here && wanted.program.is_none_or(|name| name == program);
            }
        }
        self.send(attempt, ctx);
        taken.more
    }

    /// Gives the store what is ready.
    pub(super) fn send(&mut self, attempt: AttemptId, ctx: &Context<Self>) {
        let Some(watched) = self.watched.get_mut(&attempt).filter(|_| !self.failed) else { return };
        if self.output.waiting() == 0 && !self.complained {
            self.stored_at = clock::now(); // It had nothing to do.
        }
        let addr = ctx.address();
        let told = move || addr.do_send(Acked);
        if !watched.send(&self.output, &self.stored, &told) && !watched.held_back {
            watched.held_back = true;
            self.held_back.push(attempt);
        }
    }

    pub(super) fn pump(&mut self, ctx: &mut Context<Self>) {
        let mut budget = TURN;
        while let Some(attempt) = self.dirty.pop_front() {
            if let Some(watched) = self.watched.get_mut(&attempt) {
                watched.dirty = false;
            }
            if self.ingest(attempt, ctx)
                && let Some(watched) = self.watched.get_mut(&attempt)
            {
                watched.dirty = true;
                self.dirty.push_back(attempt);
            }
            budget = budget.saturating_sub(super::feed::READ);
            if budget == 0 {
                break;
            }
        }
        self.settle(ctx);
        if !self.dirty.is_empty() && !std::mem::replace(&mut self.pumping, true) {
            ctx.notify(Pump);
        }
    }

    /// Answers the questions that can be answered, and arms the alarm.
    pub(super) fn settle(&mut self, ctx: &mut Context<Self>) {
        let now = clock::now();
        for goal in std::mem::take(&mut self.goals) {
            let late = goal.deadline.is_some_and(|deadline| deadline <= now);
            let reached = goal.reached(&self.watched);
            if !late && !reached {
                self.goals.push(goal);
                continue;
            }
            match goal.wait {
                Wait::Drain { attempt, exit, more, reply } => {
                    let complete = goal.targets.iter().all(|target| target.read(&self.watched));
                    let _ = reply.send(self.drained(attempt, exit, complete, more));
                }
                Wait::Query(mut follower) => {
                    follower.behind = !reached;
                    self.ask(*follower, ctx);
                }
                Wait::Close { attempt, reply } => {
                    self.forget(attempt);
                    let _ = reply.send(());
                }
            }
        }
        for mut follower in std::mem::take(&mut self.followers) {
            if follower.due || follower.deadline <= now {
                // A reader that waited gets further output as it comes.
                follower.behind = false;
                self.ask(follower, ctx);
            } else {
                self.followers.push(follower);
            }
        }
        self.arm(ctx);
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        let goals = self.goals.iter().filter_map(|goal| goal.deadline);
        let followers = self.followers.iter().map(|follower| follower.deadline);
        let aging = self.aging.front().map(|(at, _)| *at);
        let silent = self.silent.front().map(|(at, _)| *at);
        let own = [self.retry_at, self.expires_at, self.stalls_at].into_iter().flatten();
        let next = goals.chain(followers).chain(aging).chain(silent).chain(own).min();
        if self.alarm.map(|(at, _)| at) == next {
            return;
        }
        if let Some((_, handle)) = self.alarm.take() {
            ctx.cancel_future(handle);
        }
        if let Some(at) = next {
            // At least a millisecond: an alarm that is due at once would find the same time again.
            let wait = clock::until(at).max(std::time::Duration::from_millis(1));
            self.alarm = Some((at, ctx.run_later(wait, |actor, ctx| actor.ring(ctx))));
        }
    }

    fn ring(&mut self, ctx: &mut Context<Self>) {
        self.alarm = None;
        let now = clock::now();
        // Chunks that would be due soon are ended too: writers of lines then share the store's turns, a few in a
        // second.
        let company = if self.aging.front().is_some_and(|(at, _)| *at <= now) { CHUNK_AGE_MS / 4 } else { 0 };
        let due = now.plus(company);
        while let Some((_, attempt)) = self.aging.pop_front_if(|(at, _)| *at <= due) {
            let old = CHUNK_AGE_MS - company;
            let since = self.watched.get_mut(&attempt).and_then(|w| w.seal_old(now, old));
            if let Some(since) = since {
                self.aging.push_back((since.plus(CHUNK_AGE_MS), attempt));
            }
            self.send(attempt, ctx);
        }
        self.look_at_silent(now);
        self.expire(now);
        if self.stalls_at.is_some_and(|at| at <= now) {
            self.stalls_at = None;
            self.held_back.clone().into_iter().for_each(|attempt| self.mark(attempt));
        }
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            if self.failed && self.output.waiting() == 0 {
                self.failed = false;
                self.output.resume();
                self.watched.values_mut().for_each(|watched| watched.unsend());
                self.release(ctx);
            } else if self.failed {
                self.retry_at = Some(now.plus(RETRY_MS));
            }
        }
        self.pump(ctx);
    }

    fn drained(
        &self,
        attempt: AttemptId,
        exit: crate::model::ExitStatus,
        complete: bool,
        more: bool,
    ) -> Drained {
        match self.watched.get(&attempt) {
            Some(watched) => watched.drained(exit, complete, more, clock::now()),
            None => {
                log::error!("an attempt that is not watched was drained; attempt={attempt}");
                Drained::unread()
            }
        }
    }

    /// Drops all that memory has of an attempt.
    fn forget(&mut self, attempt: AttemptId) {
        if let Some(mut watched) = self.watched.remove(&attempt) {
            self.floor = self.floor.max(watched.close());
            self.tokens.remove(&watched.token);
        }
    }

    /// The attempts that a question is about.
    pub(super) fn about(&self, query: &LogQuery) -> Vec<AttemptId> {
        let wanted = query::wanted(query);
        let streams = [Stream::Stdout, Stream::Stderr];
        self.watched
            .iter()
            .filter(|(id, watched)| {
                streams.iter().any(|stream| wanted.writer(**id, *stream))
                    && wanted.program.is_none_or(|program| program == watched.program.name)
            })
            .map(|(id, _)| *id)
            .collect()
    }

    /// Answers a question with what is taken in: here when memory has it all, else on a reader's thread.
    fn ask(&mut self, mut follower: Follower, ctx: &mut Context<Self>) {
        follower.due = false;
        let search = self.search(&follower);
        let easy = follower.grep.is_none() && follower.query.filter.level.is_none();
        let here = match follower.query.direction {
            Direction::Forward => {
                follower.query.cursor.map_or(self.floor == 0, |cursor: Cursor| cursor.block > self.floor)
            }
            Direction::Back => easy && follower.query.cursor.is_none(),
        };
        if here {
            match query::page(&search, None, self.floor) {
                Ok(Some(page)) => return self.answer(follower, Ok(page)),
                Err(error) => return self.answer(follower, Err(error)),
                Ok(None) => {}
            }
        }
        let (output, addr) = (self.output.clone(), ctx.address());
        let asked = self.output.read(move || {
            let answer = query::page(&search, Some(&output), 0).map(Option::unwrap_or_default);
            if follower.is_final(&answer) {
                follower.reply(answer);
            } else {
                addr.do_send(Answered { follower, answer });
            }
        });
        if !asked {
            // The question was dropped with the job; the asker is told that it was.
            log::warn!("question refused: too many wait");
        }
    }

    fn search(&self, follower: &Follower) -> Search {
        let wanted = query::wanted(&follower.query);
        let mut search = Search {
            query: follower.query.clone(),
            grep: follower.grep.clone(),
            memory: Vec::new(),
            unfinished: Vec::new(),
            floors: HashMap::new(),
            newest: self.number,
            now: clock::now(),
        };
        for attempt in self.about(&follower.query) {
            let Some(watched) = self.watched.get(&attempt) else { continue };
            for feed in watched.feeds().filter(|feed| wanted.writer(attempt, feed.stream)) {
                search.floors.insert((attempt, feed.stream), feed.floor());
                search.memory.extend(feed.chunks());
                // A reader that waits for more records wants whole lines; one that asks what is there gets all of it.
                if !follower.waits || follower.query.bytes {
                    search.unfinished.extend(feed.unfinished(&watched.redactor));
                }
            }
        }
        search
    }

    /// Answers now, or keeps a follower that has nothing to read yet.
    fn answer(&mut self, mut follower: Follower, answer: Result<Page, QueryError>) {
        if follower.is_final(&answer) || follower.deadline <= clock::now() {
            return follower.reply(answer);
        }
        if let Ok(page) = answer {
            follower.query.cursor = page.next.or(follower.query.cursor);
            follower.query.also = page.also;
            self.followers.push(follower);
        }
    }
}

impl Actor for MonitorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // Bulk answers of the store must not wait behind a full mailbox.
        ctx.set_mailbox_capacity(256);
        let Some(wakes) = self.wakes.take() else { return };
        let addr = ctx.address();
        match wake::listen(wakes, addr.recipient()) {
            Ok(listening) => drop(ctx.spawn(actix::fut::wrap_future(listening))),
            Err(error) => {
                log::error!("wake-ups cannot be heard; error={error}");
                ctx.stop();
            }
        }
    }
}

impl Handler<Wakes> for MonitorActor {
    type Result = ();

    fn handle(&mut self, wakes: Wakes, ctx: &mut Context<Self>) {
        if wakes.0.contains(&SpoolName::ALL) {
            let all: Vec<_> = self.watched.keys().copied().collect();
            all.into_iter().for_each(|attempt| self.mark(attempt));
        } else {
            for name in wakes.0 {
                if let Some(attempt) = self.tokens.get(&name.token()).copied() {
                    self.mark_grown(attempt, name.stream());
                }
            }
        }
        self.pump(ctx);
    }
}

impl Handler<Pump> for MonitorActor {
    type Result = ();

    fn handle(&mut self, _: Pump, ctx: &mut Context<Self>) {
        self.pumping = false;
        self.pump(ctx);
    }
}

impl Handler<Answered> for MonitorActor {
    type Result = ();

    fn handle(&mut self, Answered { follower, answer }: Answered, ctx: &mut Context<Self>) {
        // What came while the question was being answered is in memory: the next look costs little.
        let grown = follower.newest_at_start < self.number;
        self.answer(follower, answer);
        if grown && let Some(follower) = self.followers.last_mut() {
            follower.due = true;
        }
        self.settle(ctx);
    }
}
