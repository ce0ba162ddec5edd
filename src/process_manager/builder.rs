//! Building a [`ProcessManager`].

use super::{ProcessManager, shutdown};
use crate::{Error, ErrorKind, Result};
use actix_process_actors::{
    manager::{Autostart, Options, open},
    model::{Advised, BreakerPolicy, Problem, Program, RetryBudget, advice_between},
};
use std::{
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// What a manager is to run, and where it keeps things. Built by [`ProcessManager::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "nothing starts before `start`"]
pub struct ProcessManagerBuilder {
    store: Option<PathBuf>,
    programs: Vec<Program>,
    shared_breakers: Vec<(String, BreakerPolicy)>,
    retry_budget: Option<RetryBudget>,
    logs_max_bytes: Option<u64>,
    logs_max_age: Option<Duration>,
    runs_max_count: Option<usize>,
    runs_max_age: Option<Duration>,
    journal_max_bytes: Option<u64>,
    journal_max_age: Option<Duration>,
    quiet: bool,
    /// Its doubtful places were told when its file was read.
    told: bool,
}

impl ProcessManagerBuilder {
    /// The folder of the store, made (0700) when it does not exist. One manager owns it at a time. Default: a private
    /// temporary folder, with a warning, which is removed at shutdown.
    pub fn store(mut self, folder: impl Into<PathBuf>) -> Self {
        self.store = Some(folder.into());
        self
    }

    /// Adds a program.
    pub fn program(mut self, program: impl Into<Program>) -> Self {
        self.programs.push(program.into());
        self
    }

    /// Adds several programs.
    pub fn programs(mut self, programs: impl IntoIterator<Item = Program>) -> Self {
        self.programs.extend(programs);
        self
    }

    /// Rules of the shared scopes of this name, such as `"site:*"`: the exact name wins, then the longest literal
    /// prefix before `*`. Shared scopes without rules have the defaults.
    pub fn shared_breaker_policy(mut self, pattern: impl Into<String>, policy: BreakerPolicy) -> Self {
        self.shared_breakers.push((pattern.into(), policy));
        self
    }

    /// Tokens that retries of all programs share. Default: no budget, each program has its own limits.
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.retry_budget = Some(budget);
        self
    }

    /// Stored output takes so many bytes of the disk at most, at any time. Default 2 GiB; less than 8 MiB is taken for that.
    /// Deleted oldest first, in pieces of a sixteenth of it (24 MiB at most).
    pub fn keep_logs_bytes(mut self, bytes: u64) -> Self {
        self.logs_max_bytes = Some(bytes);
        self
    }

    /// Stored output is kept for so long, and is deleted by itself a tenth of that later at most (a second at least, a day
    /// at most), whether its program writes on or not. Default 14 days. Lines that the journal quotes stay there.
    pub fn keep_logs_for(mut self, age: Duration) -> Self {
        self.logs_max_age = Some(age);
        self
    }

    /// So many ended runs are kept. Default 50,000.
    pub fn keep_runs(mut self, count: usize) -> Self {
        self.runs_max_count = Some(count);
        self
    }

    /// Ended runs are kept for so long. Default 90 days.
    pub fn keep_runs_for(mut self, age: Duration) -> Self {
        self.runs_max_age = Some(age);
        self
    }

    /// The journal of decisions may take so many bytes on the disk, 8 MiB at least. Default 512 MiB. Deleted oldest first, in
    /// pieces of some 16 MiB; what the decisions add up to (runs, breakers, delays) does not go with them.
    pub fn keep_journal_bytes(mut self, bytes: u64) -> Self {
        self.journal_max_bytes = Some(bytes);
        self
    }

    /// Decisions are kept in the journal for so long. Default 90 days. They go in pieces, at the latest when an eighth more
    /// of it has passed.
    pub fn keep_journal_for(mut self, age: Duration) -> Self {
        self.journal_max_age = Some(age);
        self
    }

    /// Whether what is allowed in a program but probably not meant is logged as a warning when the program is added or
    /// changed. Default true; false for who shows [`config::Config::warnings`](crate::config::Config::warnings) to somebody.
    pub fn log_advice(mut self, log: bool) -> Self {
        self.quiet = !log;
        self
    }

    /// Opens the store, takes up what the last manager left, and starts the programs with `autostart`.
    ///
    /// # Errors
    /// Programs that do not fit together (all problems at once), a store that another process owns or that cannot be
    /// opened, a keeper that cannot be started.
    pub async fn start(self) -> Result<ProcessManager> {
        check_programs(&self.programs)?;
        check_budget(self.retry_budget)?;
        let (store, private) = match self.store.clone() {
            Some(store) => (store, None),
            None => {
                let folder = private_folder()?;
                log::warn!("no store configured: output and runs are forgotten; folder={}", folder.display());
                (folder.clone(), Some(folder))
            }
        };
        let options = self.options(&store);
        let running = match shutdown::on_a_thread("process-open", move || open(options)).await {
            Some(opened) => opened.map_err(Error::from),
            None => Err(Error::new(
                ErrorKind::Keeper,
                "the supervisor could not be opened: its thread did not start or panicked",
            )),
        };
        if let (Err(_), Some(folder)) = (&running, &private) {
            let _ = std::fs::remove_dir_all(folder);
        }
        let running = running?;
        let addr = running.addr.clone();
        let threads = shutdown::Threads::new(running, private);
        let pm = ProcessManager::new(addr, threads, store, !self.quiet);
        // First: the programs take up what waited for it.
        pm.set_retry_budget(self.retry_budget).await?;
        pm.configure_with(self.programs, self.shared_breakers, !self.told).await?;
        pm.ask(Autostart).await?;
        Ok(pm)
    }

    fn options(&self, store: &Path) -> Options {
        let ms = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let mut options = Options::new(store);
        options.logs_max_bytes = self.logs_max_bytes.unwrap_or(options.logs_max_bytes);
        options.logs_max_age_ms = self.logs_max_age.map_or(options.logs_max_age_ms, ms);
        options.runs_max_count = self.runs_max_count.unwrap_or(options.runs_max_count);
        options.runs_max_age_ms = self.runs_max_age.map_or(options.runs_max_age_ms, ms);
        options.journal_max_bytes = self.journal_max_bytes.unwrap_or(options.journal_max_bytes);
        options.journal_max_age_ms = self.journal_max_age.map_or(options.journal_max_age_ms, ms);
        options
    }
}

/// A folder that only we may enter, under the system's place for temporary files.
fn private_folder() -> Result<PathBuf> {
    let cannot =
        |why: String| Error::new(ErrorKind::Store, format!("no temporary folder for the store: {why}"));
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|error| cannot(error.to_string()))?;
    let folder = std::env::temp_dir().join(format!("actix-process-{:016x}", u64::from_ne_bytes(random)));
    // Fails when it exists: nobody can have prepared it for us.
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .map_err(|error| cannot(format!("{}: {error}", folder.display())))?;
    Ok(folder)
}

/// Checks programs before they reach the Manager, which trusts them. Every problem is told at once.
pub(super) fn check_programs(programs: &[Program]) -> Result<()> {
    let mut names = std::collections::BTreeSet::new();
    let mut problems = Vec::new();
    let mut help = None;
    for program in programs {
        if !names.insert(program.name.as_str()) {
            problems.push(format!("there are two programs named `{}`", program.name));
        }
        for problem in program.check() {
            problems.push(format!("program `{}`: {}: {}", program.name, problem.path, problem.message));
            help = help.or(Some(problem.help));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Config, problems.join("\n"));
    Err(match help {
        Some(help) => error.with_help(help),
        None => error,
    })
}

/// What is allowed but probably not meant: in these programs, as far as their names are among those, and between them.
pub(super) fn advice(
    programs: &[Program],
    shared_breakers: &[(String, BreakerPolicy)],
    names: &[String],
) -> Vec<(String, Problem)> {
    let new = |program: &&Program| names.contains(&program.name);
    let mut found: Vec<_> = programs
        .iter()
        .filter(new)
        .flat_map(|program| program.advice().into_iter().map(|problem| (program.name.clone(), problem)))
        .collect();
    for (about, problem) in advice_between(programs, shared_breakers) {
        match about {
            Advised::Program(at) => {
                let program = programs.get(at).filter(new);
                found.extend(program.map(|program| (program.name.clone(), problem)));
            }
            Advised::Breaker(at) if !names.is_empty() => {
                found.extend(shared_breakers.get(at).map(|(pattern, _)| (pattern.clone(), problem)));
            }
            Advised::Breaker(_) => {}
        }
    }
    found
}

/// Checks a retry budget likewise.
pub(super) fn check_budget(budget: Option<RetryBudget>) -> Result<()> {
    let problems = budget.map(|budget| budget.check()).unwrap_or_default();
    let Some(first) = problems.first() else { return Ok(()) };
    let help = first.help.clone();
    let lines: Vec<_> = problems
        .iter()
        .map(|problem| format!("retry_budget.{}: {}", problem.path, problem.message))
        .collect();
    Err(Error::new(ErrorKind::Config, lines.join("\n")).with_help(help))
}

/// The builder that a configuration file describes.
pub(super) fn from_config(path: &Path) -> Result<ProcessManagerBuilder> {
    let config = crate::config::load(path).map_err(|errors| {
        Error::new(ErrorKind::Config, errors.to_string()).with_help("correct the places that are named")
    })?;
    for warning in &config.warnings {
        log::warn!("the configuration has a doubtful place; warning={}", warning.message);
    }
    let kept = config.store;
    let mut builder = ProcessManagerBuilder { told: true, ..ProcessManagerBuilder::default() }
        .store(kept.path)
        .programs(config.programs)
        .keep_logs_bytes(kept.logs_max_bytes)
        .keep_logs_for(Duration::from_millis(kept.logs_max_age_ms))
        .keep_runs(kept.runs_max_count as usize)
        .keep_runs_for(Duration::from_millis(kept.runs_max_age_ms))
        .keep_journal_bytes(kept.journal_max_bytes)
        .keep_journal_for(Duration::from_millis(kept.journal_max_age_ms));
    builder.shared_breakers = config.shared_breakers;
    builder.retry_budget = config.retry_budget;
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubtful_places_of_new_programs_are_told_once() {
        let doubtful = |name: &str| {
            let path = "-c";
            Program::new(
                name,
                actix_process_actors::model::Command::Argv(vec!["sh".into(), path.into(), "echo {x}".into()]),
            )
            .param(actix_process_actors::model::ParamSpec::string("x"))
        };
        let programs = [doubtful("old"), doubtful("new")];
        assert!(check_programs(&programs).is_ok(), "it is allowed");
        let told = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(ToString::to_string).collect();
            let told = advice(&programs, &[], &names);
            told.into_iter()
                .filter(|(_, problem)| problem.code == "config.shell")
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&["new"]), ["new"]);
        assert!(told(&[]).is_empty(), "nothing is new");
    }
}
