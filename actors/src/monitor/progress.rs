//! How far the store is: memory and disk behind that are given back, and the keeper is told.

use super::{
    actor::{MAX_WAITING, MonitorActor, RETRY_MS},
    stored::Acked,
};
use crate::clock;
use actix::{Context, Handler};

impl MonitorActor {
    /// Goes on with held-back attempts when the store has room again.
    pub(super) fn release(&mut self, ctx: &Context<Self>) {
        for attempt in std::mem::take(&mut self.held_back) {
            if let Some(watched) = self.watched.get_mut(&attempt) {
                watched.held_back = false;
            }
            self.send(attempt, ctx);
            self.mark(attempt);
        }
    }
}

impl Handler<Acked> for MonitorActor {
    type Result = ();

    fn handle(&mut self, _: Acked, ctx: &mut Context<Self>) {
        for (attempt, stream, to) in self.stored.take() {
            match (to, self.watched.get_mut(&attempt)) {
                (Ok(to), Some(watched)) => {
                    self.complained = false;
                    self.stored_at = clock::now();
                    self.floor = self.floor.max(watched.stored_to(stream, to, &self.output));
                    watched.tell(self.keeper.as_ref());
                    self.will_expire();
                }
                (Err(error), _) => {
                    // Once for each time of trouble, however many pieces it holds up.
                    if !std::mem::replace(&mut self.complained, true) {
                        log::error!(
                            "output cannot be stored and waits in its spool; attempt={attempt} error={error}"
                        );
                    }
                    self.failed = true;
                    self.retry_at = self.retry_at.or(Some(clock::now().plus(RETRY_MS)));
                }
                (Ok(_), None) => {}
            }
        }
        if !self.failed && self.output.waiting() < MAX_WAITING / 2 {
            self.release(ctx);
        }
        self.pump(ctx);
    }
}
