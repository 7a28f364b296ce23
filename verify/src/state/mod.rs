//! What the history has said so far: the facts that more than one invariant needs.
//!
//! One pass keeps them in dense arrays; the invariants read them and never write. Nothing here
//! decides whether something is a violation. Memory: about 32 bytes per send, 32 per sequenced
//! entry, 48 per (device, conversation), 100 per (user, conversation), 96 per device; sends and entries
//! that are compacted leave (see `compaction`), so that it does not grow with the length of a sound run.

mod answers;
pub(crate) mod compaction;
pub(crate) mod conversations;
pub(crate) mod devices;
pub(crate) mod fingerprint;
pub(crate) mod intervals;
pub(crate) mod ledger;
pub(crate) mod members;
pub(crate) mod merge;
mod observation;
pub(crate) mod observe;
pub(crate) mod pairs;
pub(crate) mod range;
pub(crate) mod reads;
pub(crate) mod recent;
mod refusals;
pub(crate) mod run;
pub(crate) mod samples;

use crate::history::event::{Device, Header};
use crate::part::Part;
use conversations::{LEAPS, Log, LogEntry};
use devices::{DeviceState, OpenSend};
use ledger::{Ledger, Record, Slot};
use members::Standing;
use pairs::{Pair, Pairs, Stream};
use protocol::{Sequence, UserId};
use reads::{FinishedRead, Reads};
use recent::{About, Recent};
use run::Run;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// Stands for "none" where a number would be a slot.
pub(crate) const NONE: u32 = u32::MAX;

/// Everything that was learned.
pub(crate) struct State {
    pub header: Header,
    /// What of the run is seen.
    pub part: Part,
    pub now: u64,
    pub run: Run,
    pub devices: Vec<DeviceState>,
    /// Revocation time per user slot; `u64::MAX`: none.
    pub revoked: Vec<u64>,
    /// Whether the history tells of those who ask for joins and departures.
    pub is_asked: bool,
    pub pairs: Pairs,
    pub ledger: Ledger,
    pub logs: Vec<Log>,
    pub reads: Reads,
    pub recent: Recent,
    /// How many entries and sends stay.
    keep: compaction::Keep,
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
    /// Whether a read of the user had it before.
    pub was_read: bool,
    /// The device's last progress, before.
    pub progress_at: u64,
    /// When the device lost its connection, before; `None`: it had one, or none was due.
    pub down_since: Option<u64>,
    /// The entry's (or the answer's) sequence.
    pub sequence: u32,
    /// Whether that is compacted: what it was cannot be looked up any more.
    pub is_compacted: bool,
    /// What it was all the same, as a fingerprint, if it is among the samples.
    pub sample: Option<u32>,
    /// Whether the send that the event is about is compacted, in the same way.
    pub is_old_send: bool,
    /// Whether the target of an edit or a deletion is compacted.
    pub is_old_target: bool,
    /// The fingerprint of the entry, or of what was sent.
    pub fingerprint: u32,
    /// The log at the sequence, before.
    pub log: LogEntry,
    /// The send that the event is about, and its record before.
    pub send: Option<(Slot, Record)>,
    /// The open send that was answered.
    pub answered: Option<OpenSend>,
    /// The open send of which something was told that is no answer for good.
    pub told: Option<OpenSend>,
    /// The read that was completed, or refused.
    pub read: Option<Box<FinishedRead>>,
    /// The log at the target of an edit or a deletion.
    pub target: LogEntry,
    /// Whether the notification had been taken before.
    pub was_pushed: bool,
}

impl State {
    /// Nothing is known yet.
    pub fn new(header: &Header, part: Part, keep: Option<u32>) -> Self {
        let devices = header.users as usize * header.devices_per_user as usize;
        let leaps = Arc::new(AtomicU32::new(LEAPS));
        Self {
            header: header.clone(),
            part,
            now: 0,
            run: Run::default(),
            devices: vec![DeviceState::default(); devices],
            revoked: vec![u64::MAX; header.users as usize],
            is_asked: false,
            pairs: Pairs::new(header.devices_per_user),
            ledger: Ledger::new(devices, header.devices_per_user),
            logs: (0..header.conversations).map(|_| Log::new(&leaps)).collect(),
            reads: Reads::new(devices),
            recent: Recent::new(),
            keep: compaction::Keep::new(header, keep),
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

    /// A message by its author and id, for people.
    pub fn message_name(&self, user: u64, id: u64) -> String {
        self.header.message_name(user, id)
    }

    /// The same by the slot of its device.
    pub fn name_of(&self, sender: usize, id: u64) -> String {
        self.message_name(sender as u64 / u64::from(self.header.devices_per_user) + 1, id)
    }

    /// What belongs to the evidence of a send: its own lines, and those at its sequence, from the
    /// invocation to the answer.
    pub fn about_send(&self, sender: usize, record: &Record) -> About {
        let conversation = record.conversation as usize;
        let user = sender as u64 / u64::from(self.header.devices_per_user) + 1;
        let sequence = if record.acked > 0 { record.acked } else { record.seen };
        let entry = self.logs[conversation].get(record.acked);
        let known_at =
            (record.acked > 0 && entry.acked == record.fingerprint).then_some(entry.known_at);
        About {
            conversation: Some(conversation),
            sequence: (sequence > 0).then_some(sequence),
            message: Some((user, record.id)),
            life: known_at.map(|at| (entry.sent_at().unwrap_or(at), at)),
            ..About::default()
        }
    }

    /// The slot of the device of a pair.
    pub fn device_of_pair(&self, pair: u32) -> usize {
        let devices = self.header.devices_per_user;
        let user = self.pairs.members[(pair / devices) as usize].user;
        (user * devices + pair % devices) as usize
    }

    /// Whether a conversation is attached to a device in its present session.
    pub fn is_attached(&self, pair: u32) -> bool {
        let device = &self.devices[self.device_of_pair(pair)];
        device.open && self.pairs.pair(pair).stream.session == device.session
    }

    /// Whether a user is a member at a sequence, as far as joins and departures are known.
    pub fn standing(&self, who: u32, sequence: u32) -> Standing {
        let who = &self.pairs.members[who as usize];
        who.standing(sequence, self.logs[who.conversation as usize].known_from(sequence))
    }

    /// Whether an entry is owed to a user for good: certainly a member there, and ever since. What came
    /// before a departure may be shown no more when the user comes back.
    pub fn is_owed(&self, who: u32, sequence: u32) -> bool {
        let member = &self.pairs.members[who as usize];
        self.standing(who, sequence) == Standing::Member
            && !member.departs(sequence, u32::MAX)
            && !self.is_removed(member.conversation as usize, sequence)
    }

    /// The first sequence of `low..=high` at which a user stands like this, which retention left, and
    /// behind which the user does not depart up to another one. However long the span is: nothing of
    /// this changes between two changes of membership.
    pub fn first_owed(
        &self,
        who: u32,
        (low, high): (u32, u32),
        excused_to: u32,
        standing: Standing,
    ) -> Option<u32> {
        let member = &self.pairs.members[who as usize];
        let conversation = member.conversation as usize;
        let log = &self.logs[conversation];
        let is_it = |sequence: u32| {
            self.standing(who, sequence) == standing
                && !member.departs(sequence, excused_to)
                && !self.is_removed(conversation, sequence)
        };
        let removed_to = self.removed_to(conversation);
        let known_from = log.known_from(log.head).unwrap_or(0).saturating_sub(1);
        let behind = log.head.saturating_add(1);
        let turns = [low, removed_to.saturating_add(1), known_from, behind].into_iter();
        let turns = turns.chain(member.change_sequences()).filter(|at| (low..=high).contains(at));
        turns.filter(|at| is_it(*at)).min()
    }

    /// Up to where retention may have removed a conversation, by the header and the final read; 0: nothing.
    pub fn removed_to(&self, conversation: usize) -> u32 {
        let log = &self.logs[conversation];
        self.header.retention.map_or(0, |kept| {
            u64::from(log.head).saturating_sub(kept).min(log.first.saturating_sub(1).into()) as u32
        })
    }

    /// Whether retention may have removed a sequence, by the header and the final read.
    pub fn is_removed(&self, conversation: usize, sequence: u32) -> bool {
        (1..=self.removed_to(conversation)).contains(&sequence)
    }

    /// When the final read of a conversation began. A history of format 1 says only when the first of
    /// them did.
    pub fn read_began(&self, conversation: usize) -> Option<u64> {
        let began = self.logs[conversation].read_began;
        if self.header.format >= 2 { began } else { self.run.judged_at }
    }

    /// For how long a device has been connected since something began to be due to it, up to now or to
    /// the time until which the users were watched; `None` before the heal.
    pub fn waited(&self, device: usize, since: u64) -> Option<u64> {
        let until = self.run.watched_until.map_or(self.now, |until| until.min(self.now));
        let since = since.max(self.run.healed_at?);
        Some(self.devices[device].connected(since, until))
    }

    /// When a send was refused for its token, and for how long its device has been connected since,
    /// without sending it again: if that is too long, and no fault has been active since.
    pub fn dropped(&self, device: usize, open: &OpenSend) -> Option<(u64, u64)> {
        let (refused_at, before) = open.unauthorised?;
        let until = self.run.watched_until.map_or(self.now, |until| until.min(self.now));
        let connected = self.devices[device].connected_in_all(until).saturating_sub(before);
        let is_calm = self.run.calm_for(refused_at, until) == until.saturating_sub(refused_at);
        let is_dropped = is_calm && connected > self.header.deadlines.stuck_us;
        is_dropped.then_some((refused_at, connected))
    }

    /// For how long something has been due since it began, whoever was connected; `None` before the
    /// heal.
    pub fn passed(&self, since: u64) -> Option<u64> {
        let until = self.run.watched_until.map_or(self.now, |until| until.min(self.now));
        Some(until.saturating_sub(since.max(self.run.healed_at?)))
    }

    /// Whether a device should have sessions: its user is none of those who stay away. A history of
    /// format 1 does not name these; there it is one of whom another device connected.
    pub fn is_expected(&self, device: usize) -> bool {
        let devices = self.header.devices_per_user;
        let user = device as u32 / devices;
        let first = (user * devices) as usize;
        let is_online = |offline: u32| user < self.header.users.saturating_sub(offline);
        let has_connected =
            || self.devices[first..first + devices as usize].iter().any(|d| d.session > 0);
        self.header.offline_users.map_or_else(has_connected, is_online)
    }

    /// The slots of a user's devices.
    pub fn devices_of(&self, user: UserId) -> Range<usize> {
        let devices = self.header.devices_per_user as usize;
        let first = (user.0 as usize - 1) * devices;
        first..first + devices
    }

    /// Whether the tokens of the device's user are revoked, and there are no new ones yet.
    pub fn lacks_tokens(&self, device: usize) -> bool {
        self.revoked[device / self.header.devices_per_user as usize] != u64::MAX
    }

    /// Whether the scenario makes the device's user slow: what it waits for it delays itself.
    pub const fn is_slow(&self, device: usize) -> bool {
        device < self.header.slow_users as usize * self.header.devices_per_user as usize
    }

    /// Whether an entry is to be shown to those to whom it is owed: its author was told, or anybody knows of
    /// it. (Histories of format 1 are judged by what was told alone.)
    pub const fn is_due_to_all(&self, entry: &LogEntry) -> bool {
        entry.acked != 0 || (entry.is_known() && self.header.format >= 2)
    }

    /// The known entries that are owed to a device and that it has not shown.
    pub fn for_each_unshown(&self, number: u32, pair: &Pair, mut each: impl FnMut(u32, &LogEntry)) {
        let who = number / self.header.devices_per_user;
        let log = &self.logs[self.pairs.members[who as usize].conversation as usize];
        let base = pair.stream.base;
        let mut consider = |sequence| {
            let entry = log.get(sequence);
            if self.is_due_to_all(&entry) && self.is_owed(who, sequence) {
                each(sequence, &entry);
            }
        };
        pair.shown.for_each_hole(
            base.max(log.compacted_to()) + 1,
            log.known_head.min(log.reach()),
            &mut consider,
        );
        log.far().filter(|&s| s > base && !pair.shown.contains(s)).for_each(&mut consider);
    }

    /// Every known entry that a device must see and has not shown, although it was connected for
    /// longer than the deadline since: `each(pair, sequence, waited)`. Returns how many others there
    /// are: for these the time was too short.
    pub fn for_each_overdue(&self, mut each: impl FnMut(u32, u32, u64)) -> u64 {
        let allowed = self.header.deadlines.delivered_us;
        let mut undue = 0;
        for (number, pair) in self.pairs.iter() {
            let device = self.device_of_pair(number);
            if self.is_slow(device) {
                continue;
            }
            let joined =
                self.pairs.members[(number / self.header.devices_per_user) as usize].changed_at;
            self.for_each_unshown(number, pair, |sequence, entry| {
                let since = entry.known_at.max(joined);
                match self.waited(device, since).filter(|waited| *waited > allowed) {
                    Some(waited) => each(number, sequence, waited),
                    // Who stays away by the scenario's will has no time for anything.
                    None => undue += u64::from(entry.acked != 0 && self.is_expected(device)),
                }
            });
        }
        undue
    }
}

/// Sequences are kept in 32 bits: 4 billion entries in one conversation are beyond any run.
pub(crate) const fn short(sequence: Sequence) -> u32 {
    if sequence.0 > u32::MAX as u64 - 2 { u32::MAX - 2 } else { sequence.0 as u32 }
}
