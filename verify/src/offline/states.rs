//! Devices and their streams at some point of a history, worked out from its beginning each time.

use super::facts::Facts;
use super::words::{device_of, is_progress};
use crate::history::event::{Device, What};
use protocol::CloseCode;

/// A device at some point of the history.
#[derive(Clone, Copy, Default)]
pub(super) struct DeviceThen {
    pub open: bool,
    pub session: u32,
    pub opened_at: u64,
    pub progress_at: u64,
    pub down_since: Option<u64>,
}

/// A device's stream of a conversation at some point of the history.
#[derive(Clone, Copy, Default)]
pub(super) struct StreamThen {
    pub known: bool,
    pub base: u64,
    pub last: u64,
    pub left: bool,
    pub attached_at: u64,
    pub session: u32,
}

impl Facts<'_> {
    /// A device before an event.
    pub fn device(&self, device: Device, before: usize) -> DeviceThen {
        let mut then = DeviceThen::default();
        for (index, (at, is)) in self.events[..before].iter().enumerate() {
            if device_of(is) != Some(device) {
                continue;
            }
            match is {
                What::Opened { .. } => {
                    then.open = true;
                    then.session += 1;
                    then.opened_at = *at;
                    then.down_since = None;
                }
                What::Closed { code, .. } if !self.is_judging(index) => {
                    then.open = false;
                    let goodbye = CloseCode::from_code(*code)
                        .is_some_and(|c| c == CloseCode::Normal || !c.may_reconnect());
                    then.down_since =
                        if goodbye { None } else { Some(then.down_since.unwrap_or(*at)) };
                }
                What::ConnectFailed { .. } => {
                    then.down_since = Some(then.down_since.unwrap_or(*at));
                }
                _ => {}
            }
            if is_progress(is) {
                then.progress_at = *at;
            }
        }
        then
    }

    /// A device's stream before an event.
    pub fn stream(&self, device: Device, conversation: u64, before: usize) -> StreamThen {
        let mut then = StreamThen::default();
        let mut session = 0;
        for (at, is) in &self.events[..before] {
            match is {
                What::Opened { device: d, .. } if *d == device => session += 1,
                What::Attached { device: d, conversation: c, from, .. }
                    if *d == device && c.0 == conversation =>
                {
                    if !then.known || then.left {
                        then.base = then.base.max(from.0);
                    }
                    then.known = true;
                    then.last = then.last.max(from.0);
                    then.left = false;
                    (then.attached_at, then.session) = (*at, session);
                }
                What::Detached { device: d, conversation: c }
                    if *d == device && c.0 == conversation =>
                {
                    then.left = true;
                    then.session = 0;
                }
                What::Shown { device: d, entry }
                    if *d == device && entry.conversation.0 == conversation =>
                {
                    if !then.known {
                        then.base = entry.sequence.0.saturating_sub(1);
                    }
                    then.known = true;
                    then.last = then.last.max(entry.sequence.0);
                }
                _ => {}
            }
        }
        then
    }

    /// Whether a device showed a sequence before an event.
    pub fn was_shown(
        &self,
        device: Device,
        conversation: u64,
        sequence: u64,
        before: usize,
    ) -> bool {
        self.events[..before].iter().any(|(_, is)| {
            matches!(is, What::Shown { device: d, entry }
                if *d == device
                    && entry.conversation.0 == conversation
                    && entry.sequence.0 == sequence)
        })
    }
}
