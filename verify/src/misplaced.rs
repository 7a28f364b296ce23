//! Receipts that reach a device that has no business with them (see `receipts_only_rise`).

use crate::history::event::{Event, What};
use crate::state::{State, Step};

/// Why a device should not be told what it displays.
pub(crate) fn misplaced(state: &State, step: &Step, event: &Event) -> Option<String> {
    let What::ReceiptSeen { user, .. } = event.is else { return None };
    let observer = &state.pairs.members[step.who as usize];
    let device = &state.devices[step.device];
    if state.header.format < 2 {
        return None;
    }
    if user.0 == u64::from(observer.user) + 1 {
        return Some("it was told to the user's own device".to_owned());
    }
    let left_at = step.before.attached_at;
    let is_outside = device.open
        && step.before.left
        && left_at >= device.opened_at
        && observer.has_left()
        && observer.last_asked_at < left_at;
    is_outside.then(|| {
        format!(
            "it was told to {}, whose user had left and was detached at {:.3} s",
            state.device_name(step.device),
            left_at as f64 / 1e6
        )
    })
}
