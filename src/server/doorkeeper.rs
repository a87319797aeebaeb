//! Who gets a place, for connections of one kind.

use std::net::IpAddr;

use tokio::task::JoinError;

use crate::metrics::Dropped;

use super::config::TcpLimits;
use super::responder::Responder;
use super::slots::{Slot, Slots, Taking};

/// What everyone who accepts connections of one kind shares.
#[derive(Clone)]
pub(super) struct Doorkeeper {
    /// What answers, and counts who got no place.
    pub(super) responder: Responder,
    /// What clients may take.
    pub(super) limits: TcpLimits,
    /// Places of connections.
    pub(super) slots: Slots,
}

impl Doorkeeper {
    /// Takes one of `slots` for a client, if it can have one; counts what that has cost.
    pub(super) fn place(&self, slots: &Slots, peer: IpAddr) -> Option<Slot> {
        match slots.take(peer) {
            Taking::Free(slot) => Some(slot),
            Taking::GivenWay(slot) => {
                self.responder.dropped(Dropped::Evicted, 1);
                Some(slot)
            }
            Taking::Refused => {
                self.responder.dropped(Dropped::Overload, 1);
                None
            }
        }
    }

    /// Takes note of a task's end; a panic costs that task and is counted.
    pub(super) fn ended(&self, ended: Result<(), JoinError>) {
        if ended.is_err_and(|error| error.is_panic()) {
            self.responder.panicked();
        }
    }
}
