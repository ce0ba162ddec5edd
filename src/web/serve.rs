//! The stand-alone server, and the token that opens it.

use super::{Access, routes};
use crate::ProcessManager;
use actix_process_actors::owned;
use actix_web::{App, HttpServer, dev, middleware::from_fn, web};
use std::{
    fs::Permissions,
    io::{self, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Threads that answer: one keeps answering while the other writes a long download. Everything that takes time happens
/// behind the Manager, so more would only wait.
const WORKERS: usize = 2;

/// Seconds that an orderly stop waits for answers under way; followers never end by themselves and are cut.
const STOP_WITHIN_S: u64 = 2;

/// A server about to run.
#[must_use = "nothing is served before the future is awaited"]
pub struct Server {
    /// Stops it: `handle.stop(true).await`. Live streams are cut after two seconds.
    pub handle: dev::ServerHandle,
    /// Runs until it is stopped. Await it, or spawn it.
    pub future: dev::Server,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// Serves the API on a bound listener, on two threads of its own. Signals are left to the application.
///
/// # Errors
/// The listener cannot be used.
pub fn serve(pm: &ProcessManager, listener: TcpListener, access: Access) -> io::Result<Server> {
    listener.set_nonblocking(true)?;
    let pm = pm.clone();
    let future = HttpServer::new(move || {
        App::new()
            .service(routes::service(&pm, access.clone()))
            .default_service(web::to(routes::unknown_address))
            .wrap(from_fn(routes::door(access.clone())))
    })
    .workers(WORKERS)
    .disable_signals()
    .shutdown_timeout(STOP_WITHIN_S)
    .listen(listener)?
    .run();
    Ok(Server { handle: future.handle(), future })
}

/// Random bytes of a token: 256 bits, beyond any guessing.
const TOKEN_BYTES: usize = 32;

/// The token in the file `token` of the store, which is made (0600) when there is none. One that others could read is
/// closed to them, but stays the same.
///
/// # Errors
/// The file or the folder cannot be read or made.
pub fn load_or_create_token(store: &Path) -> io::Result<String> {
    owned::claim(store).map_err(io::Error::other)?;
    let mut file = owned::open(owned::options().read(true).write(true).create(true), &store.join("token"))?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let token = text.trim();
    if !token.is_empty() {
        return Ok(token.to_owned());
    }
    let mut random = [0_u8; TOKEN_BYTES];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    file.write_all(format!("{token}\n").as_bytes())?;
    file.sync_all()?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_is_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let token = load_or_create_token(&store).unwrap();
        assert_eq!(token.len(), 2 * TOKEN_BYTES);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&store), mode(&store.join("token"))), (0o700, 0o600));
        std::fs::set_permissions(store.join("token"), Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load_or_create_token(&store).unwrap(), token);
        assert_eq!(mode(&store.join("token")), 0o600);
    }

    #[test]
    fn a_token_file_without_a_token_gets_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "\n").unwrap();
        let token = load_or_create_token(folder.path()).unwrap();
        assert_eq!(load_or_create_token(folder.path()).unwrap(), token);
    }
}
