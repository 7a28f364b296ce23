//! How quickly a cluster answers: the shortest time from a device to the cluster and back.

use super::event::{Device, Event, What};
use protocol::ClientMessageId;
use std::collections::BTreeMap;

/// Requests of the devices of one agent, and the quickest answer.
#[derive(Debug, Default)]
pub(super) struct Trips {
    began: BTreeMap<(Device, Request), u64>,
    quickest_us: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Request {
    Send(ClientMessageId),
    Read(u32),
}

impl Trips {
    pub const fn quickest_us(&self) -> Option<u64> {
        self.quickest_us
    }

    /// The next event of the agent.
    pub fn see(&mut self, event: &Event) {
        match event.is {
            What::Sent { device, message, .. } => {
                self.begin(device, Request::Send(message), event.at);
            }
            What::ReadBegan { device, request, .. } => {
                self.begin(device, Request::Read(request), event.at);
            }
            What::Accepted { device, message, .. } => {
                self.end(device, Request::Send(message), Some(event.at));
            }
            What::ReadEnded { device, request, .. } => {
                self.end(device, Request::Read(request), Some(event.at));
            }
            What::Rejected { device, message, .. } | What::Unanswered { device, message, .. } => {
                self.end(device, Request::Send(message), None);
            }
            What::ReadFailed { device, request, .. } => {
                self.end(device, Request::Read(request), None);
            }
            _ => {}
        }
    }

    fn begin(&mut self, device: Device, request: Request, at: u64) {
        self.began.insert((device, request), at);
    }

    fn end(&mut self, device: Device, request: Request, at: Option<u64>) {
        let began = self.began.remove(&(device, request));
        let took = at.zip(began).map(|(at, began)| at.saturating_sub(began));
        self.quickest_us = self.quickest_us.into_iter().chain(took).min();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::builder::Builder;

    #[test]
    fn the_quickest_answer_counts_and_a_refusal_is_none() {
        let history = Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1).finish();
        let mut trips = Trips::default();
        assert_eq!(trips.quickest_us(), None);
        history.events.iter().for_each(|event| trips.see(event));
        assert!(trips.quickest_us().is_some_and(|us| us > 0), "{trips:?}");
        assert!(trips.began.is_empty(), "{trips:?}");
    }
}
