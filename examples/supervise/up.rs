//! `up` and `check`: the daemon in the foreground.

use crate::{
    args::{Connection, File, Up},
    client::config_file,
    facade::{self, Daemon},
    failure::{Failure, code},
    port,
};
use actix_process::config::{Config, Listen};
use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};
use tokio::signal::unix::{SignalKind, signal};

/// What a shell says of a command that SIGINT ended.
const INTERRUPTED: i32 = 130;

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
    let filter = env_logger::Env::default().default_filter_or("info,actix_server=warn");
    env_logger::Builder::from_env(filter).init();
    raise_descriptor_limit();
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
    let mut daemon = Daemon::open(config, listener).await?;
    eprintln!("listening on http://{address}");
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => reload(&daemon, file).await,
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

/// A file with errors changes nothing.
async fn reload(daemon: &Daemon, file: &Path) {
    let done = match facade::load(file) {
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

/// Every child needs descriptors of ours; the soft limit is a default for programs that use `select`, which we do not.
fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or write the one struct that outlives them.
    let raised = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0
        }
    };
    if !raised {
        log::warn!("descriptor limit not raised; error={}", std::io::Error::last_os_error());
    }
}
