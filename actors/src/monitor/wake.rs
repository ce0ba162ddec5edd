//! Listens for the spools that grew.

use crate::model::{SpoolName, SpoolStored};
use actix::{Message, Recipient};
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
    net::{RecvFlags, SendFlags},
};
use std::{future::Future, io, os::fd::OwnedFd, time::Duration};
use tokio::io::{Interest, unix::AsyncFd};

/// The pause after each round, before the next. A hundred children that write a hundred lines a second are then
/// twenty rounds a second and not ten thousand. A reader never waits for it, because a question looks by itself.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest datagram that is read whole, in bytes.
const DATAGRAM: usize = 8 << 10;

/// The message that these spools grew.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Wakes(pub(crate) Vec<SpoolName>);

/// Passes wake-ups on until the receiver or the sender is gone.
pub(crate) fn listen(fd: OwnedFd, to: Recipient<Wakes>) -> io::Result<impl Future<Output = ()> + 'static> {
    fcntl_setfl(&fd, fcntl_getfl(&fd)? | OFlags::NONBLOCK)?;
    // SAFETY: the descriptor is owned by the value that is registered, so it stays open for as long as the
    // registration. Tokio has no safe way to say so.
    let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?;
    Ok(async move {
        loop {
            let Ok(mut ready) = fd.readable().await else { return };
            let mut names = Vec::new();
            let open = drain(fd.get_ref(), &mut names);
            ready.clear_ready();
            drop(ready);
            names.sort_unstable();
            names.dedup();
            if !names.is_empty() && to.send(Wakes(names)).await.is_err() {
                return;
            }
            if !open {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
}

/// Tells the keeper up to where a spool is stored. Left out when the socket has no room: the next message says more.
pub(crate) fn say(fd: &OwnedFd, word: SpoolStored) {
    let _ = rustix::net::send(fd, &word.encode(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// Reads all that waits. Returns false when the other end is gone.
fn drain(fd: &OwnedFd, names: &mut Vec<SpoolName>) -> bool {
    let mut datagram = [0_u8; DATAGRAM];
    loop {
        match rustix::net::recv(fd, &mut datagram[..], RecvFlags::empty()) {
            Ok((0, _)) => return false,
            Ok((length, _)) => {
                names.extend(SpoolName::decode(datagram.get(..length).unwrap_or_default()));
            }
            Err(Errno::AGAIN) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
