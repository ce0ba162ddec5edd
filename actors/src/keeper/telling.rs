//! What the loop tells: the daemon over the control socket, the reader of the spools over its own.

use super::{event_loop::Loop, protocol::Event, stream::Marked, syscall::now_ns, wake::spool_name};
use crate::model::{self, SpoolName, SpoolStored};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

/// Pause before a message is tried again that found no room, where no readiness is told (descriptors under way).
const RETRY_NS: u64 = 5_000_000;

impl Loop {
    /// Notes that spools of an attempt grew outside a visit.
    pub(super) fn note_growth(&mut self, token: u64) {
        self.grown.extend([spool_name(token, 0), spool_name(token, 1)]);
    }

    pub(super) fn tell_growth(&mut self) {
        let Some(wake) = &self.wake else { return self.grown.clear() };
        if self.missed {
            self.missed = !wake.send(&[SpoolName::ALL]);
        }
        if !self.grown.is_empty() {
            self.grown.sort_unstable();
            self.grown.dedup();
            self.missed |= !wake.send(&self.grown);
            self.grown.clear();
        }
        if self.missed {
            self.retry_ns.get_or_insert(now_ns() + RETRY_NS);
        }
    }

    /// Tells the daemon something, with descriptors; copies of these are made only when the message has to wait.
    pub(super) fn emit(&mut self, event: &Event, fds: &[BorrowedFd<'_>]) {
        let Some(control) = &self.control else { return };
        let bytes = event.encode();
        if self.outbox.is_empty() {
            match control.send(&bytes, fds) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.retry_ns = Some(now_ns() + RETRY_NS);
                }
                // The end of the socket is told by reading it.
                _ => return,
            }
        }
        // Without copies the daemon cannot rescue this pipe, should we die; it can do all else.
        let copies = fds.iter().map(BorrowedFd::try_clone_to_owned).collect::<io::Result<_>>();
        self.outbox.push_back((bytes, copies.unwrap_or_default()));
    }

    pub(super) fn flush(&mut self) {
        self.retry_ns = None;
        let Some(control) = &self.control else { return self.outbox.clear() };
        while let Some((bytes, fds)) = self.outbox.front() {
            let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
            match control.send(bytes, &borrowed) {
                Ok(()) => drop(self.outbox.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.retry_ns = Some(now_ns() + RETRY_NS);
                    return;
                }
                // The end of the socket is told by reading it.
                Err(_) => return self.outbox.clear(),
            }
        }
    }

    /// Tells of lines in the spools that stand for what was thrown away; with `last`, also of what has no such line. While
    /// nobody hears it, that is kept for the exit record.
    pub(super) fn tell_losses(&mut self, token: u64, last: bool) {
        if self.control.is_none() {
            return;
        }
        for (index, stream) in [(0_usize, 0_u8), (1, 1)] {
            let Some(one) = self.attempts.get_mut(&token).and_then(|a| a.streams.get_mut(index)) else {
                return;
            };
            let told = [one.take_marked(), if last { one.take_loss() } else { None }];
            for Marked { at, length, loss } in told.into_iter().flatten() {
                self.emit(&Event::Lost { token, stream, at, length, loss }, &[]);
            }
        }
    }

    /// Tells why an attempt's output goes nowhere, or that it goes on, when that is news.
    pub(super) fn tell_stuck(&mut self, token: u64, errno: i32) {
        let Some(attempt) = self.attempts.get_mut(&token) else { return };
        if std::mem::replace(&mut attempt.stuck, errno) != errno {
            self.emit(&Event::Stuck { token, errno }, &[]);
        }
    }

    /// The reader of the spools has stored, or dropped, what is in them: who waited for that goes on.
    pub(super) fn reader_ready(&mut self) {
        let Some(wake) = &self.wake else { return };
        for SpoolStored { name, to } in wake.stored() {
            let (token, index) = (name.token(), usize::from(name.stream() == model::Stream::Stderr));
            let stream = self.attempts.get_mut(&token).and_then(|attempt| attempt.streams.get_mut(index));
            if stream.is_some_and(|stream| stream.is_stored(to)) {
                self.visit(token, index as u64);
            }
        }
    }
}
