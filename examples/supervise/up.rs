//! `up` and `check`: the daemon in the foreground.

use crate::{
    args::{Connection, File, Up},
    client::config_file,
    facade,
    failure::{Failure, code},
    port,
};
use std::{
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    path::PathBuf,
};

pub(crate) fn check(connection: &Connection, ask: &File) -> Result<u8, Failure> {
    facade::load(&file(ask.config.as_ref(), connection))?;
    println_ok()?;
    Ok(0)
}

fn println_ok() -> Result<(), Failure> {
    use std::io::Write;
    Ok(writeln!(std::io::stdout().lock(), "ok")?)
}

pub(crate) fn up(connection: &Connection, ask: &Up) -> Result<u8, Failure> {
    raise_descriptor_limit();
    facade::load(&file(ask.config.as_ref(), connection))?;
    let _listener = listen(ask.listen.as_deref().unwrap_or("127.0.0.1:9700"))?;
    Ok(0)
}

fn file(positional: Option<&PathBuf>, connection: &Connection) -> PathBuf {
    positional.cloned().unwrap_or_else(|| config_file(connection))
}

/// Takes the address before anything is opened or started, so that a second daemon disturbs nothing.
fn listen(address: &str) -> Result<TcpListener, Failure> {
    let cannot = |what: String| Failure::new(code::FAILED, what);
    let mut found = address.to_socket_addrs().map_err(|error| {
        Failure::new(code::USAGE, format!("`{address}` is no address to listen on: {error}"))
    })?;
    let address: SocketAddr =
        found.next().ok_or_else(|| Failure::new(code::USAGE, format!("`{address}` has no address")))?;
    TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            let owner = port::owner(address).map_or_else(String::new, |owner| format!(" by {owner}"));
            cannot(format!("{address} is taken{owner}")).help(format!(
                "`supervise --url http://{address} ps` talks to it, if it is a supervise; \
                    `--listen 127.0.0.1:0` takes a free port"
            ))
        }
        _ => cannot(format!("cannot listen on {address}: {error}")),
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
