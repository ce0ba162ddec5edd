//! Every call of the library that the daemon makes, in one place: what an application of yours would call, too.

use crate::failure::{Failure, code};
use actix_process::{
    Error, ErrorKind, ProcessManager,
    config::{self, Config},
    web::{self, Access, Server},
};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
};

/// The keeper's own process begins here and never returns.
pub(crate) fn init() {
    actix_process::init();
}

/// The store of a configuration file, also of one with errors; the default when there is no such file.
pub(crate) fn store_of(file: &Path) -> PathBuf {
    match config::load(file) {
        Ok(config) => config.store.path,
        Err(_) => config::store_path(file).unwrap_or_else(|| file.with_file_name("supervise-data")),
    }
}

/// A configuration without errors. Warnings go to standard error.
pub(crate) fn load(file: &Path) -> Result<Config, Failure> {
    let config = config::load(file).map_err(|errors| Failure::new(code::USAGE, errors.to_string()))?;
    for warning in &config.warnings {
        eprintln!("{warning}");
    }
    Ok(config)
}

/// A manager and the server before it.
pub(crate) struct Daemon {
    pm: ProcessManager,
    server: Server,
}

impl Daemon {
    /// Opens the store, takes up what the last manager left, starts what has `autostart`, and serves.
    pub(crate) async fn open(config: Config, listener: TcpListener) -> Result<Self, Failure> {
        let allowed_hosts = config.server.allowed_hosts.clone();
        // Its warnings stand on standard error.
        let builder = ProcessManager::builder().log_advice(false).config(config);
        let pm = builder.start().await.map_err(|error| failure(&error))?;
        match Self::serve(&pm, listener, allowed_hosts) {
            Ok(server) => Ok(Self { pm, server }),
            Err(error) => {
                // Nothing that was started may outlive a daemon that nobody can talk to.
                let _ = pm.shutdown().await;
                Err(Failure::new(code::FAILED, format!("cannot serve: {error}")))
            }
        }
    }

    fn serve(
        pm: &ProcessManager,
        listener: TcpListener,
        allowed_hosts: Vec<String>,
    ) -> std::io::Result<Server> {
        let token = web::load_or_create_token(pm.store())?;
        web::serve(pm, listener, Access { token, allowed_hosts })
    }

    /// Programs and rules of shared scopes are those of the file from now on; living runs are not touched.
    pub(crate) async fn reload(&self, config: Config) -> Result<String, Failure> {
        let changed = self.pm.reload(config).await.map_err(|error| failure(&error))?;
        let (added, differ, removed) = (changed.added.len(), changed.changed.len(), changed.removed.len());
        let living: Vec<_> = changed.living.iter().map(|(name, runs)| lives_on(name, runs.len())).collect();
        let living = if living.is_empty() { String::new() } else { format!(" ({})", living.join("; ")) };
        Ok(format!("added={added} changed={differ} removed={removed}{living}"))
    }

    /// Ends when the server does, which is not meant to happen.
    pub(crate) async fn served(&mut self) -> Failure {
        let why = match (&mut self.server.future).await {
            Ok(()) => "the server ended".to_owned(),
            Err(error) => format!("the server ended: {error}"),
        };
        Failure::new(code::FAILED, why)
    }

    /// Stops every child and writes everything down, and tells those who still listen.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        let stopping = self.server.handle.stop(true);
        let (closed, (), _) = tokio::join!(self.pm.shutdown(), stopping, self.server.future);
        closed.map_err(|error| failure(&error))
    }
}

fn lives_on(name: &str, runs: usize) -> String {
    let (lives, it) = if runs == 1 { ("run lives", "it") } else { ("runs live", "them") };
    format!("{runs} {lives} of {name}: stop {it} with `supervise stop {name}`")
}

fn failure(error: &Error) -> Failure {
    let code = match error.kind() {
        ErrorKind::Config => code::USAGE,
        _ => code::FAILED,
    };
    let failure = Failure::new(code, error.to_string()).named(error.kind().name());
    match error.help() {
        Some(help) => failure.help(help),
        None => failure,
    }
}
