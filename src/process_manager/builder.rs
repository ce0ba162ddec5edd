//! Building a [`ProcessManager`].

use super::{
    ProcessManager,
    configure::{Rules, log_warnings},
    shutdown,
};
use crate::{
    Error, ErrorKind, Result,
    config::{Config, Diagnostic},
};
use actix_process_actors::{
    manager::{Autostart, Options, SetRetryBudget, open},
    model::{BreakerPolicy, Program, RetryBudget},
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
    rules: Rules,
    /// What the configurations warn of.
    warnings: Vec<Diagnostic>,
    logs_max_bytes: Option<u64>,
    logs_max_age: Option<Duration>,
    runs_max_count: Option<usize>,
    runs_max_age: Option<Duration>,
    journal_max_bytes: Option<u64>,
    journal_max_age: Option<Duration>,
    quiet: bool,
}

impl ProcessManagerBuilder {
    /// Adds what a configuration says: its programs and rules of shared scopes beside those that are here, its store with what is
    /// kept there, and its retry budget if it has one. What is set after it holds instead of what it says, so that a
    /// file and settings in code can be combined:
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// use actix_process::{ProcessManager, config};
    /// let config = config::load("supervise.toml".as_ref())?;
    /// let pm = ProcessManager::builder().config(config).store("/var/lib/app").start().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Its warnings are logged by [`start`](Self::start), see [`log_advice`](Self::log_advice). What it says of the server is
    /// for who serves.
    pub fn config(mut self, config: Config) -> Self {
        let kept = &config.store;
        self = self
            .store(&kept.path)
            .keep_logs_bytes(kept.logs_max_bytes)
            .keep_logs_for(Duration::from_millis(kept.logs_max_age_ms))
            .keep_runs(kept.runs_max_count as usize)
            .keep_runs_for(Duration::from_millis(kept.runs_max_age_ms))
            .keep_journal_bytes(kept.journal_max_bytes)
            .keep_journal_for(Duration::from_millis(kept.journal_max_age_ms));
        self.warnings.extend_from_slice(&config.warnings);
        if let Some(budget) = config.retry_budget {
            self = self.retry_budget(budget);
        }
        let Rules { programs, shared_breakers, told, .. } = Rules::of(config);
        self.rules.programs.extend(programs);
        self.rules.shared_breakers.extend(shared_breakers);
        self.rules.told.extend(told);
        self
    }

    /// The folder of the store, made (0700) when it does not exist. One manager owns it at a time. Default: a private
    /// temporary folder, with a warning, which is removed at shutdown.
    pub fn store(mut self, folder: impl Into<PathBuf>) -> Self {
        self.store = Some(folder.into());
        self
    }

    /// Adds a program.
    pub fn program(mut self, program: impl Into<Program>) -> Self {
        self.rules.programs.push(program.into());
        self
    }

    /// Adds several programs.
    pub fn programs(mut self, programs: impl IntoIterator<Item = Program>) -> Self {
        self.rules.programs.extend(programs);
        self
    }

    /// Rules of the shared scopes of this name, such as `"site:*"`: the exact name wins, then the longest literal
    /// prefix before `*`. Shared scopes without rules have the defaults.
    pub fn shared_breaker_policy(mut self, pattern: impl Into<String>, policy: BreakerPolicy) -> Self {
        self.rules.shared_breakers.push((pattern.into(), policy));
        self
    }

    /// Tokens that retries of all programs share. Default: no budget, each program has its own limits.
    pub fn retry_budget(mut self, budget: RetryBudget) -> Self {
        self.rules.retry_budget = Some(SetRetryBudget { budget: Some(budget) });
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
    /// changed, and the warnings of a configuration when it is taken. Default true; false where
    /// [`Config::warnings`] are shown elsewhere.
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
        self.rules.check()?;
        if !self.quiet {
            log_warnings(&self.warnings);
        }
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
        pm.configure_by(self.rules).await?;
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

impl From<Config> for ProcessManagerBuilder {
    fn from(config: Config) -> Self {
        Self::default().config(config)
    }
}
