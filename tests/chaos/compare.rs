//! Compares what the daemon tells with what the children wrote down.

use crate::{
    deaths::Deaths,
    found::{Found, Wrong},
    journal::{Attempt, Ended, Journal},
    ledger::line,
    ledgers::{AttemptKey, End, Ledgers, Read},
    supervisor::{Gone, Supervisor},
    world::{is_daemon, max_retries},
};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of one attempt from all sides.
struct Case<'a> {
    key: &'a AttemptKey,
    told: &'a Attempt,
    end: &'a Ended,
    read: &'a Read,
    both_died: bool,
    keeper_died: bool,
    /// It was being stopped when it came to its end.
    stopped: bool,
}

impl Case<'_> {
    fn evidence(&self, what: &str) -> String {
        format!(
            "{} {}.{}: {what}; its ledger: {:?}; told: {}",
            self.told.program, self.key.0, self.key.1, self.read, self.end.text
        )
    }
}

/// The comparison, which looks at each attempt once when it is over.
#[derive(Default)]
pub(crate) struct Comparison {
    /// With the number of lines that are kept; `None` where some may be gone with their pipe.
    compared: BTreeMap<AttemptKey, Option<u64>>,
    /// What was said already.
    said: BTreeSet<String>,
    disorder: usize,
}

impl Comparison {
    /// Everything that ended since the last time.
    pub(crate) fn compare(
        &mut self,
        daemon: &Supervisor,
        journal: &Journal,
        ledgers: &mut Ledgers,
        deaths: &Deaths,
        found: &mut Found,
    ) -> Result<(), Gone> {
        let ended = journal.attempts.iter().filter(|(_, attempt)| !attempt.ends.is_empty());
        for (key, told) in ended {
            if told.ends.len() > 1 && self.said.insert(format!("{key:?} judged {}", told.ends.len())) {
                let all: Vec<_> = told.ends.iter().map(|end| end.text.as_str()).collect();
                found.wrong(Wrong::JudgedTwice, format!("{} {key:?}: {}", told.program, all.join(" and ")));
            }
            let Some(read) = ledgers.attempts.get(key) else { continue };
            if self.compared.contains_key(key) {
                continue;
            }
            let said = read.end.map(|_| read.ended_ns);
            let case = Case {
                key,
                told,
                end: &told.ends[0],
                read,
                both_died: deaths.both_died(read.began_ns, said),
                keeper_died: deaths.keeper_died(read.began_ns, said),
                stopped: said.is_some_and(|ended| deaths.ended_while_stopped(ended)),
            };
            found.count("attempts compared", 1);
            end_is_true(&case, found);
            let kept = lines_are_whole(daemon, &case, found)?;
            self.compared.insert(key.clone(), kept.filter(|_| !case.both_died));
            ledgers.closed.insert(key.clone());
        }
        self.starts(journal, ledgers, deaths, found);
        self.ends_of_runs(daemon, journal, ledgers, found)?;
        for disorder in &journal.disorder[self.disorder..] {
            found.wrong(Wrong::Disorder, disorder.clone());
        }
        self.disorder = journal.disorder.len();
        Ok(())
    }

    fn starts(&mut self, journal: &Journal, ledgers: &Ledgers, deaths: &Deaths, found: &mut Found) {
        for (key, read) in &ledgers.attempts {
            if !journal.attempts.contains_key(key) && self.said.insert(format!("{key:?} unjournalled")) {
                found.wrong(Wrong::Unjournalled, format!("{key:?}: {read:?}"));
            }
            let after = (key.0.clone(), key.1 + 1);
            let Some(next) = journal.attempts.get(&after).filter(|next| !is_daemon(&next.program)) else {
                continue;
            };
            if read.end != Some(End::Code(0)) || !self.said.insert(format!("{}.{} again", key.0, key.1)) {
                continue;
            }
            let end = journal.attempts[key].ends.first();
            let unknown = end.is_some_and(|end| !end.is_seen());
            // Nobody can tell whether it heard of the stop before its end.
            let stopped = end.is_some_and(|end| matches!(end.class.as_deref(), Some("lost" | "shutdown")));
            if unknown && deaths.keeper_died(read.began_ns, Some(read.ended_ns)) {
                found.count("ended well, unseen because its keeper died, and ran again", 1);
            } else if stopped && deaths.ended_while_stopped(read.ended_ns) {
                found.count("ended well while it was being stopped, and ran again", 1);
            } else {
                let ends: Vec<_> = journal.attempts[key].ends.iter().map(|end| end.text.as_str()).collect();
                let evidence = format!(
                    "{} {key:?} ended well and {after:?} was started: {}",
                    next.program,
                    ends.join(" and ")
                );
                found.wrong(Wrong::RunAgain, evidence);
            }
        }
        for name in &ledgers.again {
            if self.said.insert(name.clone()) {
                found.wrong(Wrong::Twin, format!("the same attempt twice: {name}"));
            }
        }
        for (key, read) in ledgers.attempts.iter().filter(|(_, read)| read.twin) {
            if self.said.insert(format!("{key:?} twin")) {
                found.wrong(
                    Wrong::Twin,
                    format!("{key:?} began while another one of its run lived: {read:?}"),
                );
            }
        }
    }

    fn ends_of_runs(
        &mut self,
        daemon: &Supervisor,
        journal: &Journal,
        ledgers: &Ledgers,
        found: &mut Found,
    ) -> Result<(), Gone> {
        for (id, run) in journal.runs.iter().filter(|(_, run)| !run.ends.is_empty()) {
            if !self.said.insert(id.clone()) {
                continue;
            }
            found.count("runs that ended", 1);
            let (phase, reason) = &run.ends[0];
            let attempts = journal.attempts.range((id.clone(), 0)..=(id.clone(), u64::MAX));
            let attempts: Vec<_> = attempts.collect();
            let Some((last, _)) = attempts.last() else { continue };
            let word = ledgers.attempts.get(*last).and_then(|read| read.end);
            if phase == "succeeded" && word != Some(End::Code(0)) {
                found.wrong(
                    Wrong::FalseSuccess,
                    format!("run {id} of {}: its last attempt said {word:?}", run.program),
                );
            }
            if phase == "failed" && reason == "max_retries" {
                let failures =
                    attempts.iter().filter(|(_, attempt)| attempt.ends.first().is_some_and(counts)).count();
                let promised = max_retries(&run.program).map(|retries| retries + 1);
                if promised != Some(failures) {
                    let ends: Vec<_> = attempts
                        .iter()
                        .flat_map(|(_, a)| a.ends.iter().map(|end| end.text.as_str()))
                        .collect();
                    let evidence = format!(
                        "run {id} of {}: given up after {failures} failures of {promised:?}: {ends:#?}",
                        run.program
                    );
                    found.wrong(Wrong::ForgottenRetry, evidence);
                }
            }
            self.counts_of_run(daemon, id, found)?;
        }
        Ok(())
    }

    /// The number of lines that is told of each attempt is the number that is kept.
    fn counts_of_run(&self, daemon: &Supervisor, id: &str, found: &mut Found) -> Result<(), Gone> {
        let told = daemon.json(&format!("/runs/{id}/attempts?limit=1000"))?;
        for attempt in told["items"].as_array().into_iter().flatten() {
            let key = (id.to_owned(), attempt["number"].as_u64().unwrap_or(0));
            if let Some(Some(kept)) = self.compared.get(&key)
                && attempt["lines"].as_u64() != Some(*kept)
            {
                found.wrong(Wrong::LinesMiscounted, format!("{key:?} keeps {kept} lines: {attempt}"));
            }
        }
        Ok(())
    }
}

/// A failure that is counted towards `max_retries`.
fn counts(end: &Ended) -> bool {
    end.class.as_deref().is_some_and(|class| {
        !class.starts_with("spawn_") && !matches!(class, "lost" | "operator_stop" | "shutdown")
    })
}

fn end_is_true(case: &Case<'_>, found: &mut Found) {
    let end = case.end;
    let true_exit = match case.read.end {
        Some(End::Code(code)) => end.exit == Some(code) && end.signal.is_none(),
        Some(End::Signal(number)) => end.exit.is_none() && end.signal.as_deref() == name_of(number),
        None => end.exit.is_none(),
    };
    if end.is_seen() && case.read.end.is_some() && !true_exit && !(case.stopped && end.signal.is_some()) {
        found.wrong(Wrong::FalseExit, case.evidence("it said something else"));
    }
    if end.exit.is_some() && case.read.end.is_none() {
        found.wrong(Wrong::FalseExit, case.evidence("it never said an exit"));
    }
    found.count(if end.is_seen() { "exits known" } else { "exits unknown" }, 1);
    if !end.is_seen() && !case.keeper_died {
        found.wrong(Wrong::ExitUnknownThoughSeen, case.evidence("its keeper lived"));
    }
    if end.class.as_deref() == Some("lost") && case.read.end.is_some() && !case.keeper_died && !case.stopped {
        found.wrong(Wrong::LostThoughSeen, case.evidence("it ended by itself and its keeper lived"));
    }
    let well = case.read.end == Some(End::Code(0));
    if end.class.is_none() && !well {
        found.wrong(Wrong::FalseSuccess, case.evidence("it did not end well"));
    }
    if well && end.is_seen() && end.class.is_some() && !case.stopped && !is_daemon(&case.told.program) {
        found.wrong(Wrong::FalseClass, case.evidence("it ended well"));
    }
    let limited = case.told.program == "limited" && case.read.end.is_some() && end.is_seen() && !case.stopped;
    if limited && end.class.as_deref() != Some("rate_limited") && !case.both_died {
        found.wrong(Wrong::FalseClass, case.evidence("its last line says what it is"));
    }
}

fn name_of(signal: u64) -> Option<&'static str> {
    let known = [
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGUSR1, "SIGUSR1"),
    ];
    known.iter().find(|(number, _)| u64::from(number.unsigned_abs()) == signal).map(|(_, name)| *name)
}

/// A child that lives longer was told of: its keeper's next turn does that.
const UNHEARD_CHILD_NS: u64 = 100_000_000;

/// Each line that it wrote is kept once and in order. It may have written the ones that it had begun to write.
fn lines_are_whole(daemon: &Supervisor, case: &Case<'_>, found: &mut Found) -> Result<Option<u64>, Gone> {
    let stream = if case.read.stderr { "stderr" } else { "stdout" };
    let kept = daemon.output(&case.key.0, case.key.1, stream)?;
    let (mut next, mut partial) = (0, false);
    let attempt = case.key.1.to_string();
    for text in kept.split_inclusive('\n') {
        let (text, whole) = text.strip_suffix('\n').map_or((text, false), |text| (text, true));
        let expected = line(&case.key.0, &attempt, next, case.read.pad);
        if text == expected && whole {
            next += 1;
        } else if !whole && expected.starts_with(text) {
            partial = true;
        } else if text == "HTTP 429" && case.told.program == "limited" {
            found.count("lines with a class", 1);
        } else {
            let known = (0..next).any(|number| line(&case.key.0, &attempt, number, case.read.pad) == text);
            let what = if known { Wrong::LinesDoubled } else { Wrong::LinesForeign };
            found.wrong(what, case.evidence(&format!("where line {next} should be there is {text:?}")));
            return Ok(None);
        }
    }
    found.count("lines compared", next);
    if next < case.read.written {
        let lost = case.read.written - next;
        // A keeper that dies before it has told of a child takes the only other end of the child's pipe with it.
        let unheard =
            case.keeper_died && case.read.ended_ns.saturating_sub(case.read.began_ns) < UNHEARD_CHILD_NS;
        if case.both_died || unheard {
            found.count("lines lost with the last holder of their pipe", lost);
        } else {
            found.wrong(Wrong::LinesLost, case.evidence(&format!("{lost} lines are lost, {next} are kept")));
        }
    }
    if next > case.read.asked {
        found
            .wrong(Wrong::LinesForeign, case.evidence(&format!("{next} lines are kept, partial: {partial}")));
    }
    Ok(Some(kept.lines().count() as u64))
}
