//! Which rules judge the end of a daemon that could not be started.

use crate::model::{Attempt, Class, ExitStatus, Program, Run};
use std::sync::Arc;

/// The rules that judge this end: the program's own, with one exception. A daemon that has run before and now cannot
/// be started, by us or by its shell, lacks something that was there before, as while it is deployed. Where its rules
/// say nothing of that, it is tried again with its ordinary delays. A job that cannot be started keeps its rules.
#[must_use]
pub fn judged_by(run: &Run, program: &Arc<Program>, class: &str) -> Arc<Program> {
    if !comes_back(run, program, class) {
        return program.clone();
    }
    let mut patient = Program::clone(program);
    let own = patient.classes.entry(class.to_owned()).or_default();
    (own.retry, own.counts) = (Some(true), own.counts.or(Some(true)));
    Arc::new(patient)
}

/// Whether a program that cannot be started now could be started before.
#[must_use]
pub fn comes_back(run: &Run, program: &Program, class: &str) -> bool {
    let says = program.classes.get(class).is_some_and(|own| own.retry.is_some());
    // Where all attempts that are kept are of this kind, the program ran before them, or it would not have been tried
    // so often. A shell that found no program, or one that it may not execute, ran itself and not the program.
    let only_shell = |attempt: &Attempt| matches!(attempt.exit, Some(ExitStatus::Code(126 | 127)));
    let has_run = || {
        run.attempts.iter().any(|attempt| attempt.pid.is_some() && !only_shell(attempt))
            || run.attempts.len() == Run::ATTEMPTS_KEPT
    };
    let is_away = class == Class::SPAWN_PERMANENT
        || class == Class::CONFIG && run.attempts.back().is_some_and(only_shell);
    is_away && program.is_daemon() && !says && has_run()
}
