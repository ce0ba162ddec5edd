//! `up` and `check`: the daemon in the foreground.

use crate::{
    args::{Connection, File, Up},
    client::config_file,
    facade::{self, Daemon},
    failure::{Failure, code},
    limits, port,
};
use actix_process::config::{Config, Listen};
use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

/// What a shell says of a command that SIGINT ended, and one that SIGTERM did.
const INTERRUPTED: i32 = 130;
const TERMINATED: i32 = 143;

/// What is logged unless `RUST_LOG` says otherwise. actix writes an error for each request that is none, and anybody who reaches
/// the port may send as many as they like.
const FILTER: &str = "info,actix_server=warn,actix_http=off";

/// Pause after which an opening that still goes on is told of.
const LONG: Duration = Duration::from_secs(10);

pub(crate) fn check(connection: &Connection, ask: &File) -> Result<u8, Failure> {
    facade::load(&file(ask.config.as_ref(), connection))?;
    writeln!(std::io::stdout().lock(), "ok")?;
    Ok(0)
}

pub(crate) fn up(connection: &Connection, ask: &Up) -> Result<u8, Failure> {
    if ask.detach_on_exit {
        // Said before anything is opened: who relies on it must not find out when the children are gone.
        return Err(Failure::new(code::USAGE, "children cannot be left running yet: `--detach-on-exit` is not built")
            .help("leave it out; children are then stopped at the end, and what is wanted starts again with the next `up`"));
    }
    let filter = env_logger::Env::default().default_filter_or(FILTER);
    env_logger::Builder::from_env(filter).init();
    limits::prepare()?;
    let file = file(ask.config.as_ref(), connection);
    let mut config = facade::load(&file)?;
    if let Some(data) = &connection.data {
        config.store.path.clone_from(data);
    }
    if let Some(text) = &ask.listen {
        config.server.listen = text.parse().map_err(|why: String| {
            Failure::new(code::USAGE, why).help("write HOST:PORT with a numeric host, such as 127.0.0.1:9700")
        })?;
    }
    let listener = listen(&config.server.listen)?;
    let address = listener.local_addr()?;
    actix::System::new().block_on(serve(&file, config, listener, address))
}

async fn serve(
    file: &Path,
    config: Config,
    listener: TcpListener,
    address: SocketAddr,
) -> Result<u8, Failure> {
    // Before the first child is started: whoever asks us to end meanwhile is heard.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let exposed = exposed(address, &config.store.path, &config.server.allowed_hosts);
    let opening = async {
        let mut opening = std::pin::pin!(Daemon::open(config, listener));
        loop {
            match tokio::time::timeout(LONG, &mut opening).await {
                Ok(opened) => return opened,
                Err(_) => log::warn!("the store is still being opened; SIGINT ends at once"),
            }
        }
    };
    // Whoever ends us now interrupts no more than a crash would; the keeper notices, if there is one yet.
    let mut daemon = tokio::select! {
        opened = opening => opened?,
        _ = interrupt.recv() => std::process::exit(INTERRUPTED),
        _ = terminate.recv() => std::process::exit(TERMINATED),
    };
    eprintln!("listening on http://{address}");
    if let Some(warning) = exposed {
        eprintln!("{warning}");
    }
    let mut reading = Reading { file: file.to_owned(), config: None, again: false };
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => reading.begin(),
            config = reading.done() => reload(&daemon, config).await,
            failure = daemon.served() => {
                eprintln!("{failure}");
                break;
            }
        }
    }
    log::info!("shutting down; a second SIGINT ends at once");
    tokio::select! {
        closed = daemon.close() => closed.map(|()| 0),
        // The keeper notices our end and stops the children.
        _ = interrupt.recv() => std::process::exit(INTERRUPTED),
    }
}

/// What is said when other machines can reach the API: that it is so, and what stands between them and it.
fn exposed(address: SocketAddr, store: &Path, allowed_hosts: &[String]) -> Option<String> {
    if address.ip().to_canonical().is_loopback() {
        return None;
    }
    let names = match allowed_hosts {
        [] => "and no name of this machine is in server.allowed_hosts yet, so that others are answered 421"
            .to_owned(),
        names => format!("and answers under {} alone", names.join(", ")),
    };
    Some(format!(
        "warning: http://{address} is reachable from the network, and unencrypted: every request, reads too, needs the \
         token in {}, except GET /healthz, {names}; put a proxy that speaks TLS before it",
        store.join("token").display()
    ))
}

/// The configuration being read anew, on a thread of its own: a file system that does not answer must not keep us from
/// hearing that we are to end.
struct Reading {
    file: PathBuf,
    config: Option<oneshot::Receiver<Result<Config, Failure>>>,
    /// Asked for once more meanwhile: what is read may be older than that.
    again: bool,
}

impl Reading {
    fn begin(&mut self) {
        if self.config.is_some() {
            self.again = true;
            return;
        }
        let (tell, told) = oneshot::channel();
        let file = self.file.clone();
        let thread = std::thread::Builder::new().name("reload".into());
        match thread.spawn(move || drop(tell.send(facade::load(&file)))) {
            Ok(_) => self.config = Some(told),
            Err(error) => {
                log::error!("configuration not reloaded, the old one holds; why=no thread: {error}")
            }
        }
    }

    /// What was read; never comes while nothing is.
    async fn done(&mut self) -> Result<Config, Failure> {
        let Some(told) = &mut self.config else { return std::future::pending().await };
        let config = told.await.unwrap_or_else(|_| Err(Failure::new(code::FAILED, "its reader ended")));
        self.config = None;
        if std::mem::take(&mut self.again) {
            self.begin();
        }
        config
    }
}

/// A file with errors changes nothing.
async fn reload(daemon: &Daemon, config: Result<Config, Failure>) {
    let done = match config {
        Ok(config) => daemon.reload(config).await,
        Err(failure) => Err(failure),
    };
    match done {
        Ok(changes) => log::info!("configuration reloaded; {changes}"),
        Err(failure) => log::error!("configuration not reloaded, the old one holds; why={failure}"),
    }
}

fn file(positional: Option<&PathBuf>, connection: &Connection) -> PathBuf {
    positional.cloned().unwrap_or_else(|| config_file(connection))
}

/// Takes the address before anything is opened or started, so that a second daemon disturbs nothing.
fn listen(listen: &Listen) -> Result<TcpListener, Failure> {
    let Listen::Tcp(address) = listen else {
        return Err(Failure::new(code::USAGE, format!("cannot listen on {listen}: not yet"))
            .help("use an address with a port, such as 127.0.0.1:9700"));
    };
    TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            let owner = port::owner(*address).map_or_else(String::new, |owner| format!(" by {owner}"));
            Failure::new(code::FAILED, format!("{address} is taken{owner}")).help(format!(
                "if that is a supervise, `supervise --url http://{address} ps` talks to it; \
                 `--listen 127.0.0.1:0` takes a free port"
            ))
        }
        _ => Failure::new(code::FAILED, format!("cannot listen on {address}: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_beyond_this_machine_is_told_what_that_means() {
        let said =
            |address: &str, hosts: &[String]| exposed(address.parse().unwrap(), Path::new("data"), hosts);
        for address in ["127.0.0.1:9700", "127.9.9.9:1", "[::1]:9700", "[::ffff:127.0.0.1]:9700"] {
            assert_eq!(said(address, &[]), None, "{address}");
        }
        for address in ["0.0.0.0:9700", "[::]:9700", "192.0.2.7:9700", "[::ffff:192.0.2.7]:9700"] {
            let line = said(address, &[]).unwrap();
            assert!(!line.contains('\n'), "one line: {line}");
            for part in
                ["reachable from the network", "unencrypted", address, "data/token", "reads too", "421"]
            {
                assert!(line.contains(part), "{part}: {line}");
            }
        }
        let line = said("0.0.0.0:9700", &["ops.example".into(), "ops".into()]).unwrap();
        assert!(line.contains("answers under ops.example, ops alone") && !line.contains("421"), "{line}");
    }
}
