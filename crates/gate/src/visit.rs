//! One way into a gate, as the futures go it.
//!
//! It tries the gate when it is first polled and joins the queue if it is
//! refused; from then on it holds a ticket. Dropped with a ticket, it gives its
//! place up.

use std::task::{Context, Poll};

use crate::door::Door;
use crate::queue::Ticket;
use crate::state::Access;

/// The state of a future: on its way, or in the queue.
pub(crate) struct Visit<'g> {
    door: Door<'g>,
    access: Access,
    /// Its place in the queue, while it has one.
    ticket: Option<Ticket>,
}

impl<'g> Visit<'g> {
    pub(crate) fn new(door: Door<'g>, access: Access) -> Self {
        Visit { door, access, ticket: None }
    }

    /// Ready once it entered; who is told so must leave some day. Polled again
    /// after that, it enters once more.
    #[inline]
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let entered = match self.ticket {
            None => self.door.state.try_enter(self.access) || self.enter_or_join(context),
            Some(ticket) => self.enter_or_sleep(ticket, context),
        };
        if entered { Poll::Ready(()) } else { Poll::Pending }
    }

    fn enter_or_join(&mut self, context: &Context<'_>) -> bool {
        self.ticket = self.door.enter_or_join(self.access, context.waker());
        self.ticket.is_none()
    }

    fn enter_or_sleep(&mut self, ticket: Ticket, context: &Context<'_>) -> bool {
        let entered = self.door.enter_or_sleep(ticket, self.access, context.waker());
        if entered {
            self.ticket = None;
        }
        entered
    }
}

impl Drop for Visit<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.door.give_up(ticket);
        }
    }
}
