//! Builds small histories by hand, for tests: a model of a sound cluster writes the events, and a
//! test then breaks what it wants broken.
//!
//! The model keeps each conversation's log, so that `show` and the final reads need numbers only.

use super::event::{
    Deadlines, Device, Engine, Event, FORMAT, Header, MACHINE, Phase, Said, Seen, Usage, What,
};
use protocol::partition::partition_of;
use protocol::{
    ClientMessageId, ConversationId, DeviceId, Epoch, GatewayId, Incarnation, NodeNumber, Sequence,
    SessionId, UserId,
};

/// A whole history in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The first line.
    pub header: Header,
    /// All others.
    pub events: Vec<Event>,
}

impl History {
    /// The same history after a change by hand.
    pub fn tampered(mut self, change: impl FnOnce(&mut Vec<Event>)) -> Self {
        change(&mut self.events);
        self
    }
}

/// A history under construction. Events are a millisecond apart unless `wait` says more.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(super) header: Header,
    pub(super) events: Vec<Event>,
    pub(super) at: u64,
    pub(super) logs: Vec<Vec<Seen>>,
    /// Highest shown per (device slot, conversation); `None`: never attached.
    pub(super) cursors: Vec<Vec<Option<u64>>>,
    pub(super) is_open: Vec<bool>,
    pub(super) next_message: Vec<u64>,
    pub(super) sessions: u64,
    pub(super) epoch: u64,
}

/// Between two events.
pub(super) const STEP_US: u64 = 1_000;

impl Builder {
    /// Users and conversations from 1 on, one device each; the phases `set_up` is begun.
    pub fn new(users: u32, conversations: u32) -> Self {
        Self::with_devices(users, 1, conversations)
    }

    /// As `new`, with several devices per user.
    pub fn with_devices(users: u32, devices: u32, conversations: u32) -> Self {
        let header = Header {
            format: FORMAT,
            scenario: "built".to_owned(),
            seed: 1,
            engine: Engine::Simulated,
            users,
            devices_per_user: devices,
            conversations,
            partitions: 4,
            slow_users: 0,
            hostile: false,
            tokens_run_out: false,
            idle_us: None,
            offline_users: Some(0),
            retention: None,
            unseen: Vec::new(),
            agent: None,
            deadlines: Deadlines {
                delivered_us: 1_000_000,
                stuck_us: 1_500_000,
                recovered_us: 500_000,
                revocation_us: 200_000,
                pushed_us: None,
            },
        };
        let slots = (users * devices) as usize;
        let this = Self {
            header,
            events: Vec::new(),
            at: 0,
            logs: vec![Vec::new(); conversations as usize],
            cursors: vec![vec![None; conversations as usize]; slots],
            is_open: vec![false; slots],
            next_message: vec![1; users as usize],
            sessions: 0,
            epoch: 1,
        };
        this.phase(Phase::SetUp)
    }

    /// Lets time pass.
    pub fn wait(mut self, microseconds: u64) -> Self {
        self.at += microseconds;
        self
    }

    /// Any event, now.
    pub fn push(mut self, is: What) -> Self {
        self.at += STEP_US;
        self.events.push(Event { at: self.at, is });
        self
    }

    /// A phase begins.
    pub fn phase(self, phase: Phase) -> Self {
        self.push(What::Phase(phase))
    }

    /// The owners of all partitions change: later entries carry the next epoch.
    pub fn next_epoch(mut self) -> Self {
        self.epoch += 1;
        self
    }

    /// A conversation is made, with a join of each member.
    pub fn group(mut self, conversation: u64, members: &[u64]) -> Self {
        for &user in members {
            self = self.change_member(conversation, user, true);
        }
        self
    }

    /// A member is added or removed through REST.
    pub fn change_member(mut self, conversation: u64, user: u64, add: bool) -> Self {
        let (conversation, user) = (ConversationId(conversation), UserId(user));
        self = self.push(What::MemberAsked { conversation, user, add });
        let said = if add { Said::Join { user } } else { Said::Leave { user } };
        let sequence = self.sequence(user.0, conversation.0, 0, said);
        self.push(What::MemberChanged { conversation, user, add, sequence: Sequence(sequence) })
    }

    /// Of the last so many users no device ever connects.
    pub const fn offline(mut self, users: u32) -> Self {
        self.header.offline_users = Some(users);
        self
    }

    /// Every device of every user who does not stay away connects and attaches every conversation that the user is a
    /// member of; then the load begins.
    pub fn connect_all(mut self) -> Self {
        self = self.phase(Phase::WarmUp);
        let offline = self.header.offline_users.unwrap_or(0);
        for user in 1..=u64::from(self.header.users - offline) {
            for device in 1..=self.header.devices_per_user {
                self = self.connect(user, device);
            }
        }
        self.phase(Phase::Load)
    }

    /// A device connects and attaches everything.
    pub fn connect(mut self, user: u64, device: u32) -> Self {
        self = self.open(user, device);
        for conversation in 1..=u64::from(self.header.conversations) {
            if self.is_member(user, conversation) {
                self = self.attach(user, device, conversation);
            }
        }
        self
    }

    /// A device connects and attaches nothing yet.
    pub fn open(mut self, user: u64, device: u32) -> Self {
        self.sessions += 1;
        let session = SessionId(self.sessions);
        let who = self.device(user, device);
        let slot = self.slot(who);
        self.is_open[slot] = true;
        self.push(What::Opened {
            device: who,
            gateway: GatewayId(1),
            incarnation: Incarnation(1),
            session,
        })
    }

    /// A conversation's stream begins behind the device's cursor, or behind what the user's devices have
    /// shown, or behind the first members.
    pub fn attach(mut self, user: u64, device: u32, conversation: u64) -> Self {
        let who = self.device(user, device);
        let slot = self.slot(who);
        let at = conversation as usize - 1;
        let head = self.head(conversation);
        let devices = self.header.devices_per_user as usize;
        let others = &self.cursors[slot / devices * devices..][..devices];
        let shown = others.iter().filter_map(|cursors| cursors[at]).max().unwrap_or(0);
        let founders =
            self.logs[at].iter().take_while(|entry| matches!(entry.said, Said::Join { .. }));
        let begin = shown.max(founders.count() as u64);
        let from = *self.cursors[slot][at].get_or_insert(begin);
        let conversation = ConversationId(conversation);
        self.push(What::Attached {
            device: who,
            conversation,
            from: Sequence(from),
            head: Sequence(head),
        })
    }

    /// A device's connection is lost.
    pub fn lose(self, user: u64, device: u32) -> Self {
        self.close(user, device, 0)
    }

    /// Somebody looks at the machine, whose disk has stalled for so long since the run began.
    pub fn disk_stalled(self, ms: u64) -> Self {
        self.push(What::Usage(Usage {
            process: MACHINE.into(),
            cpu_us: 0,
            memory_bytes: 0,
            open_files: 0,
            disk_bytes: None,
            disk_wait_us: None,
            disk_stalled_us: Some(ms * 1_000),
            processors: None,
        }))
    }

    /// A device says goodbye.
    pub fn goodbye(self, user: u64, device: u32) -> Self {
        self.close(user, device, 1_000)
    }

    fn close(mut self, user: u64, device: u32, code: u16) -> Self {
        let device = self.device(user, device);
        let slot = self.slot(device);
        self.is_open[slot] = false;
        self.push(What::Closed { device, code })
    }

    /// A fault that did something, from now on for some time.
    pub fn fault(self, fault: u32, kind: &str, target: &str, lasts: u64) -> Self {
        self.push(What::FaultBegan {
            fault,
            kind: kind.into(),
            target: target.into(),
            drawn: false,
            injected: None,
        })
        .wait(lasts)
        .push(What::FaultEnded { fault, effect: 1 })
    }

    /// All faults have ended.
    pub fn heal(self) -> Self {
        self.phase(Phase::Heal)
    }

    /// The rest of a sound run: heal (if that has not been yet), settle, the final reads, the end.
    pub fn finish(mut self) -> History {
        if !self.events.iter().any(|e| e.is == What::Phase(Phase::Heal)) {
            self = self.heal();
        }
        self = self.phase(Phase::Settle).wait(5_000_000).phase(Phase::Judge);
        for conversation in 1..=u64::from(self.header.conversations) {
            let id = ConversationId(conversation);
            self = self.push(What::StoredBegan { conversation: id });
            for entry in self.logs[conversation as usize - 1].clone() {
                self = self.push(What::Stored { entry });
            }
            let head = Sequence(self.head(conversation));
            let conversation = ConversationId(conversation);
            let first = Sequence(1);
            self = self.push(What::StoredAll { conversation, first, head, whole: true });
        }
        self = self.phase(Phase::End);
        History { header: self.header, events: self.events }
    }

    /// The newest sequence of a conversation.
    pub fn head(&self, conversation: u64) -> u64 {
        self.logs[conversation as usize - 1].len() as u64
    }

    /// The log of a conversation.
    pub fn log(&self, conversation: u64) -> &[Seen] {
        &self.logs[conversation as usize - 1]
    }

    /// How many events of a kind there are.
    pub fn count(&self, is: impl Fn(&What) -> bool) -> u64 {
        self.events.iter().filter(|event| is(&event.is)).count() as u64
    }

    /// Whether the device has a session.
    pub fn is_open(&self, user: u64, device: u32) -> bool {
        self.is_open[self.slot(self.device(user, device))]
    }

    /// Whether the user is a member now.
    pub fn is_member(&self, user: u64, conversation: u64) -> bool {
        self.was_member(user, conversation, self.head(conversation))
    }

    /// The device of these numbers.
    pub const fn device(&self, user: u64, device: u32) -> Device {
        Device { user: UserId(user), device: DeviceId(device) }
    }

    /// Who owns a partition now, and under which epoch.
    pub fn owner(&self, partition: u16) -> (Epoch, NodeNumber) {
        let node = (u64::from(partition) + self.epoch) as u16 % 3 + 1;
        (Epoch(self.epoch), NodeNumber(node))
    }

    /// Whether the user is a member at a sequence.
    pub fn was_member(&self, user: u64, conversation: u64, sequence: u64) -> bool {
        self.logs[conversation as usize - 1].iter().take(sequence as usize).fold(
            false,
            |member, entry| match entry.said {
                Said::Join { user: who } if who.0 == user => true,
                Said::Leave { user: who } if who.0 == user => false,
                _ => member,
            },
        )
    }

    pub(super) fn sequence(
        &mut self,
        author: u64,
        conversation: u64,
        message: u64,
        said: Said,
    ) -> u64 {
        let sequence = self.head(conversation) + 1;
        let partition = partition_of(ConversationId(conversation), self.header.partitions);
        let (epoch, owner) = self.owner(partition.0);
        let entry = Seen {
            conversation: ConversationId(conversation),
            sequence: Sequence(sequence),
            epoch,
            owner,
            author: UserId(author),
            message: ClientMessageId(message),
            said,
        };
        self.logs[conversation as usize - 1].push(entry);
        sequence
    }

    pub(super) fn sent(&self, user: u64, id: u64) -> (u64, Said) {
        self.find_sent(user, id).map(|(_, conversation, said)| (conversation, said)).expect("sent")
    }

    pub(super) fn sender(&self, user: u64, id: u64) -> Device {
        self.find_sent(user, id).map(|(device, ..)| device).expect("sent")
    }

    fn find_sent(&self, user: u64, id: u64) -> Option<(Device, u64, Said)> {
        self.events.iter().rev().find_map(|event| match event.is {
            What::Sent { device, conversation, message, said, .. }
                if device.user.0 == user && message.0 == id =>
            {
                Some((device, conversation.0, said))
            }
            _ => None,
        })
    }

    pub(super) const fn slot(&self, device: Device) -> usize {
        (device.user.0 as usize - 1) * self.header.devices_per_user as usize
            + device.device.0 as usize
            - 1
    }
}
