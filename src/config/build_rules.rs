//! From tables of typed values to the fields of a program and its rules.

use super::{
    diagnostic::{At, Finding, Source},
    document::folder_of,
    walk::{Node, Table, Value},
};
use crate::{
    Backlog, BreakerMode, BreakerPolicy, ClassRule, InlineAction, Leftovers, OnLost, OnOpen, OnProbeExpiry,
    OutputPolicy, Param, ProbeParams, ProbeSuccess, Program, Ready, Restart, RetryPolicy, ScopeKind,
    StderrMode, StreamChoice,
    actors::model::{Backoff, ClassifyRule, Inline, Intensity, Matcher, ParamValue},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Typed access to one table.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) table: &'a Table,
    pub(super) sources: &'a [Source],
    /// The file whose folder the program's paths are relative to.
    pub(super) home: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.table.get(key).map(|node| &node.value)
    }

    pub(super) fn below(&self, key: &str) -> Option<Self> {
        match self.value(key)? {
            Value::Table(table) => Some(Self { table, ..*self }),
            _ => None,
        }
    }

    pub(super) fn entries(&self, key: &str) -> impl Iterator<Item = (&'a String, &'a Node)> + use<'a> {
        self.below(key).map(|fields| fields.table).into_iter().flatten()
    }

    pub(super) fn items(&self, key: &str) -> Option<&'a [Node]> {
        match self.value(key)? {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn text(&self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    pub(super) fn texts(&self, key: &str) -> Option<Vec<String>> {
        let text = |node: &Node| match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        Some(self.items(key)?.iter().filter_map(text).collect())
    }

    /// A path as written, or joined to the folder of its own file where that is another one than the program's.
    fn path_of(&self, node: &Node) -> Option<PathBuf> {
        let Value::Text(text) = &node.value else { return None };
        match self.sources.get(node.at.file) {
            Some(source) if node.at.file != self.home => Some(absolute(&folder_of(&source.path).join(text))),
            _ => Some(PathBuf::from(text)),
        }
    }

    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        self.path_of(self.table.get(key)?)
    }

    pub(super) fn paths(&self, key: &str) -> Option<Vec<PathBuf>> {
        Some(self.items(key)?.iter().filter_map(|node| self.path_of(node)).collect())
    }

    /// A whole number into its field, where it is written.
    pub(super) fn number<T: TryFrom<i64>>(&self, key: &str, field: &mut T) {
        if let Some(number) = self.optional(key) {
            *field = number;
        }
    }

    pub(super) fn optional<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        match self.value(key)? {
            Value::Number(number) => T::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.value(key)? {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    fn is_off(&self, key: &str) -> bool {
        matches!(self.value(key), Some(Value::Off))
    }

    /// A word into its field, where it is one of these.
    pub(super) fn word<T: Copy>(&self, key: &str, field: &mut T, meanings: &[(&str, T)]) {
        if let Some(text) = self.text(key)
            && let Some((_, meaning)) = meanings.iter().find(|(word, _)| *word == text)
        {
            *field = *meaning;
        }
    }

    pub(super) fn scalar(&self, key: &str) -> Option<ParamValue> {
        match self.value(key)? {
            Value::Scalar(value) => Some(value.clone()),
            _ => None,
        }
    }

    fn map(&self, key: &str) -> BTreeMap<String, String> {
        let text = |(name, node): (&String, &Node)| match &node.value {
            Value::Text(text) => Some((name.clone(), text.clone())),
            _ => None,
        };
        self.entries(key).filter_map(text).collect()
    }

    /// Everything of a program but what is run and its rules.
    pub(super) fn fill_program(&self, program: &mut Program) {
        program.description = self.text("description").unwrap_or_default();
        program.args = self.args("args").unwrap_or_default();
        if let Some(folder) = self.table.get("cwd").and_then(|node| self.folder_of(node)) {
            program.cwd = folder;
        }
        program.env = self.map("env");
        program.env_file = self.path("env_file");
        program.env_clear = self.flag("env_clear").unwrap_or_default();
        let restarts = [("no", Restart::No), ("on-failure", Restart::OnFailure), ("always", Restart::Always)];
        self.word("restart", &mut program.restart, &restarts);
        program.autostart = self.flag("autostart").unwrap_or_default();
        if let Some(codes) = self.items("success_exit_codes") {
            let code = |node: &Node| match node.value {
                Value::Number(code) => i32::try_from(code).ok(),
                _ => None,
            };
            program.success_exit_codes = codes.iter().filter_map(code).collect();
        }
        if let Some(success) = self.below("success") {
            success.number("min_lines", &mut program.success_min_lines);
            program.success_items = success.text("items");
            success.number("min_items", &mut program.success_min_items);
        }
        program.timeout_ms = self.optional("timeout");
        program.idle_timeout_ms = self.optional("idle_timeout");
        program.max_concurrent = self.optional("max_concurrent");
        self.number("queue", &mut program.queue);
        self.number("priority", &mut program.priority);
        program.labels = self.map("labels");
        program.breakers = self.texts("breakers").unwrap_or_default();
        self.number("stop_signal", &mut program.stop_signal);
        self.number("stop_timeout", &mut program.stop_timeout_ms);
        let leftovers = [("stop", Leftovers::Stop), ("keep", Leftovers::Keep)];
        self.word("leftovers", &mut program.leftovers, &leftovers);
        let lost = [("retry", OnLost::Retry), ("fail", OnLost::Fail), ("success", OnLost::Success)];
        self.word("on_lost", &mut program.on_lost, &lost);
    }

    /// Its parameters and rules.
    pub(super) fn fill_rules(&self, program: &mut Program, findings: &mut Vec<Finding>) {
        for (name, node) in self.entries("params") {
            // One that cannot be read exists all the same: what names it is right.
            let spec = match &node.value {
                Value::Table(table) => Self { table, ..*self }.param(name, findings),
                _ => Param::string(name),
            };
            program.params.insert(name.clone(), spec);
        }
        if let Some(retry) = self.below("retry") {
            program.retry = retry.retry();
        }
        if self.is_off("breaker") {
            program.breaker = None;
        } else if let Some(breaker) = self.below("breaker") {
            program.breaker = Some(policy_of_breaker(&breaker).into());
        }
        program.ready = self.ready(findings);
        for node in self.items("classify").unwrap_or_default() {
            let rule = match &node.value {
                Value::Table(table) => Self { table, ..*self }.classify(node.at, findings),
                _ => None,
            };
            // Keeps its place, so that the numbers of the others stay true.
            let pattern = "unreadable".to_owned();
            let matcher = Matcher::Pattern { pattern, stream: StreamChoice::Any, retry_after: None };
            let placeholder = || ClassifyRule::new("unreadable", matcher);
            program.classify.push(rule.unwrap_or_else(placeholder));
        }
        for (name, node) in self.entries("classes") {
            if let Value::Table(table) = &node.value {
                program.classes.insert(name.clone(), Self { table, ..*self }.class(findings));
            }
        }
        if let Some(output) = self.below("output") {
            program.output = output.output();
        }
    }

    pub(super) fn require(&self, key: &str, at: At, findings: &mut Vec<Finding>) {
        if !self.table.contains_key(key) {
            let message = format!("`{key}` is missing");
            findings.push(Finding::error(at, "config.required", message, format!("write {key} = …")));
        }
    }

    fn retry(&self) -> RetryPolicy {
        let mut policy = RetryPolicy::default();
        policy.max_retries = self.optional("max_retries");
        let laws = [("exponential", Backoff::Exponential), ("constant", Backoff::Constant)];
        self.word("backoff", &mut policy.backoff, &laws);
        self.number("delay", &mut policy.delay_ms);
        self.number("factor", &mut policy.factor_permille);
        if policy.backoff == Backoff::Constant {
            // A constant delay is its own longest one unless the file says otherwise.
            policy.max_delay_ms = policy.max_delay_ms.max(policy.delay_ms);
        }
        self.number("max_delay", &mut policy.max_delay_ms);
        if !self.table.contains_key("min_delay") {
            policy.lower_min_delay();
        }
        self.number("min_delay", &mut policy.min_delay_ms);
        if let Some(Value::Jitter(jitter)) = self.value("jitter") {
            policy.jitter = *jitter;
        }
        policy.reset_after_ms = self.optional("reset_after");
        policy.max_failing_ms = self.optional("max_failing");
        policy.quarantine_ms = self.optional("quarantine");
        policy.reset_on_config_change = self.flag("reset_on_config_change").unwrap_or(true);
        self.number("startup_spread", &mut policy.startup_spread_ms);
        self.number("retry_after_max", &mut policy.retry_after_max_ms);
        if self.is_off("intensity") {
            policy.intensity = None;
        } else if let Some(intensity) = self.below("intensity") {
            let mut limit = policy.intensity.unwrap_or(Intensity { restarts: 10, window_ms: 60_000 });
            intensity.number("restarts", &mut limit.restarts);
            intensity.number("window", &mut limit.window_ms);
            policy.intensity = Some(limit);
        }
        policy
    }

    /// Where a pattern looks.
    fn stream(&self) -> StreamChoice {
        let mut stream = StreamChoice::Any;
        let streams =
            [("stdout", StreamChoice::Stdout), ("stderr", StreamChoice::Stderr), ("any", StreamChoice::Any)];
        self.word("stream", &mut stream, &streams);
        stream
    }

    fn ready(&self, findings: &mut Vec<Finding>) -> Option<Ready> {
        let (ready, node) = (self.below("ready")?, self.table.get("ready")?);
        ready.require("pattern", node.at, findings);
        Some(
            Ready::pattern(ready.text("pattern").unwrap_or_else(|| "unreadable".into()))
                .stream(ready.stream()),
        )
    }

    fn classify(&self, at: At, findings: &mut Vec<Finding>) -> Option<ClassifyRule> {
        self.require("class", at, findings);
        let written: Vec<_> = ["pattern", "exit_code", "signal"]
            .into_iter()
            .filter_map(|key| self.table.get(key).map(|node| (key, node)))
            .collect();
        if written.len() != 1 {
            let place = written.get(1).map_or(at, |(_, node)| node.at);
            let message = "a rule needs exactly one of `pattern`, `exit_code` and `signal`";
            findings.push(Finding::error(place, "config.conflict", message, "write one rule for each"));
        }
        for key in ["stream", "retry_after"] {
            if let (Some(node), false) = (self.table.get(key), self.table.contains_key("pattern")) {
                let message =
                    format!("`{key}` needs a `pattern`: an exit code or signal has no line to look at");
                findings.push(Finding::error(node.at, "config.conflict", message, "give the rule a pattern"));
            }
        }
        let matcher = if let Some(pattern) = self.text("pattern") {
            Matcher::Pattern { pattern, stream: self.stream(), retry_after: self.text("retry_after") }
        } else if let Some(code) = self.optional("exit_code") {
            Matcher::ExitCode(code)
        } else {
            Matcher::Signal(self.optional("signal")?)
        };
        Some(ClassifyRule::new(self.text("class").unwrap_or_else(|| "unreadable".into()), matcher))
    }

    fn class(&self, findings: &mut Vec<Finding>) -> ClassRule {
        let mut rule = ClassRule::default();
        rule.retry = self.flag("retry");
        rule.counts = self.flag("counts");
        rule.weight_permille = self.optional("weight");
        rule.trips = self.flag("trips");
        rule.delay_ms = self.optional("delay");
        rule.max_delay_ms = self.optional("max_delay");
        rule.max_retries = self.optional("max_retries");
        rule.cost_permille = self.optional("cost");
        rule.priority = self.optional("priority");
        rule.scopes = self.texts("scopes").map(|scopes| {
            let kind = |scope: String| match scope.as_str() {
                "shared" => ScopeKind::Shared,
                "user" => ScopeKind::User,
                "global" => ScopeKind::Global,
                _ => ScopeKind::Program,
            };
            scopes.into_iter().map(kind).collect()
        });
        for (name, node) in self.entries("adjust") {
            if let Value::Adjust(adjust) = node.value {
                rule.adjust.insert(name.clone(), adjust);
            }
        }
        if let (Some(inline), Some(node)) = (self.below("inline"), self.table.get("inline")) {
            inline.require("count", node.at, findings);
            inline.require("per", node.at, findings);
            let mut action = InlineAction::None;
            let actions = [
                ("none", InlineAction::None),
                ("adjust", InlineAction::Adjust),
                ("restart", InlineAction::Restart),
                ("stop", InlineAction::Stop),
            ];
            inline.word("action", &mut action, &actions);
            if let (Some(count), Some(per_ms)) = (inline.optional("count"), inline.optional("per")) {
                rule.inline = Some(Inline { count, per_ms, action });
            }
        }
        rule
    }

    fn output(&self) -> OutputPolicy {
        let mut policy = OutputPolicy::default();
        self.number("max_line", &mut policy.max_line);
        self.number("recent", &mut policy.recent);
        self.number("backlog", &mut policy.backlog);
        self.word(
            "stderr",
            &mut policy.stderr,
            &[("separate", StderrMode::Separate), ("merge", StderrMode::Merge)],
        );
        let words = [("wait", Backlog::Wait), ("drop", Backlog::Drop), ("block", Backlog::Block)];
        self.word("on_backlog", &mut policy.on_backlog, &words);
        self.number("stall", &mut policy.stall_ms);
        self.word("ansi", &mut policy.strip_ansi, &[("keep", false), ("strip", true)]);
        policy.redact = self.texts("redact").unwrap_or_default();
        policy
    }
}

/// The rules of a breaker, its own or a shared one.
pub(super) fn policy_of_breaker(fields: &Fields<'_>) -> BreakerPolicy {
    let mut policy = BreakerPolicy::default();
    let modes = [BreakerMode::Auto, BreakerMode::Disabled, BreakerMode::MetricsOnly];
    fields.word("mode", &mut policy.mode, &modes.map(|mode| (mode.name(), mode)));
    fields.number("failures", &mut policy.failures);
    fields.number("failure_rate", &mut policy.failure_rate_permille);
    policy.slow_ready_ms = fields.optional("slow_ready");
    policy.slow_rate_permille = fields.optional("slow_rate");
    fields.number("penalty", &mut policy.penalty_ms);
    fields.number("penalty_factor", &mut policy.penalty_factor_permille);
    fields.number("max_penalty", &mut policy.max_penalty_ms);
    fields.number("penalty_jitter", &mut policy.penalty_jitter_permille);
    fields.number("decay_after", &mut policy.decay_after_ms);
    if let Some(window) = fields.below("window") {
        window.number("size", &mut policy.window.size);
        window.number("age", &mut policy.window.age_ms);
        window.number("min", &mut policy.window.min);
    }
    if let Some(half) = fields.below("half_open") {
        half.number("permits", &mut policy.half_open.permits);
        half.number("successes", &mut policy.half_open.successes);
        half.number("failures", &mut policy.half_open.failures);
        half.number("lease", &mut policy.half_open.lease_ms);
        half.number("stable", &mut policy.half_open.stable_ms);
        let params = [
            ("floor", ProbeParams::Floor),
            ("current", ProbeParams::Current),
            ("default", ProbeParams::Default),
        ];
        half.word("params", &mut policy.half_open.params, &params);
        let proofs = [ProbeSuccess::Auto, ProbeSuccess::Exit, ProbeSuccess::Ready, ProbeSuccess::FirstOutput];
        half.word("success", &mut policy.half_open.success, &proofs.map(|proof| (proof.name(), proof)));
    }
    let expiries = [
        ("failure", OnProbeExpiry::Failure),
        ("reopen_same_level", OnProbeExpiry::ReopenSameLevel),
        ("release", OnProbeExpiry::Release),
    ];
    fields.word("on_probe_expiry", &mut policy.on_probe_expiry, &expiries);
    if let Some(ramp) = fields.below("ramp") {
        ramp.number("over", &mut policy.ramp.over_ms);
        ramp.number("spacing", &mut policy.ramp.spacing_ms);
    }
    fields.word("on_open", &mut policy.on_open, &[("keep", OnOpen::Keep), ("stop", OnOpen::Stop)]);
    policy.retry_budget = fields.below("retry_budget").map(|budget| budget.budget());
    policy.quarantine_ms = fields.optional("quarantine");
    policy
}

/// Absolute, without looking at links: the keeper that uses it may stand in another folder.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
