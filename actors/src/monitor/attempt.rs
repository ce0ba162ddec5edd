//! One watched attempt: its two streams, its rules, and what its output has shown.

use super::{
    early::Early,
    feed::{Feed, Reading},
    intake::{Findings, Intake},
    machine::{Items, Redactor, Rules, Seen, too_little},
    messages::{Drained, Lose, Report, Watch},
    rulebook::Rulebook,
    stored::Stored,
    wake,
};
use crate::{
    model::{
        AttemptId, Backlog, Counts, Evidence, ExitStatus, Program, SpoolName, SpoolSizes, SpoolStored,
        Stream, Timestamp,
    },
    store::Output,
};
use std::{os::fd::OwnedFd, sync::Arc};

/// The result of one turn of taking in.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) reports: Vec<Report>,
    pub(crate) lines: u64,
    pub(crate) grew: bool,
    pub(crate) more: bool,
    /// When a chunk was begun in this turn; `None` when none was.
    pub(crate) began: Option<Timestamp>,
}

pub(crate) struct Watched {
    attempt: AttemptId,
    pub(crate) program: Arc<Program>,
    pub(crate) token: u64,
    pub(crate) redactor: Arc<Redactor>,
    rules: Arc<Rules>,
    items: Option<Arc<Items>>,
    stdout: Feed,
    stderr: Feed,
    seen: Seen,
    early: Option<Box<Early>>,
    pub(crate) last_output: Timestamp,
    /// See [`Watch::judged`].
    pub(crate) judged: bool,
    pub(crate) closing: Option<SpoolSizes>,
    closed: bool,
    pub(crate) dirty: bool,
    /// Whether an alarm is set to look at its unfinished lines.
    pub(crate) silence_awaited: bool,
    pub(crate) held_back: bool,
    /// Whether the spools have nothing more right now.
    pub(crate) exhausted: bool,
}

impl Watched {
    pub(crate) fn new(watch: Watch, rulebook: &mut Rulebook, output: &Output, now: Timestamp) -> Self {
        let early = Early::of(&watch, rulebook);
        let Watch { attempt, program, spool, secrets, judged, .. } = watch;
        let (rules, items) = (rulebook.of(&program), rulebook.items_of(&program));
        let (redactor, problems) = Redactor::new(&program, &secrets);
        for problem in problems {
            log::warn!("pattern left out; program={} problem={problem}", program.name);
        }
        let name: Arc<str> = program.name.as_str().into();
        let counts = items.as_deref();
        let feed = |stream, path| Feed::resume(attempt, stream, Arc::clone(&name), path, counts, output);
        let (stdout, stderr) = (feed(Stream::Stdout, spool.stdout), feed(Stream::Stderr, spool.stderr));
        Self {
            attempt,
            redactor: Arc::new(redactor),
            rules,
            items,
            stdout,
            stderr,
            seen: Seen::default(),
            early,
            last_output: now,
            judged,
            closing: None,
            closed: false,
            dirty: false,
            silence_awaited: false,
            held_back: false,
            exhausted: false,
            program,
            token: spool.token,
        }
    }

    pub(crate) fn feeds(&self) -> impl Iterator<Item = &Feed> {
        [&self.stdout, &self.stderr].into_iter()
    }

    fn feeds_mut(&mut self) -> [&mut Feed; 2] {
        [&mut self.stdout, &mut self.stderr]
    }

    /// The present sizes of the spools.
    pub(crate) fn sizes(&mut self) -> SpoolSizes {
        SpoolSizes { stdout: self.stdout.size(), stderr: self.stderr.size() }
    }

    pub(crate) fn has_read(&self, sizes: SpoolSizes) -> bool {
        self.stdout.read_to() >= sizes.stdout && self.stderr.read_to() >= sizes.stderr
    }

    pub(crate) fn behind(&mut self) -> bool {
        let sizes = self.sizes();
        !self.has_read(sizes)
    }

    pub(crate) fn unstored(&self) -> usize {
        self.stdout.unstored() + self.stderr.unstored()
    }

    /// Marks this stream to be read in the next turn.
    pub(crate) fn look_at(&mut self, stream: Stream) {
        match stream {
            Stream::Stdout => self.stdout.look = true,
            Stream::Stderr => self.stderr.look = true,
        }
    }

    /// Reads each stream that is marked once and makes chunks of it. What is read lies in `block` until then.
    pub(crate) fn take_in(&mut self, now: Timestamp, number: &mut u64, block: &mut Vec<u8>) -> Taken {
        let mut taken = Taken::default();
        if self.closed {
            return taken;
        }
        let limit = self.closing.unwrap_or(SpoolSizes { stdout: u64::MAX, stderr: u64::MAX });
        let mut found = Findings::default();
        let max_line = usize::try_from(self.program.output.max_line).unwrap_or(usize::MAX).min(16 << 20);
        let (rules, redactor) = (self.rules.clone(), self.redactor.clone());
        let items = self.items.clone();
        let items = items.as_deref();
        let mut early = self.early.take();
        let heard = early.as_deref_mut();
        let mut intake =
            Intake { rules: &rules, items, redactor: &redactor, max_line, now, number, early: heard };
        let closing = self.closing.is_some();
        for (feed, limit) in [(&mut self.stdout, limit.stdout), (&mut self.stderr, limit.stderr)] {
            if !feed.look && !closing {
                continue;
            }
            let before = (feed.building_since(), feed.read_to());
            let missing = feed.is_missing_something();
            feed.tell_missing(&mut intake);
            let (reading, length) = feed.read(limit, block);
            let last = closing && reading == Reading::End;
            if reading != Reading::End || last {
                if let Some(early) = &mut intake.early {
                    early.written_at = feed.written_at().unwrap_or(now).min(now);
                }
                let more = feed.take(&mut intake, last, block.get(..length).unwrap_or_default());
                found.lines += more.lines;
                found.hits.extend(more.hits);
                found.told.extend(more.told);
            }
            feed.tell_missing(&mut intake);
            if last {
                feed.tell_the_rest(limit, &mut intake);
            }
            // Only a look that finds nothing shows that a stream is at its end.
            feed.look = reading == Reading::More || closing && !last || missing && reading != Reading::End;
            taken.more |= feed.look;
            if feed.read_to() > before.1 {
                taken.grew = true;
                feed.grew_at = now;
            }
            if last {
                feed.seal();
            }
            let began = feed.building_since().filter(|since| Some(*since) != before.0);
            taken.began = taken.began.or(began);
        }
        self.exhausted = !taken.more;
        if closing && !taken.more {
            self.closed = true;
        }
        if taken.grew {
            self.last_output = now;
        }
        taken.lines = found.lines;
        if let Some(early) = &mut early {
            taken.reports.extend(early.reports(self.attempt, taken.grew));
        }
        self.early = early.filter(|early| !early.is_over());
        taken.reports.extend(self.reports(found));
        taken
    }

    fn reports(&mut self, found: Findings) -> Vec<Report> {
        let mut by_class: Vec<(Evidence, u64)> = Vec::new();
        for (rule, evidence) in found.hits {
            match by_class.iter_mut().find(|(first, _)| first.class == evidence.class) {
                Some((_, count)) => *count += 1,
                None => by_class.push((evidence.clone(), 1)),
            }
            self.seen.note(rule, evidence);
        }
        for (rule, evidence) in found.told {
            self.seen.note(rule, evidence);
        }
        let attempt = self.attempt;
        by_class.into_iter().map(|(evidence, count)| Report::ErrorSeen { attempt, evidence, count }).collect()
    }

    /// Whether an unfinished line waits to be looked at.
    pub(crate) fn has_unlooked(&self) -> bool {
        !self.closed && self.feeds().any(Feed::is_unlooked)
    }

    /// Looks at unfinished lines that have not grown for this long.
    pub(crate) fn look_at_silent(&mut self, now: Timestamp, silence_ms: u64) -> Vec<Report> {
        let (rules, redactor) = (self.rules.clone(), self.redactor.clone());
        let mut early = self.early.take();
        let (heard, mut number, mut found) = (early.as_deref_mut(), 0, Findings::default());
        let number = &mut number;
        let mut intake = Intake {
            rules: &rules,
            items: None,
            redactor: &redactor,
            max_line: 0,
            now,
            number,
            early: heard,
        };
        for feed in self.feeds_mut() {
            if !feed.is_unlooked() || now.since(feed.grew_at) < silence_ms {
                continue;
            }
            if let Some(early) = &mut intake.early {
                early.written_at = feed.written_at().unwrap_or(now).min(now);
            }
            found.hits.extend(feed.look(&mut intake));
        }
        let heard: Vec<_> = early.iter_mut().flat_map(|early| early.reports(self.attempt, false)).collect();
        self.early = early.filter(|early| !early.is_over());
        heard.into_iter().chain(self.reports(found)).collect()
    }

    /// Drops the oldest output when the store takes nothing and the program asks for that. `still_ms`: how long
    /// nothing has been stored, in milliseconds.
    pub(crate) fn drop_backlog(&mut self, now: Timestamp, still_ms: u64, number: &mut u64, output: &Output) {
        match self.program.output.on_backlog {
            Backlog::Drop => {}
            Backlog::Wait if still_ms >= self.program.output.stall_ms => {}
            Backlog::Wait | Backlog::Block => return,
        }
        let limit = self.program.output.backlog;
        let (rules, redactor) = (self.rules.clone(), self.redactor.clone());
        let mut intake =
            Intake { rules: &rules, items: None, redactor: &redactor, max_line: 0, now, number, early: None };
        self.feeds_mut().into_iter().for_each(|feed| feed.drop_backlog(limit, &mut intake, output));
    }

    /// Records that output is missing at this place of a spool.
    pub(crate) fn lose(&mut self, lose: &Lose) {
        match lose.stream {
            Stream::Stdout => self.stdout.lose(lose),
            Stream::Stderr => self.stderr.lose(lose),
        }
    }

    /// Tells the keeper how far the spools are stored, when that changed enough.
    pub(crate) fn tell(&mut self, keeper: Option<&OwnedFd>) {
        for word in self.progress() {
            if let Some(keeper) = keeper {
                wake::say(keeper, word);
            }
        }
    }

    /// How far each spool is stored, for those where the keeper should be told.
    pub(crate) fn progress(&mut self) -> impl Iterator<Item = SpoolStored> {
        let (token, limit) = (self.token, self.program.output.backlog);
        let feeds = [Stream::Stdout, Stream::Stderr].into_iter().zip(self.feeds_mut());
        feeds.filter_map(move |(stream, feed)| {
            Some(SpoolStored { name: SpoolName::new(token, stream), to: feed.progress(limit)? })
        })
    }

    /// When a store that has stood still since `still_since` has done so for too long for this program; `None` when
    /// the program does not ask for that.
    pub(crate) fn drops_at(&self, still_since: Timestamp) -> Option<Timestamp> {
        let output = &self.program.output;
        (output.on_backlog == Backlog::Wait).then(|| still_since.plus(output.stall_ms))
    }

    /// Gives the store what is ready. Returns false when it takes no more.
    pub(crate) fn send(
        &mut self,
        output: &Output,
        stored: &Arc<Stored>,
        told: &(impl Fn() + Clone + Send + 'static),
    ) -> bool {
        self.feeds_mut().into_iter().for_each(|feed| feed.send(output, stored, told));
        !self.feeds().any(Feed::unsent)
    }

    pub(crate) fn seal(&mut self) {
        self.feeds_mut().into_iter().for_each(Feed::seal);
    }

    /// Ends chunks of this age. Returns the time since which a younger one is being built.
    pub(crate) fn seal_old(&mut self, now: Timestamp, age_ms: u64) -> Option<Timestamp> {
        for feed in self.feeds_mut() {
            if feed.building_since().is_some_and(|since| now.since(since) >= age_ms) {
                feed.seal();
            }
        }
        self.feeds().filter_map(Feed::building_since).min()
    }

    pub(crate) fn unsend(&mut self) {
        self.feeds_mut().into_iter().for_each(Feed::unsend);
    }

    /// See [`Feed::stored_to`].
    pub(crate) fn stored_to(&mut self, stream: Stream, to: u64, output: &Output) -> u64 {
        // Two streams share what is kept; the one that writes more uses more of it anyway.
        let keep = usize::try_from(self.program.output.recent / 2).unwrap_or(usize::MAX);
        match stream {
            Stream::Stdout => self.stdout.stored_to(to, keep, output),
            Stream::Stderr => self.stderr.stored_to(to, keep, output),
        }
    }

    /// See [`Feed::expire`].
    pub(crate) fn expire(&mut self, before: Timestamp, output: &Output) -> (u64, Option<Timestamp>) {
        let [(a, first), (b, second)] = self.feeds_mut().map(|feed| feed.expire(before, output));
        (a.max(b), first.into_iter().chain(second).min())
    }

    /// Whether everything was taken in and stored after the end.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed && self.feeds().all(Feed::all_stored)
    }

    /// Gives disk and memory back. Returns the newest number that memory had.
    pub(crate) fn close(&mut self) -> u64 {
        self.feeds_mut().into_iter().for_each(Feed::delete_spool);
        self.feeds_mut().into_iter().map(|feed| feed.shrink(0)).max().unwrap_or(0)
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            lines: self.feeds().map(|feed| feed.lines).sum(),
            errors: self.feeds().map(|feed| feed.errors).sum(),
            gaps: self.feeds().map(|feed| feed.gaps).sum(),
        }
    }

    /// Answers what kind of end this is.
    pub(crate) fn drained(&self, exit: ExitStatus, complete: bool, more: bool, now: Timestamp) -> Drained {
        let mut number = 0;
        let (rules, redactor) = (&*self.rules, &self.redactor);
        let number = &mut number;
        let intake = Intake { rules, items: None, redactor, max_line: 0, now, number, early: None };
        let mut seen = self.seen.clone();
        for (rule, evidence) in self.feeds().filter_map(|feed| feed.unfinished_hit(&intake)) {
            seen.note(rule, evidence);
        }
        // Output that was not read decides nothing.
        let seen = if complete { seen } else { Seen::default() };
        let evidence = seen.verdict(&self.rules, &self.program, exit, now);
        let lines = self.stdout.lines + u64::from(!self.stdout.tail.is_empty());
        // A count over part of the output is no count.
        let all = self.feeds().all(|feed| feed.all_items && feed.gaps == 0);
        let items = self.items.as_deref().filter(|_| all).map(|items| {
            let told = |feed: &Feed| feed.items_by_now(items, &self.redactor);
            items.together(told(&self.stdout), told(&self.stderr))
        });
        let too_little =
            || too_little(&self.program, exit, (lines, items), now).filter(|_| complete && !more);
        let evidence = evidence.or_else(too_little);
        Drained { evidence, counts: self.counts(), items, complete: complete && !more }
    }
}
