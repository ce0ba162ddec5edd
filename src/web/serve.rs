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

/// Connections at once, all threads together: a client needs one or two. Each takes a descriptor that a child may need, and
/// whoever reaches the port may open one, without a token. Beyond it connections wait to be taken.
const MOST_CONNECTIONS: u64 = 256;

/// Of a small limit of descriptors a quarter: the rest is for children and the store.
fn connections(descriptors: u64) -> usize {
    usize::try_from((descriptors / 4).clamp(WORKERS as u64, MOST_CONNECTIONS)).unwrap_or(WORKERS)
}

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

/// Serves the API on a bound listener, on two threads of its own, to at most 256 connections at once, or a quarter of the
/// limit of descriptors at this moment if that is less. Signals are left to the application.
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
    .max_connections(connections(ProcessManager::descriptors()).div_ceil(WORKERS))
    .disable_signals()
    .shutdown_timeout(STOP_WITHIN_S)
    .listen(listener)?
    .run();
    Ok(Server { handle: future.handle(), future })
}

/// Random bytes of a token: 256 bits, beyond any guessing.
const TOKEN_BYTES: usize = 32;

/// Longest token that is taken, in bytes: more does not fit into a header.
const LONGEST_TOKEN: u64 = 4 << 10;

/// Whether a client can put it into a header: a file of zeroes, as a crash of the machine leaves it, would lock everybody out.
fn can_be_sent(token: &str) -> bool {
    token.len() as u64 <= LONGEST_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic())
}

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
    (&file).take(LONGEST_TOKEN + 1).read_to_string(&mut text)?;
    let token = text.trim();
    if !token.is_empty() {
        return can_be_sent(token).then(|| token.to_owned()).ok_or_else(|| {
            let what = format!(
                "{} holds what cannot be sent as a token; remove it, and a new one is made",
                store.join("token").display()
            );
            io::Error::new(io::ErrorKind::InvalidData, what)
        });
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
    fn a_token_that_nobody_can_send_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [&[0_u8; 64][..], b"two words", "t\u{f6}ken".as_bytes(), &[b'x'; 5_000]] {
            std::fs::write(folder.path().join("token"), bytes).unwrap();
            let error = load_or_create_token(folder.path()).unwrap_err();
            assert!(error.to_string().contains("token; remove it, and a new one is made"), "{error}");
        }
    }

    #[test]
    fn strangers_cannot_take_every_descriptor() {
        for (descriptors, most) in
            [(64, 16), (128, 32), (1_024, 256), (1 << 20, 256), (u64::MAX, 256), (4, 2)]
        {
            assert_eq!(connections(descriptors), most, "{descriptors}");
        }
    }

    #[test]
    fn a_token_file_without_a_token_gets_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "\n").unwrap();
        let token = load_or_create_token(folder.path()).unwrap();
        assert_eq!(load_or_create_token(folder.path()).unwrap(), token);
    }
}
