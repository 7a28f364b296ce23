//! What the history has said so far: the facts that more than one invariant needs.
//!
//! One pass keeps them in dense arrays; the invariants read them and never write. Nothing here
//! decides whether something is a violation. Memory: about 32 bytes per send, 24 per sequenced
//! entry, 48 per (device, conversation), 80 per (user, conversation), 96 per device.

pub(crate) mod conversations;
pub(crate) mod devices;
pub(crate) mod intervals;
pub(crate) mod ledger;
pub(crate) mod observe;
pub(crate) mod pairs;
pub(crate) mod print;
pub(crate) mod range;
pub(crate) mod reads;
pub(crate) mod recent;
pub(crate) mod run;

use crate::history::event::{Device, Header};
use conversations::{Log, LogEntry};
use devices::{DeviceState, OpenSend};
use ledger::{Ledger, Place, Record};
use pairs::{Pair, Pairs, Standing, Stream};
use protocol::Sequence;
use reads::{FinishedRead, Reads};
use recent::Recent;
use run::Run;

/// Stands for "none" where a number would be a slot.
pub(crate) const NONE: u32 = u32::MAX;

/// Everything that was learned.
pub(crate) struct Ground {
    pub header: Header,
    pub now: u64,
    pub run: Run,
    pub devices: Vec<DeviceState>,
    /// Revocation time per user slot; `u64::MAX`: none.
    pub revoked: Vec<u64>,
    pub pairs: Pairs,
    pub ledger: Ledger,
    pub logs: Vec<Log>,
    pub reads: Reads,
    pub recent: Recent,
}

/// What one event changed: the values from before it that the invariants compare with.
#[derive(Default)]
pub(crate) struct Step {
    /// Slot of the device, if the event has one.
    pub device: usize,
    /// Index of the conversation, if the event has one.
    pub conversation: usize,
    /// The (user, conversation) of the device.
    pub who: u32,
    /// The (device, conversation).
    pub pair: u32,
    /// The stream of that pair, before.
    pub before: Stream,
    /// Whether the entry's sequence had been shown on the device before.
    pub was_shown: bool,
    /// The device's last progress, before.
    pub progress_at: u64,
    /// When the device lost its connection, before; `None`: it had one, or none was due.
    pub down_since: Option<u64>,
    /// The entry's (or the answer's) sequence.
    pub sequence: u32,
    /// The fingerprint of the entry, or of what was sent.
    pub print: u32,
    /// The log at the sequence, before.
    pub log: LogEntry,
    /// The send that the event is about, and its record before.
    pub send: Option<(Place, Record)>,
    /// The open send that was answered.
    pub answered: Option<OpenSend>,
    /// The read that was completed.
    pub read: Option<Box<FinishedRead>>,
}

impl Ground {
    /// Nothing is known yet.
    pub fn new(header: &Header) -> Self {
        let devices = header.users as usize * header.devices_per_user as usize;
        Self {
            header: header.clone(),
            now: 0,
            run: Run::default(),
            devices: vec![DeviceState::default(); devices],
            revoked: vec![u64::MAX; header.users as usize],
            pairs: Pairs::new(header.devices_per_user),
            ledger: Ledger::new(devices, header.devices_per_user),
            logs: (0..header.conversations).map(|_| Log::default()).collect(),
            reads: Reads::new(devices),
            recent: Recent::new(),
        }
    }

    /// The slot of a device that is in range.
    pub const fn device_slot(&self, device: Device) -> usize {
        (device.user.0 as usize - 1) * self.header.devices_per_user as usize
            + device.device.0 as usize
            - 1
    }

    /// The device of a slot, for people.
    pub fn device_name(&self, slot: usize) -> String {
        let devices = self.header.devices_per_user as usize;
        format!("device {}/{}", slot / devices + 1, slot % devices + 1)
    }

    /// The slot of the device of a pair.
    pub fn device_of_pair(&self, pair: u32) -> usize {
        let devices = self.header.devices_per_user;
        let user = self.pairs.whos[(pair / devices) as usize].user;
        (user * devices + pair % devices) as usize
    }

    /// Whether a conversation is attached to a device in its present session.
    pub fn is_attached(&self, pair: u32) -> bool {
        let device = &self.devices[self.device_of_pair(pair)];
        device.open && self.pairs.pair(pair).stream.session == device.session
    }

    /// Whether a user is a member at a sequence, as far as joins and departures are known.
    pub fn standing(&self, who: u32, sequence: u32) -> Standing {
        let who = &self.pairs.whos[who as usize];
        who.standing(sequence, self.logs[who.conversation as usize].known_from())
    }

    /// Whether an entry is owed to a user for good: certainly a member there, and ever since. What came
    /// before a departure may be shown no more when the user comes back.
    pub fn is_owed(&self, who: u32, sequence: u32) -> bool {
        let state = &self.pairs.whos[who as usize];
        self.standing(who, sequence) == Standing::Member
            && !state.departs(sequence, u32::MAX)
            && !self.is_removed(state.conversation as usize, sequence)
    }

    /// Whether retention has removed a sequence, by the final read. Without one nothing is taken as
    /// removed: no scenario turns retention on.
    pub fn is_removed(&self, conversation: usize, sequence: u32) -> bool {
        sequence < self.logs[conversation].first
    }

    /// When something that began at `since` must be done, on a stream that was attached at
    /// `attached_at`; `None` before the heal.
    pub fn deadline(&self, since: u64, attached_at: u64, allowed: u64) -> Option<u64> {
        self.run.healed_at.map(|healed| since.max(healed).max(attached_at).saturating_add(allowed))
    }

    /// Since when the oldest accepted entry is due that a device has not shown.
    pub fn oldest_due(&self, who: u32, pair: &Pair) -> Option<u64> {
        let conversation = self.pairs.whos[who as usize].conversation as usize;
        let log = &self.logs[conversation];
        let base = pair.stream.base;
        let mut oldest: Option<u64> = None;
        let mut consider = |sequence| {
            let entry = log.get(sequence);
            if entry.acked != 0 && self.is_owed(who, sequence) {
                oldest = Some(oldest.map_or(entry.acked_at, |at| at.min(entry.acked_at)));
            }
        };
        pair.shown.for_each_hole(base + 1, log.acked_head.min(log.reach()), &mut consider);
        log.far().filter(|&s| s > base && !pair.shown.contains(s)).for_each(&mut consider);
        oldest
    }

    /// Every accepted entry that an attached device must see, has not shown, and had time to show:
    /// `each(pair, sequence, deadline)`. Returns how many were due on devices that are away.
    pub fn for_each_overdue(&self, mut each: impl FnMut(u32, u32, u64)) -> u64 {
        let (Some(ended), allowed) = (self.run.ended_at, self.header.deadlines.delivered_us) else {
            return 0;
        };
        let mut away = 0;
        for (number, pair) in self.pairs.iter() {
            let who = number / self.header.devices_per_user;
            let conversation = self.pairs.whos[who as usize].conversation as usize;
            let log = &self.logs[conversation];
            let attached = self.is_attached(number);
            let mut consider = |sequence| {
                let entry = log.get(sequence);
                if entry.acked == 0 || !self.is_owed(who, sequence) {
                    return;
                }
                if !attached {
                    away += 1;
                } else if let Some(deadline) =
                    self.deadline(entry.acked_at, pair.stream.attached_at, allowed)
                    && deadline <= ended
                {
                    each(number, sequence, deadline);
                }
            };
            let base = pair.stream.base;
            pair.shown.for_each_hole(base + 1, log.acked_head.min(log.reach()), &mut consider);
            log.far().filter(|&s| s > base && !pair.shown.contains(s)).for_each(&mut consider);
        }
        away
    }
}

/// Sequences are kept in 32 bits: 4 billion entries in one conversation are beyond any run.
pub(crate) const fn short(sequence: Sequence) -> u32 {
    if sequence.0 > u32::MAX as u64 - 2 { u32::MAX - 2 } else { sequence.0 as u32 }
}
