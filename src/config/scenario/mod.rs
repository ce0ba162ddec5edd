//! Scenario files for the simulator: TOML in, a checked scenario out, with every error at its place.

mod keys;

use self::keys::SCENARIO;
use super::{
    Config, ConfigErrors,
    build::{diagnostics, unread},
    diagnostic::{At, Finding, Source},
    document::walk_text,
    fields::Fields,
    files::read_text,
    tree::{Node, Table, Value},
};
use crate::{
    Program,
    actors::{
        model::{ExitStatus, Params, Scope, did_you_mean, is_priority},
        simulate::{
            Act, Life, OperatorAt, Plan, Play, PlayWindow, RestartAt, Scenario, Script, ScriptOf, StartAt,
            Target,
        },
    },
};
use std::path::Path;

/// Reads a scenario for these programs from a file. `until_ms` overrides the file's `until`.
///
/// # Errors
/// Everything that is wrong, in the order of the file; also a file that cannot be read.
pub fn load_scenario(path: &Path, config: &Config, until_ms: Option<u64>) -> Result<Scenario, ConfigErrors> {
    match read_text(path) {
        Ok(text) => parse_scenario(&text, path, config, until_ms),
        Err(error) => Err(unread(path, "scenario", &error)),
    }
}

/// Reads a scenario for these programs from text. `origin` is the file that messages name.
///
/// # Errors
/// Everything that is wrong, in the order of the text.
pub fn parse_scenario(
    text: &str,
    origin: &Path,
    config: &Config,
    until_ms: Option<u64>,
) -> Result<Scenario, ConfigErrors> {
    let (root, findings, _) = walk_text(0, text, &SCENARIO);
    let syntax_is_sound = !findings.iter().any(|finding| finding.code == "config.syntax");
    let sources = [Source::new(origin.to_owned(), text.to_owned())];
    let mut reader = Reader { config, sources: &sources, findings };
    let scenario = reader.scenario(&root, until_ms);
    let mut findings = reader.findings;
    if !syntax_is_sound {
        // Behind a syntax error keys are missing that were written.
        findings.retain(|finding| matches!(finding.code.as_str(), "config.syntax" | "config.unknown_key"));
    }
    let (errors, _) = diagnostics(findings, &sources);
    if errors.is_empty() { Ok(scenario) } else { Err(ConfigErrors(errors)) }
}

struct Reader<'a> {
    config: &'a Config,
    sources: &'a [Source],
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn fail(&mut self, at: At, code: &str, message: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Finding::error(at, code, message, help));
    }

    fn scenario(&mut self, root: &Table, until_ms: Option<u64>) -> Scenario {
        let fields = Fields { table: root, sources: self.sources, home: 0 };
        let until = until_ms.or_else(|| fields.get("until"));
        if until.is_none() && !root.contains_key("until") {
            let message = "the scenario does not say how long it runs";
            self.fail(TOP, "config.required", message, "write until = \"2h\", or run it with --until 2h");
        }
        let rows = |key: &str| fields.items(key).unwrap_or_default();
        let mut scenario = Scenario { until_ms: until.unwrap_or_default(), ..Scenario::default() };
        for (n, row) in rows("start").iter().enumerate() {
            if let Some(start) = self.start(row, n, &scenario.starts) {
                scenario.starts.push(start);
            }
        }
        for row in rows("script") {
            if let Some(script) = self.script(row, &scenario) {
                scenario.scripts.push(script);
            }
        }
        // What a script lacks because it is wrong itself is said once.
        if scenario.scripts.len() == rows("script").len() && scenario.starts.len() == rows("start").len() {
            for (row, start) in rows("start").iter().zip(&scenario.starts) {
                if scenario.script_of(&start.run, &start.program).is_none() {
                    let message = format!("no [[script]] says what attempts of `{}` do", start.program);
                    let help = format!("add [[script]] with program = \"{}\" and attempts", start.program);
                    self.fail(row.at, "config.required", message, help);
                }
            }
        }
        for row in rows("operator") {
            if let Some(operator) = self.operator(row, &scenario) {
                scenario.operators.push(operator);
            }
        }
        for row in rows("restart_supervisor") {
            self.restart(row, &mut scenario.restarts);
        }
        scenario
    }

    fn fields<'n>(&self, row: &'n Node) -> Option<Fields<'n>>
    where
        Self: 'n,
    {
        match &row.value {
            Value::Table(table) => Some(Fields { table, sources: &[], home: 0 }),
            _ => None,
        }
    }

    /// The program of this name, or what is wrong with the name.
    fn program(&mut self, at: At, name: &str) -> Option<&Program> {
        let config = self.config;
        let found = config.programs.iter().find(|program| program.name == name);
        if found.is_none() {
            let known: Vec<_> = config.programs.iter().map(|program| program.name.as_str()).collect();
            let help = match did_you_mean(name, known.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("the configuration has {}", known.join(", ")),
            };
            self.fail(at, "scenario.unknown_program", format!("there is no program `{name}`"), help);
        }
        found
    }

    fn start(&mut self, row: &Node, n: usize, before: &[StartAt]) -> Option<StartAt> {
        let fields = self.fields(row)?;
        let at_ms = fields.get("at").unwrap_or_default();
        let run = fields.text("run").unwrap_or_else(|| format!("r{}", n + 1));
        if before.iter().any(|start| start.run == run) {
            let message = format!("two runs are called `{run}`");
            self.fail(row.at, "config.duplicate", message, "give one of them another run = \"NAME\"");
        }
        let Some(program) = fields.text("program") else {
            self.required(row, "program");
            return None;
        };
        let at = place(&fields, "program", row);
        let params: Params = fields
            .entries("params")
            .filter_map(|(name, node)| match &node.value {
                Value::Scalar(value) => Some((name.clone(), value.clone())),
                _ => None,
            })
            .collect();
        let problems = self.program(at, &program)?.resolve_params(&params).err().unwrap_or_default();
        for problem in problems {
            let given = fields.entries("params").find(|(name, _)| **name == problem.name);
            let at = given.map_or_else(|| place(&fields, "params", row), |(_, node)| node.at);
            let message =
                format!("`{program}` refuses these parameters: {} {}", problem.name, problem.detail);
            let help = format!("see [program.{program}.params] in the configuration");
            self.fail(at, "scenario.params", message, help);
        }
        let requested_by = fields.text("requested_by");
        let force = fields.get("force").unwrap_or_default();
        let priority: Option<i32> = fields.get("priority");
        if priority.is_some_and(|priority| !is_priority(priority)) {
            let message = "`priority` must be between -1000 and 1000";
            self.fail(
                place(&fields, "priority", row),
                "config.range",
                message,
                "leave it out for the program's",
            );
        }
        Some(StartAt { at_ms, program, run, requested_by, params, force, priority, id: None })
    }

    fn required(&mut self, row: &Node, key: &str) {
        if let Value::Table(table) = &row.value
            && !table.contains_key(key)
        {
            let (message, help) = (format!("`{key}` is missing here"), format!("add {key} = …"));
            self.fail(row.at, "config.required", message, help);
        }
    }

    /// `run = …` or `program = …`, exactly one of them.
    fn whom(&mut self, row: &Node, scenario: &Scenario) -> Option<Target> {
        let fields = self.fields(row)?;
        match (fields.text("run"), fields.text("program")) {
            (Some(run), None) => {
                let known: Vec<_> = scenario.starts.iter().map(|start| start.run.as_str()).collect();
                if !known.contains(&run.as_str()) {
                    let help = match did_you_mean(&run, known.iter().copied()) {
                        Some(near) => format!("did you mean \"{near}\"?"),
                        None => format!("the scenario starts {}", known.join(", ")),
                    };
                    let message = format!("no [[start]] makes a run `{run}`");
                    self.fail(place(&fields, "run", row), "scenario.unknown_run", message, help);
                }
                Some(Target::Run(run))
            }
            (None, Some(program)) => {
                self.program(place(&fields, "program", row), &program)?;
                Some(Target::Program(program))
            }
            (Some(_), Some(_)) => {
                let message = "`run` and `program` both say whom this is about";
                self.fail(place(&fields, "run", row), "config.conflict", message, "keep one of them");
                None
            }
            (None, None) => {
                if !fields.table.contains_key("run") && !fields.table.contains_key("program") {
                    let message = "nothing says whom this is about";
                    self.fail(row.at, "config.required", message, "add program = \"NAME\" or run = \"NAME\"");
                }
                None
            }
        }
    }

    fn script(&mut self, row: &Node, scenario: &Scenario) -> Option<Script> {
        let fields = self.fields(row)?;
        let of = self.whom(row, scenario).map(|target| match target {
            Target::Run(run) => ScriptOf::Run(run),
            Target::Program(program) => ScriptOf::Program(program),
        });
        if let Some(of) = &of
            && scenario.scripts.iter().any(|script| script.of == *of)
        {
            let help = "join the two: attempts are numbered in one list";
            self.fail(row.at, "config.duplicate", "a [[script]] for this stands already above", help);
        }
        if let Some(of) = &of {
            let plays = fields.items("attempts").or(fields.items("windows")).unwrap_or_default();
            self.check_ready(of, plays, scenario);
        }
        let plan = match (fields.items("attempts"), fields.items("windows")) {
            (Some(_), Some(_)) => {
                let message = "`attempts` and `windows` both say what attempts do";
                self.fail(place(&fields, "windows", row), "config.conflict", message, "keep one of them");
                return None;
            }
            (None, None) => {
                if !fields.table.contains_key("attempts") && !fields.table.contains_key("windows") {
                    let help = "add attempts = [ { lasts = \"10s\", exit = 1 } ], or windows";
                    self.fail(row.at, "config.required", "the script says nothing of its attempts", help);
                }
                return None;
            }
            (Some([]), None) | (None, Some([])) => {
                let help = "write at least one, as in { lasts = \"10s\", exit = 1 }";
                self.fail(row.at, "config.value", "the list of what attempts do is empty", help);
                return None;
            }
            (Some(plays), None) => {
                let made: Vec<_> = plays.iter().filter_map(|play| self.play(play)).collect();
                (made.len() == plays.len()).then_some(Plan::Attempts(made))?
            }
            (None, Some(windows)) => {
                let made: Vec<_> = windows.iter().filter_map(|window| self.window(window)).collect();
                self.overlaps(windows, &made);
                (made.len() == windows.len()).then_some(Plan::Windows(made))?
            }
        };
        Some(Script { of: of?, plan })
    }

    fn window(&mut self, row: &Node) -> Option<PlayWindow> {
        let fields = self.fields(row)?;
        let from_ms = fields.get("from").unwrap_or_default();
        let to_ms = fields.get("to");
        if to_ms.is_some_and(|to| to <= from_ms) {
            let at = place(&fields, "to", row);
            self.fail(at, "config.conflict", "`to` is not later than `from`", "write a later `to`");
        }
        Some(PlayWindow { from_ms, to_ms, play: self.play(row)? })
    }

    /// Two windows that hold the same time would leave open what happens then.
    fn overlaps(&mut self, rows: &[Node], windows: &[PlayWindow]) {
        if rows.len() != windows.len() {
            return;
        }
        for (n, (row, later)) in rows.iter().zip(windows).enumerate() {
            let shared = windows.iter().take(n).any(|earlier| {
                later.from_ms < earlier.to_ms.unwrap_or(u64::MAX)
                    && earlier.from_ms < later.to_ms.unwrap_or(u64::MAX)
            });
            if shared {
                let message = "this window overlaps one above";
                self.fail(row.at, "config.conflict", message, "let each begin where the one before ends");
            }
        }
    }

    fn play(&mut self, row: &Node) -> Option<Play> {
        let fields = self.fields(row)?;
        let lives = ["lasts", "exit", "signal", "class", "output", "output_at", "ready_at"];
        if let Some(errno) = fields.text("spawn_error") {
            if let Some(other) = lives.iter().find(|key| fields.table.contains_key(**key)) {
                let message = format!("an attempt with `spawn_error` never lives, so `{other}` says nothing");
                self.fail(place(&fields, other, row), "config.conflict", message, "leave one of them out");
            }
            return Some(Play::SpawnError { errno });
        }
        if !fields.table.contains_key("lasts") {
            let help = "add lasts = \"10s\", lasts = \"forever\", or spawn_error = \"ENOENT\"";
            self.fail(row.at, "config.required", "nothing says how long this attempt lasts", help);
            return None;
        }
        let class = fields.text("class");
        let exit = match (fields.get::<i32>("exit"), fields.get::<i32>("signal")) {
            (Some(_), Some(_)) => {
                let at = place(&fields, "signal", row);
                let message = "an attempt ends by `exit` or by `signal`";
                self.fail(at, "config.conflict", message, "leave one of them out");
                return None;
            }
            (Some(code), None) => {
                if !(0..=255).contains(&code) {
                    let at = place(&fields, "exit", row);
                    let message = format!("{code} is no exit code");
                    self.fail(at, "config.range", message, "write a number from 0 to 255");
                }
                ExitStatus::Code(code)
            }
            (None, Some(number)) => ExitStatus::Signal { number, core: false },
            (None, None) => ExitStatus::Code(i32::from(class.is_some())),
        };
        let lasts_ms: Option<u64> = fields.get("lasts");
        let output_at_ms = self.within_life(&fields, "output_at", row, lasts_ms);
        let ready_at_ms = self.within_life(&fields, "ready_at", row, lasts_ms);
        let output = fields.get("output").unwrap_or_default();
        Some(Play::Lives(Life { lasts_ms, exit, class, output, output_at_ms, ready_at_ms }))
    }

    /// A time of a life, which lasts so long.
    fn within_life(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        row: &Node,
        lasts_ms: Option<u64>,
    ) -> Option<u64> {
        let at_ms: u64 = fields.get(key)?;
        if lasts_ms.is_some_and(|lasts_ms| at_ms > lasts_ms) {
            let message = format!("`{key}` is later than the attempt's end");
            let help = format!("write an earlier `{key}` or a longer `lasts`");
            self.fail(place(fields, key, row), "config.conflict", message, help);
        }
        Some(at_ms)
    }

    /// Nobody would notice a readiness that no rule of the program looks for.
    fn check_ready(&mut self, of: &ScriptOf, plays: &[Node], scenario: &Scenario) {
        let name = match of {
            ScriptOf::Program(name) => Some(name),
            ScriptOf::Run(run) => {
                scenario.starts.iter().find(|start| start.run == *run).map(|start| &start.program)
            }
        };
        let config = self.config;
        let program = name.and_then(|name| config.programs.iter().find(|program| program.name == *name));
        let Some(program) = program.filter(|program| program.ready.is_none()) else { return };
        for row in plays {
            let Some(fields) = self.fields(row).filter(|fields| fields.table.contains_key("ready_at")) else {
                continue;
            };
            let at = place(&fields, "ready_at", row);
            let message = format!("`ready_at` needs a `ready` rule, and `{}` has none", program.name);
            let help = "leave it out, or write ready = { pattern = 'listening on' } in the program";
            self.fail(at, "config.conflict", message, help);
        }
    }

    fn operator(&mut self, row: &Node, scenario: &Scenario) -> Option<OperatorAt> {
        let fields = self.fields(row)?;
        let at_ms = fields.get("at").unwrap_or_default();
        let Some(word) = fields.text("do") else {
            self.required(row, "do");
            return None;
        };
        let ttl_ms: Option<u64> = fields.get("ttl");
        if ttl_ms.is_some() && word != "open_breaker" {
            let message = format!("`ttl` says nothing for do = \"{word}\"");
            self.fail(place(&fields, "ttl", row), "config.conflict", message, "leave `ttl` out");
        }
        let force = fields.get("force").unwrap_or_default();
        if force && word != "start" {
            let message = format!("`force` says nothing for do = \"{word}\"");
            self.fail(place(&fields, "force", row), "config.conflict", message, "leave `force` out");
        }
        if matches!(word.as_str(), "start" | "stop") {
            let target = self.whom(row, scenario)?;
            let act = if word == "start" { Act::Start { target, force } } else { Act::Stop(target) };
            return Some(OperatorAt { at_ms, act });
        }
        let Some(scope) = fields.text("scope").map(Scope) else {
            self.required(row, "scope");
            return None;
        };
        let act = match word.as_str() {
            "reset_breaker" => Act::ResetBreaker(scope),
            "open_breaker" => Act::OpenBreaker { scope, ttl_ms },
            _ => Act::CloseBreaker(scope),
        };
        Some(OperatorAt { at_ms, act })
    }

    fn restart(&mut self, row: &Node, restarts: &mut Vec<RestartAt>) {
        let Some(fields) = self.fields(row) else { return };
        let restart = RestartAt {
            at_ms: fields.get("at").unwrap_or_default(),
            down_for_ms: fields.get("down_for").unwrap_or_default(),
            same_boot: fields.get("same_boot").unwrap_or(true),
            wall_step_ms: fields.get("wall_step").unwrap_or_default(),
        };
        let end = |restart: &RestartAt| restart.at_ms.saturating_add(restart.down_for_ms);
        if restarts.iter().any(|other| restart.at_ms <= end(other) && other.at_ms <= end(&restart)) {
            let message = "the supervisor is down already at that time";
            self.fail(row.at, "config.conflict", message, "let it come back before it dies again");
        }
        restarts.push(restart);
    }
}

/// The beginning of the file.
const TOP: At = At { file: 0, start: 0, end: 0 };

/// Where a key's value stands, else the row it is missing in.
fn place(fields: &Fields<'_>, key: &str, row: &Node) -> At {
    fields.table.get(key).map_or(row.at, |node| node.at)
}
