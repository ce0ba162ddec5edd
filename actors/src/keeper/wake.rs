//! How the reader of the spools learns that they grew.
//!
//! A wake-up names the spools that did ([`SpoolName`]): the reader then opens and asks for no file but these.
//!
//! The other way the reader says how far it is ([`SpoolStored`]): a child that writes faster than its output is stored waits
//! for that word. One that finds no room is left out. The next one says more, and a stream that waits looks by itself at what
//! of its file was given back.

use super::socket::{Received, Socket};
use crate::model::{SpoolName, SpoolStored, Stream};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Names in one datagram: 4 KiB, so that a full channel still costs the kernel little memory.
const BATCH: usize = 512;

/// The end that tells. Belongs to the keeper; the daemon keeps it too, for the next keeper.
#[derive(Debug)]
pub struct WakeSender(Socket);

/// A channel for wake-ups: the end that tells, and the one that hears, which belongs to the reader of the spools. Both are
/// non-blocking.
///
/// # Errors
/// The kernel has no descriptors left.
pub fn wake_pair() -> io::Result<(WakeSender, OwnedFd)> {
    Socket::pair().map(|(sender, receiver)| (WakeSender(sender), receiver.into()))
}

/// The name of a spool by the keeper's own number of its stream.
pub(super) const fn spool_name(token: u64, stream: usize) -> SpoolName {
    SpoolName::new(token, if stream & 1 == 0 { Stream::Stdout } else { Stream::Stderr })
}

impl WakeSender {
    /// A second handle of the same end.
    ///
    /// # Errors
    /// The kernel has no descriptors left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.as_fd().try_clone_to_owned().map(|fd| Self(Socket::new(fd)))
    }

    /// Tells that these spools grew; false when there was no room for all of them. A reader that is gone is no error.
    #[must_use]
    pub fn send(&self, names: &[SpoolName]) -> bool {
        names.chunks(BATCH).all(|batch| {
            let sent = self.0.send(&SpoolName::encode(batch), &[]);
            !matches!(sent, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
        })
    }

    /// What the reader said since the last time. Never blocks.
    pub(super) fn stored(&self) -> Vec<SpoolStored> {
        let mut words = Vec::new();
        while let Ok(Received::Message(bytes, _)) = self.0.receive() {
            words.extend(SpoolStored::decode(&bytes));
        }
        words
    }
}

impl From<OwnedFd> for WakeSender {
    fn from(fd: OwnedFd) -> Self {
        Self(Socket::new(fd))
    }
}

impl AsFd for WakeSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_channel_says_so_and_what_fitted_arrives() {
        let (sender, receiver) = wake_pair().unwrap();
        let name = |token| spool_name(token, 0);
        assert!(sender.send(&[name(1), name(2), SpoolName::ALL]));
        let sent = (0..100_000).take_while(|_| sender.send(&[name(7)])).count();
        assert!(sent < 100_000);
        let (receiver, mut heard) = (Socket::new(receiver), Vec::new());
        while let Received::Message(bytes, _) = receiver.receive().unwrap() {
            heard.extend(SpoolName::decode(&bytes));
        }
        assert_eq!(heard.len(), sent + 3);
        assert_eq!(heard.get(..3), Some(&[name(1), name(2), SpoolName::ALL][..]));
    }
}
