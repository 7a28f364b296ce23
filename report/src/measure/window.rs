//! The intended times of the latest operations, to be looked up when they are accepted or shown.
//!
//! A device numbers its operations densely, so that a ring per device replaces a map: eight bytes
//! per operation, one index computation per look-up. All rings share one bound; the oldest
//! operation of the whole run makes room for the newest.

use super::operation::Operation;
use protocol::{ClientMessageId, UserId};
use std::collections::VecDeque;
use verify::history::Header;
use verify::history::event::Device;

/// A client message id is `device << COUNTER_BITS | counter`.
const COUNTER_BITS: u32 = 40;
/// Set beside an intended time once the operation is accepted.
const ACCEPTED: u64 = 1 << 63;
/// The number of the operation's kind is from this bit on.
const KIND_AT: u32 = 61;
/// How late it was sent is from this bit on, in units of 64 us, up to 134 s; times stay below (12 days).
const LATE_AT: u32 = 40;
const LATE_UNIT_US: u64 = 64;
/// The bits of how late it was sent.
const LATE: u64 = (1 << (KIND_AT - LATE_AT)) - 1;
/// The bits of the time.
const TIME: u64 = (1 << LATE_AT) - 1;
/// Stands for an operation that was skipped in a device's numbering.
const UNKNOWN: u64 = TIME;
/// Most numbers that a device may skip; a sender that skips more is not dense and is not followed.
const SKIP_MAX: u64 = 1_024;
/// Operations that are remembered: 12 bytes each, and at 10,000/s a quarter of an hour.
pub(crate) const REMEMBERED: usize = 8 * 1024 * 1024;

/// The intended times of the latest operations of all devices.
pub(crate) struct Window {
    devices_per_user: u64,
    rings: Vec<Ring>,
    /// The device of each remembered operation, oldest first.
    order: VecDeque<u32>,
    remembered_max: usize,
}

/// The operations of one device: consecutive counters from `first` on.
#[derive(Clone, Default)]
struct Ring {
    first: u64,
    intended: VecDeque<u64>,
}

/// When an operation was due, and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// When it was intended.
    pub(crate) at_us: u64,
    /// How much later it was sent, to 64 us.
    pub(crate) late_us: u64,
}

impl Due {
    /// What was intended then, and is sent now.
    pub(crate) const fn sent(at_us: u64, now_us: u64) -> Self {
        Self { at_us, late_us: now_us.saturating_sub(at_us) }
    }

    const fn of(entry: u64) -> Self {
        Self { at_us: entry & TIME, late_us: (entry >> LATE_AT & LATE) * LATE_UNIT_US }
    }
}

/// What an `accepted` meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Acceptance {
    /// The first for an operation of this kind that was due then.
    First(Due, Operation),
    /// Another one.
    Again,
    /// The operation is not remembered.
    Unknown,
}

impl Window {
    pub(crate) fn new(header: &Header, remembered_max: usize) -> Self {
        let rings = u64::from(header.users) * u64::from(header.devices_per_user);
        Self {
            devices_per_user: u64::from(header.devices_per_user),
            rings: vec![Ring::default(); rings as usize],
            order: VecDeque::new(),
            remembered_max,
        }
    }

    /// The dense number of a device, if the header knows it.
    pub(crate) fn slot(&self, device: Device) -> Option<usize> {
        let user = device.user.0.checked_sub(1)?;
        let device = u64::from(device.device.0).checked_sub(1)?;
        if device >= self.devices_per_user {
            return None;
        }
        let slot = usize::try_from(user.checked_mul(self.devices_per_user)? + device).ok()?;
        (slot < self.rings.len()).then_some(slot)
    }

    /// The number of devices.
    pub(crate) fn slots(&self) -> usize {
        self.rings.len()
    }

    /// Which device sent this.
    pub(crate) fn sender(message: ClientMessageId) -> u64 {
        message.0 >> COUNTER_BITS
    }

    /// Remembers an operation.
    pub(crate) fn sent(
        &mut self,
        device: Device,
        message: ClientMessageId,
        Due { at_us, late_us }: Due,
        operation: Operation,
    ) {
        let Some(slot) = self.slot(device) else { return };
        let counter = message.0 & ((1 << COUNTER_BITS) - 1);
        let ring = &mut self.rings[slot];
        if ring.intended.is_empty() {
            ring.first = counter;
        }
        let next = ring.first + ring.intended.len() as u64;
        if counter < next || counter - next > SKIP_MAX {
            return;
        }
        for skipped in next..=counter {
            let late = (late_us / LATE_UNIT_US).min(LATE) << LATE_AT;
            let known = at_us.min(UNKNOWN - 1) | late | (operation as u64) << KIND_AT;
            let value = if skipped == counter { known } else { UNKNOWN };
            self.rings[slot].intended.push_back(value);
            self.order.push_back(slot as u32);
        }
        while self.order.len() > self.remembered_max {
            self.retire();
        }
    }

    /// Notes that an operation is accepted.
    pub(crate) fn accepted(&mut self, device: Device, message: ClientMessageId) -> Acceptance {
        let Some(intended) = self.entry(device.user, message) else { return Acceptance::Unknown };
        if *intended & ACCEPTED != 0 {
            return Acceptance::Again;
        }
        if *intended & TIME == UNKNOWN {
            return Acceptance::Unknown;
        }
        let operation = Operation::ALL[(*intended >> KIND_AT & 0b11) as usize];
        let due = Due::of(*intended);
        *intended |= ACCEPTED;
        Acceptance::First(due, operation)
    }

    /// When an operation was due, if it is remembered.
    pub(crate) fn due(&mut self, author: UserId, message: ClientMessageId) -> Option<Due> {
        let due = Due::of(*self.entry(author, message)?);
        (due.at_us != UNKNOWN).then_some(due)
    }

    fn entry(&mut self, author: UserId, message: ClientMessageId) -> Option<&mut u64> {
        let device = u32::try_from(Self::sender(message)).ok()?;
        let device = Device { user: author, device: protocol::DeviceId(device) };
        let slot = self.slot(device)?;
        let ring = &mut self.rings[slot];
        let index = (message.0 & ((1 << COUNTER_BITS) - 1)).checked_sub(ring.first)?;
        ring.intended.get_mut(usize::try_from(index).ok()?)
    }

    fn retire(&mut self) {
        if let Some(slot) = self.order.pop_front() {
            let ring = &mut self.rings[slot as usize];
            ring.intended.pop_front();
            ring.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Acceptance, COUNTER_BITS, Due, Operation, Window};
    use crate::sample::header;
    use protocol::{ClientMessageId, DeviceId, UserId};
    use verify::history::event::Device;

    const ADA: Device = Device { user: UserId(2), device: DeviceId(1) };
    const BOB: Device = Device { user: UserId(3), device: DeviceId(2) };

    fn at(at_us: u64) -> Due {
        Due { at_us, late_us: 0 }
    }

    fn id(device: Device, counter: u64) -> ClientMessageId {
        ClientMessageId((u64::from(device.device.0) << COUNTER_BITS) | counter)
    }

    #[test]
    fn an_operation_is_accepted_first_once() {
        let mut window = Window::new(&header(3, 2), 10);
        window.sent(ADA, id(ADA, 1), at(500), Operation::Edit);
        assert_eq!(window.accepted(ADA, id(ADA, 1)), Acceptance::First(at(500), Operation::Edit));
        assert_eq!(window.accepted(ADA, id(ADA, 1)), Acceptance::Again);
        assert_eq!(window.due(ADA.user, id(ADA, 1)), Some(at(500)));
        assert_eq!(window.accepted(ADA, id(ADA, 2)), Acceptance::Unknown);
    }

    #[test]
    fn a_full_window_forgets_the_oldest_operation_of_all_devices() {
        let mut window = Window::new(&header(3, 2), 3);
        window.sent(ADA, id(ADA, 1), at(1), Operation::Edit);
        window.sent(BOB, id(BOB, 7), at(2), Operation::Edit);
        window.sent(BOB, id(BOB, 8), at(3), Operation::Edit);
        window.sent(ADA, id(ADA, 2), at(4), Operation::Edit);
        assert_eq!(window.due(ADA.user, id(ADA, 1)), None);
        assert_eq!(window.due(ADA.user, id(ADA, 2)), Some(at(4)));
        assert_eq!(window.due(BOB.user, id(BOB, 7)), Some(at(2)));
        assert_eq!(window.due(BOB.user, id(BOB, 8)), Some(at(3)));
    }

    #[test]
    fn a_skipped_number_has_no_intended_time() {
        let mut window = Window::new(&header(3, 2), 10);
        window.sent(ADA, id(ADA, 1), at(1), Operation::Edit);
        window.sent(ADA, id(ADA, 3), at(3), Operation::Edit);
        assert_eq!(window.due(ADA.user, id(ADA, 2)), None);
        assert_eq!(window.accepted(ADA, id(ADA, 2)), Acceptance::Unknown);
        assert_eq!(window.due(ADA.user, id(ADA, 3)), Some(at(3)));
    }

    #[test]
    fn a_stranger_is_not_remembered() {
        let mut window = Window::new(&header(3, 2), 10);
        for stranger in [(0, 1), (4, 1), (1, 0), (1, 3), (u64::MAX, 2)] {
            let device = Device { user: UserId(stranger.0), device: DeviceId(stranger.1) };
            window.sent(device, id(device, 1), at(1), Operation::Edit);
            assert_eq!(window.due(device.user, id(device, 1)), None, "{device:?}");
        }
    }

    #[test]
    fn each_kind_of_operation_is_remembered_beside_the_latest_time() {
        let mut window = Window::new(&header(3, 2), 10);
        for (counter, operation) in (1..).zip(Operation::ALL) {
            let latest = Due { at_us: u64::MAX, late_us: u64::MAX };
            window.sent(ADA, id(ADA, counter), latest, operation);
            let Acceptance::First(due, kind) = window.accepted(ADA, id(ADA, counter)) else {
                panic!("{operation:?} is remembered");
            };
            assert_eq!((kind, Some(due)), (operation, window.due(ADA.user, id(ADA, counter))));
            assert_eq!(due.late_us, 134_217_664);
            window.sent(BOB, id(BOB, counter), Due { at_us: counter, late_us: 61_503 }, operation);
            let due = window.due(BOB.user, id(BOB, counter));
            assert_eq!(due, Some(Due { at_us: counter, late_us: 61_440 }));
        }
    }
}
