//! Programs, rules of shared scopes and the retry budget: checked, and handed to the Manager as one decision.

use super::ProcessManager;
use crate::{Error, ErrorKind, Result, config::Config};
use actix_process_actors::{
    manager::{Configure, Configured, SetRetryBudget},
    model::{Advised, BreakerPolicy, Problem, Program, RetryBudget, advice_between},
};
use std::collections::BTreeSet;

impl ProcessManager {
    /// Sets the programs and the rules of shared scopes. Living processes are not touched: the next attempt of a run uses
    /// the new definition. Of a removed program what lives goes on to its end and is listed until then
    /// ([`Configured::living`]); nothing more is started for it. A new program is not started, whatever its `autostart`
    /// says.
    ///
    /// What is allowed but probably not meant in an added or changed program is a warning in the log
    /// ([`ProcessManagerBuilder::log_advice`](crate::ProcessManagerBuilder::log_advice)).
    ///
    /// # Errors
    /// A program does not fit together; nothing is changed then.
    pub async fn configure(
        &self,
        programs: Vec<Program>,
        shared_breakers: Vec<(String, BreakerPolicy)>,
    ) -> Result<Configured> {
        self.configure_by(Rules { programs, shared_breakers, ..Rules::default() }).await
    }

    /// Sets what a configuration says (programs, rules of shared scopes, retry budget) as one decision, and starts the
    /// programs that are new and have `autostart`. Living processes are not touched, as by
    /// [`configure`](Self::configure). One that cannot be started is an error in the log.
    ///
    /// What a configuration says of the store and of the server holds from the next start on.
    ///
    /// # Errors
    /// A program does not fit together, or the rules of the budget contradict each other; nothing is changed then.
    pub async fn reload(&self, config: Config) -> Result<Configured> {
        if self.shared.log_advice {
            log_warnings(&config.warnings);
        }
        let starting = config.programs.iter().filter(|program| program.autostart);
        let starting: BTreeSet<_> = starting.map(|program| program.name.clone()).collect();
        let configured = self.configure_by(Rules::of(config)).await?;
        // New ones only: a job that was started with the manager and is done must not run at each reload.
        for name in configured.added.iter().filter(|name| starting.contains(*name)) {
            if let Err(error) = self.start(name).requested_by("autostart").send().await {
                log::error!("a program could not be started; program={name} error={error}");
            }
        }
        Ok(configured)
    }

    /// Sets the tokens that retries of all programs share; `None`: there is no budget. What the bucket holds stays, as far
    /// as it fits; a new one is full.
    ///
    /// # Errors
    /// The rules contradict each other; nothing is changed then.
    pub async fn set_retry_budget(&self, budget: Option<RetryBudget>) -> Result<()> {
        check_budget(budget)?;
        self.ask(SetRetryBudget { budget }).await
    }

    pub(super) async fn configure_by(&self, rules: Rules) -> Result<Configured> {
        rules.check()?;
        let advice = self.shared.log_advice.then(|| rules.clone());
        let mut configure = Configure::new(rules.programs, rules.shared_breakers);
        configure.retry_budget = rules.retry_budget;
        let configured = self.ask(configure).await?;
        if let Some(rules) = advice {
            let names: Vec<_> = configured.added.iter().chain(&configured.changed).cloned().collect();
            for (name, Problem { path, message, help, .. }) in rules.advice(&names) {
                log::warn!(
                    "a setting is probably not meant so; of={name} key={path} why={message} help={help}"
                );
            }
        }
        Ok(configured)
    }
}

/// The doubtful places of a configuration, to the log.
pub(super) fn log_warnings(warnings: &[crate::config::Diagnostic]) {
    for warning in warnings {
        log::warn!("the configuration has a doubtful place; warning={}", warning.message);
    }
}

/// What a manager is configured with.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    pub(super) programs: Vec<Program>,
    pub(super) shared_breakers: Vec<(String, BreakerPolicy)>,
    /// `None`: the budget stays as it is.
    pub(super) retry_budget: Option<SetRetryBudget>,
    /// Programs and patterns whose doubtful places stand in the warnings of a configuration.
    pub(super) told: BTreeSet<String>,
}

impl Rules {
    /// What a configuration says.
    pub(super) fn of(config: Config) -> Self {
        let Config { programs, shared_breakers, retry_budget, .. } = config;
        let patterns = shared_breakers.iter().map(|(pattern, _)| pattern);
        let told = programs.iter().map(|program| &program.name).chain(patterns).cloned().collect();
        Self { programs, shared_breakers, retry_budget: Some(SetRetryBudget { budget: retry_budget }), told }
    }

    /// Checks them before they reach the Manager, which trusts them. Every problem of the programs is told at once.
    pub(super) fn check(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        let mut problems = Vec::new();
        let mut help = None;
        for program in &self.programs {
            if !names.insert(program.name.as_str()) {
                problems.push(format!("there are two programs named `{}`", program.name));
            }
            for problem in program.check() {
                problems.push(format!("program `{}`: {}: {}", program.name, problem.path, problem.message));
                help = help.or(Some(problem.help));
            }
        }
        if problems.is_empty() {
            return check_budget(self.retry_budget.and_then(|set| set.budget));
        }
        let error = Error::new(ErrorKind::Config, problems.join("\n"));
        Err(match help {
            Some(help) => error.with_help(help),
            None => error,
        })
    }

    /// What is allowed but probably not meant, by the program or the pattern: in programs of these names, and between
    /// them. What was told before is left out.
    fn advice(&self, names: &[String]) -> Vec<(String, Problem)> {
        let new = |program: &&Program| names.contains(&program.name) && !self.told.contains(&program.name);
        let mut found: Vec<_> = self
            .programs
            .iter()
            .filter(new)
            .flat_map(|program| program.advice().into_iter().map(|problem| (program.name.clone(), problem)))
            .collect();
        for (about, problem) in advice_between(&self.programs, &self.shared_breakers) {
            let name = match about {
                Advised::Program(at) => self.programs.get(at).filter(new).map(|program| &program.name),
                Advised::Breaker(at) => {
                    let pattern = self.shared_breakers.get(at).map(|(pattern, _)| pattern);
                    pattern.filter(|pattern| !names.is_empty() && !self.told.contains(*pattern))
                }
            };
            found.extend(name.map(|name| (name.clone(), problem)));
        }
        found
    }
}

/// Checks a retry budget likewise.
fn check_budget(budget: Option<RetryBudget>) -> Result<()> {
    let problems = budget.map(|budget| budget.check()).unwrap_or_default();
    let Some(first) = problems.first() else { return Ok(()) };
    let help = first.help.clone();
    let lines: Vec<_> = problems
        .iter()
        .map(|problem| format!("retry_budget.{}: {}", problem.path, problem.message))
        .collect();
    Err(Error::new(ErrorKind::Config, lines.join("\n")).with_help(help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_process_actors::model::{Command, ParamSpec};

    fn doubtful(name: &str) -> Program {
        let path = "-c";
        Program::new(name, Command::Argv(vec!["sh".into(), path.into(), "echo {x}".into()]))
            .param(ParamSpec::string("x"))
    }

    fn advised(rules: &Rules, names: &[&str]) -> Vec<String> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let found = rules.advice(&names).into_iter();
        found.filter(|(_, problem)| problem.code == "config.shell").map(|(name, _)| name).collect()
    }

    #[test]
    fn doubtful_places_of_new_programs_are_told_once() {
        let mut rules = Rules { programs: vec![doubtful("old"), doubtful("new")], ..Rules::default() };
        assert!(rules.check().is_ok(), "it is allowed");
        assert_eq!(advised(&rules, &["new"]), ["new"]);
        assert!(advised(&rules, &[]).is_empty(), "nothing is new");
        rules.told.insert("new".into());
        assert_eq!(advised(&rules, &["old", "new"]), ["old"], "a configuration told of the other");
    }
}
