//! Programs in code, in the words of the configuration file.

use super::{
    ClassOverride, Classify, Command, Leftovers, OnLost, OutputPolicy, Program, Restart,
    classify::unknown_signal,
};
use crate::model::{
    Arg, BreakerPolicy, IntoArgs, ParamKind, ParamSpec, ParamValue, Problem, RetryPolicy,
    policy::read_duration, signal_number,
};
use std::{path::PathBuf, sync::Arc};

fn strings<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(Into::into).collect()
}

/// Building never fails on the way: a time that cannot be read comes out of [`Program::check`], which starting a
/// manager calls, together with every other problem. Times are texts with a unit (`"1m30s"`), `{name}` in arguments is
/// the place of a parameter.
impl Program {
    /// A script found by name in the folders of [`script_path`](Self::script_path). A job unless
    /// [`restart`](Self::restart) says otherwise.
    #[must_use]
    pub fn script(name: impl Into<String>, script: impl Into<String>) -> Self {
        let command =
            Command::Script { name: script.into(), path: vec![PathBuf::from(".")], interpreter: Vec::new() };
        Self::new(name, command)
    }

    /// An argument vector as it is, no shell. Its first is a text; one with a slash is relative to [`cwd`](Self::cwd). What
    /// follows is as in [`args`](Self::args).
    #[must_use]
    pub fn command<M>(name: impl Into<String>, argv: impl IntoArgs<M>) -> Self {
        Self::new(name, Command::Argv(argv.into_args()))
    }

    /// Folders in which the script is looked for, in order; it never resolves outside them. Default: the base folder.
    #[must_use]
    pub fn script_path<T: Into<PathBuf>>(mut self, folders: impl IntoIterator<Item = T>) -> Self {
        match &mut self.command {
            Command::Script { path, .. } => *path = folders.into_iter().map(Into::into).collect(),
            Command::Argv(_) => self.rejected.push(only_for_scripts("script_path")),
        }
        self
    }

    /// What runs the script, with arguments of its own. Default by extension, else the file's own `#!`.
    #[must_use]
    pub fn interpreter<T: Into<String>>(mut self, argv: impl IntoIterator<Item = T>) -> Self {
        match &mut self.command {
            Command::Script { interpreter, .. } => *interpreter = strings(argv),
            Command::Argv(_) => self.rejected.push(only_for_scripts("interpreter")),
        }
        self
    }

    /// Arguments, in place of those before: an array of texts, or a tuple that mixes texts, groups (arrays of texts) and
    /// [`Arg::when`]. A `{name}` stays inside its element whatever the value holds; `{{` is a brace.
    #[must_use]
    pub fn args<M>(mut self, args: impl IntoArgs<M>) -> Self {
        self.args = args.into_args();
        self
    }

    /// Adds one argument, group (an array of texts) or [`Arg::when`], behind those that are there.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<Arg>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets the description, a sentence for readers.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// Sets the folder to which relative paths are relative. Default the process's own folder.
    #[must_use]
    pub fn base_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.base_dir = folder.into();
        self
    }

    /// Sets the working directory, with places for parameters; `{{` is a brace. Default the base folder.
    #[must_use]
    pub fn cwd(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cwd = folder.into();
        self
    }

    /// Sets one environment variable; the value may have places for parameters.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// A file of `KEY=value` lines, regular and of at most 1 MiB; see
    /// [its grammar](crate::launcher::machine::parse_env_file). A missing one is an error at the start.
    #[must_use]
    pub fn env_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.env_file = Some(file.into());
        self
    }

    /// Makes children inherit only `PATH`, `HOME`, `LANG` and `TZ`.
    #[must_use]
    pub const fn env_clear(mut self) -> Self {
        self.env_clear = true;
        self
    }

    /// Sets when the supervisor starts another attempt by itself. Default after a failure: a job.
    #[must_use]
    pub const fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Starts a run with the manager.
    #[must_use]
    pub const fn autostart(mut self) -> Self {
        self.autostart = true;
        self
    }

    /// Sets the fewest lines of standard output with which a job's end is a success; with fewer it is `empty_result`.
    /// Default 0.
    #[must_use]
    pub const fn success_min_lines(mut self, lines: u32) -> Self {
        self.success_min_lines = lines;
        self
    }

    /// Sets what finds items in the output, and how many a job must bring; with fewer its end is no success but
    /// `empty_result`. Capture 1 of the expression is how many there are by then, and the largest number counts;
    /// without a capture each line that matches is one item. Default: items are not counted.
    #[must_use]
    pub fn success_items(mut self, expression: impl Into<String>, least: u32) -> Self {
        (self.success_items, self.success_min_items) = (Some(expression.into()), least);
        self
    }

    /// Sets the exit codes that are success. Default 0.
    #[must_use]
    pub fn success_exit_codes(mut self, codes: impl IntoIterator<Item = i32>) -> Self {
        self.success_exit_codes = codes.into_iter().collect();
        self
    }

    /// Sets the longest life of one attempt; beyond it the attempt's class is `timeout_run`. Default none.
    #[must_use]
    pub fn timeout(mut self, time: impl AsRef<str>) -> Self {
        self.timeout_ms = read_duration("timeout", time.as_ref(), &mut self.rejected).or(self.timeout_ms);
        self
    }

    /// Sets the longest silence of one attempt; beyond it the attempt's class is `stalled`. Default none.
    #[must_use]
    pub fn idle_timeout(mut self, time: impl AsRef<str>) -> Self {
        self.idle_timeout_ms =
            read_duration("idle_timeout", time.as_ref(), &mut self.rejected).or(self.idle_timeout_ms);
        self
    }

    /// Sets the most runs of this program at once. Default unlimited, one for a daemon.
    #[must_use]
    pub const fn max_concurrent(mut self, runs: u32) -> Self {
        self.max_concurrent = Some(runs);
        self
    }

    /// Sets how many runs may wait for a slot; one more is refused. Default 100.
    #[must_use]
    pub const fn queue(mut self, runs: u32) -> Self {
        self.queue = runs;
        self
    }

    /// Order among runs that wait for the same slot, breaker or tokens: higher first. -1,000 to 1,000; default 0.
    #[must_use]
    pub const fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets a label for readers and filters.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Sets the signal that asks an attempt to end, by name. Default SIGTERM.
    #[must_use]
    pub fn stop_signal(mut self, signal: &str) -> Self {
        match signal_number(signal) {
            Some(number) => self.stop_signal = number,
            None => self.rejected.push(unknown_signal("stop_signal", signal)),
        }
        self
    }

    /// Sets the grace after the signal until SIGKILL to the whole tree. Default 10 seconds.
    #[must_use]
    pub fn stop_timeout(mut self, time: impl AsRef<str>) -> Self {
        if let Some(ms) = read_duration("stop_timeout", time.as_ref(), &mut self.rejected) {
            self.stop_timeout_ms = ms;
        }
        self
    }

    /// Sets what becomes of members of the process group that outlive the leader. Default: they are stopped.
    #[must_use]
    pub const fn leftovers(mut self, leftovers: Leftovers) -> Self {
        self.leftovers = leftovers;
        self
    }

    /// Sets what an end means that was not seen. Default: another attempt.
    #[must_use]
    pub const fn on_lost(mut self, on_lost: OnLost) -> Self {
        self.on_lost = on_lost;
        self
    }

    /// Adds a parameter; one with the same name is replaced.
    #[must_use]
    pub fn param(mut self, mut spec: ParamSpec) -> Self {
        spec.settle();
        self.params.insert(spec.name.clone(), spec);
        self
    }

    /// Adds a classification rule, after those added before.
    #[must_use]
    pub fn classify(mut self, rule: Classify) -> Self {
        let at = format!("classify[{}]", self.classify.len());
        self.rejected.extend(rule.rejected.into_iter().map(|problem| problem.below(&at)));
        self.classify.push(rule.rule);
        self
    }

    /// What a class does here, key by key over the built-in rule.
    #[must_use]
    pub fn class(mut self, class: impl Into<String>, rule: ClassOverride) -> Self {
        self.classes.insert(class.into(), rule);
        self
    }

    /// Sets the rules of retries.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets the rules of the program's own scope.
    #[must_use]
    pub fn breaker(mut self, policy: BreakerPolicy) -> Self {
        self.breaker = Some(Arc::new(policy));
        self
    }

    /// Removes the program's own breaker; shared ones still gate it.
    #[must_use]
    pub fn no_breaker(mut self) -> Self {
        self.breaker = None;
        self
    }

    /// Adds a shared scope that gates the program besides its own, as in `"site:{host}"`.
    #[must_use]
    pub fn shared_breaker(mut self, scope: impl Into<String>) -> Self {
        self.breakers.push(scope.into());
        self
    }

    /// Sets how output is kept.
    #[must_use]
    pub fn output(mut self, policy: OutputPolicy) -> Self {
        self.output = policy;
        self
    }
}

fn only_for_scripts(path: &str) -> Problem {
    Problem::new(
        "config.conflict",
        path,
        format!("`{path}` needs a `script`: a command is run as it is"),
        format!("use a script, or leave {path} out"),
    )
}

impl ParamSpec {
    /// Converts default and bounds to the parameter's kind, as far as they can be; the check reports the rest.
    pub fn settle(&mut self) {
        let kind = Self::new("", self.kind.clone());
        for slot in [&mut self.default, &mut self.min, &mut self.max] {
            if let Some(value) = slot.take() {
                *slot = Some(kind.check(value.clone()).unwrap_or(value));
            }
        }
    }

    /// Whether the values can be counted, so that bounds and adjustments make sense.
    #[must_use]
    pub const fn is_numeric(&self) -> bool {
        matches!(self.kind, ParamKind::Integer | ParamKind::Decimal | ParamKind::Duration)
    }

    /// Sets the smallest value, also the floor of any adjustment.
    #[must_use]
    pub fn min(mut self, value: impl Into<ParamValue>) -> Self {
        self.min = Some(value.into());
        self
    }

    /// Sets the largest value.
    #[must_use]
    pub fn max(mut self, value: impl Into<ParamValue>) -> Self {
        self.max = Some(value.into());
        self
    }
}
