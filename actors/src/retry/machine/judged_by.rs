//! By which rules the end of a daemon is judged that could not be started.

use crate::model::{Attempt, Class, ExitStatus, Program, Run};
use std::sync::Arc;

/// The rules by which this end is judged: the program's own. But a daemon that has run before and cannot be started, by us
/// or by its shell, finds something away that was there, as while it is deployed: where its rules say nothing of that, it
/// is tried again by its ordinary delays. A job that cannot be started stays as it is.
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

/// Whether what cannot be started now could be before.
#[must_use]
pub fn comes_back(run: &Run, program: &Program, class: &str) -> bool {
    let says = program.classes.get(class).is_some_and(|own| own.retry.is_some());
    // So many attempts in a row are made of nothing else but this: it ran before those that are kept.
    // A shell that found no program, or one that it may not execute, ran itself and not the program.
    let only_shell = |attempt: &Attempt| matches!(attempt.exit, Some(ExitStatus::Code(126 | 127)));
    let has_run = || {
        run.attempts.iter().any(|attempt| attempt.pid.is_some() && !only_shell(attempt))
            || run.attempts.len() == Run::ATTEMPTS_KEPT
    };
    let is_away = class == Class::SPAWN_PERMANENT
        || class == Class::CONFIG && run.attempts.back().is_some_and(only_shell);
    is_away && program.is_daemon() && !says && has_run()
}
