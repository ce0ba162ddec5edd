//! Passes on what the keeper reports.

use super::{
    actor::{KeeperState, LauncherActor},
    machine::{StartFacts, diagnose},
    messages::Report,
    start_facts::{look_at_cwd, look_at_file},
};
use crate::{keeper::protocol::Event, model::Stream};
use std::{io, os::fd::OwnedFd};

impl LauncherActor {
    pub(super) fn hear(&mut self, event: Event, fds: Vec<OwnedFd>) {
        match event {
            Event::Hello { pid, .. } => {
                log::debug!("keeper is ready; pid={pid}");
                if let KeeperState::Up { hello, .. } = &mut self.keeper {
                    *hello = true;
                }
            }
            Event::Locked => log::warn!("another keeper holds the lock of this store"),
            Event::Launched { token, pid, start_ticks } => self.launched(token, pid, start_ticks, fds),
            Event::LaunchFailed { token, errno } => self.launch_failed(token, errno),
            Event::Exited { token, status, sizes, leftovers, unspooled } => {
                let Some(living) = self.living.get_mut(&token) else { return };
                living.exit = Some(status);
                living.pidfd = None;
                let attempt = living.attempt;
                if unspooled > 0 {
                    self.report(Report::Unspooled { attempt, bytes: unspooled });
                }
                self.report(Report::Exited { attempt, exit: status, sizes, leftovers });
            }
            Event::Emptied { token, sizes, lost } => {
                let Some(living) = self.living.remove(&token) else { return };
                if lost > 0 {
                    log::error!("output lost, the disk took none; attempt={} bytes={lost}", living.attempt);
                }
                self.report(Report::Emptied { attempt: living.attempt, sizes });
            }
            Event::Lost { token, stream, at, length, loss } => {
                let Some(attempt) = self.living.get(&token).map(|living| living.attempt) else { return };
                let stream = if stream == 0 { Stream::Stdout } else { Stream::Stderr };
                self.report(Report::OutputLost { attempt, stream, at, length, loss });
            }
            Event::Stuck { token, errno } => {
                let Some(attempt) = self.living.get(&token).map(|living| living.attempt) else { return };
                self.report(Report::OutputWaits { attempt, why: what_it_waits_for(errno) });
            }
            Event::Pong => {}
        }
    }

    fn launched(&mut self, token: u64, pid: i32, start_ticks: u64, fds: Vec<OwnedFd>) {
        let Some(living) = self.living.get_mut(&token) else { return };
        let mut fds = fds.into_iter();
        (living.pid, living.start_ticks, living.facts) = (pid, start_ticks, None);
        living.pidfd = fds.next();
        living.pipes = fds.collect();
        let report = Report::Launched {
            attempt: living.attempt,
            pid,
            start_ticks,
            spool: self.places.spool(living.attempt, token),
            secrets: std::mem::take(&mut living.secrets),
        };
        self.report(report);
    }

    fn launch_failed(&mut self, token: u64, errno: i32) {
        let Some(living) = self.living.remove(&token) else { return };
        self.tokens.remove(&living.attempt);
        let Some(facts) = living.facts else { return };
        let (name, program, cwd) = *facts;
        let failure = diagnose(&StartFacts {
            name,
            errno,
            file: look_at_file(&program, &cwd),
            program,
            cwd_fact: look_at_cwd(&cwd),
            cwd,
        });
        self.fail(living.attempt, failure);
    }
}

/// What output that cannot be written waits for; `None` when it can be written.
fn what_it_waits_for(errno: i32) -> Option<String> {
    match errno {
        0 => None,
        1.. => {
            let error = io::Error::from_raw_os_error(errno);
            Some(format!("its spool takes nothing: {error}"))
        }
        _ => Some("its backlog is full, and the store is behind".to_owned()),
    }
}
