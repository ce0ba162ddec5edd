//! What the store says by itself is written into the journal, and what it lost is told to whoever asks for its health.

use super::{ManagerActor, machine::Input, questions::Heard};
use crate::{clock, model::Event, store::Notice};
use actix::{AsyncContext, Context, Handler, Message};

/// The store has something to say.
#[derive(Message)]
#[rtype(result = "()")]
struct StoreSpoke;

impl ManagerActor {
    /// From now on the store is heard. What it has to say waits until the saved runs are taken up.
    pub(super) fn listen_to_store(&self, ctx: &Context<Self>) {
        // Weak: the store lives as long as we do, and would keep us.
        let manager = ctx.address().downgrade();
        self.store.on_notice(move || {
            if let Some(manager) = manager.upgrade() {
                manager.do_send(StoreSpoke);
            }
        });
    }

    /// Writes down what the store has to say.
    pub(super) fn hear_store(&mut self, ctx: &Context<Self>) {
        if !self.taken_up {
            return;
        }
        for notice in self.store.take_notices() {
            let event = match notice {
                Notice::Moved(what) => Event::StoreMoved { what },
                Notice::Damaged { what, lost } => {
                    if lost {
                        self.damage = Some((clock::now(), what.clone()));
                    }
                    Event::StoreDamaged { what, lost }
                }
            };
            // By the mailbox, which waits while a question is under way.
            ctx.address().do_send(Heard(Input::StoreSaid(event)));
        }
    }
}

impl Handler<StoreSpoke> for ManagerActor {
    type Result = ();

    fn handle(&mut self, _: StoreSpoke, ctx: &mut Context<Self>) {
        self.hear_store(ctx);
    }
}
