//! A clean history of realistic shape and any length, for measuring the judge.
//!
//! 10,000 users with 5,000 direct conversations and 400 groups of 5 to 100; two messages of three are
//! direct; replies and receipts now and then; the heal in the middle. Tests that are about single
//! events use `builder`.

use super::event::{Deadlines, Device, Engine, Event, FORMAT, Header, Phase, Said, Seen, What};
use protocol::mix::SplitMix;
use protocol::{
    ClientMessageId, ConversationId, DeviceId, Epoch, GatewayId, Incarnation, NodeNumber, Sequence,
    SessionId, UserId,
};

const USERS: u64 = 10_000;
const DIRECT: u64 = 5_000;
const GROUPS: u64 = 400;

/// The header of the history.
pub fn header() -> Header {
    Header {
        format: FORMAT,
        scenario: "fixture".to_owned(),
        seed: 1,
        engine: Engine::Real,
        users: USERS as u32,
        devices_per_user: 1,
        conversations: (DIRECT + GROUPS) as u32,
        partitions: 64,
        slow_users: 0,
        hostile: false,
        tokens_run_out: false,
        idle_us: None,
        offline_users: Some(0),
        retention: None,
        unseen: Vec::new(),
        agent: None,
        deadlines: Deadlines {
            delivered_us: 10_000_000,
            stuck_us: 10_000_000,
            recovered_us: 5_000_000,
            revocation_us: 1_000_000,
            pushed_us: None,
        },
    }
}

/// About `wanted` events, but no fewer than it takes to connect everybody; always the same.
pub fn events(wanted: usize) -> Vec<Event> {
    Fixture::new().live(wanted)
}

/// A sound cluster in miniature.
struct Fixture {
    events: Vec<Event>,
    at: u64,
    members: Vec<Vec<u64>>,
    heads: Vec<u64>,
    next_id: Vec<u64>,
    random: SplitMix,
}

impl Fixture {
    fn new() -> Self {
        let mut fixture = Self {
            events: Vec::new(),
            at: 0,
            members: Vec::new(),
            heads: vec![0; (DIRECT + GROUPS) as usize],
            next_id: vec![1 << 40; USERS as usize + 1],
            random: SplitMix::new(7),
        };
        for pair in 0..DIRECT {
            fixture.members.push(vec![2 * pair + 1, 2 * pair + 2]);
        }
        for _ in 0..GROUPS {
            let size = 5 + fixture.draw(20) + fixture.draw(4) / 3 * fixture.draw(75);
            let mut group: Vec<u64> = (0..size).map(|_| fixture.draw(USERS) + 1).collect();
            group.sort_unstable();
            group.dedup();
            fixture.members.push(group);
        }
        fixture
    }

    /// The next random number below `limit`.
    const fn draw(&mut self, limit: u64) -> u64 {
        self.random.next_u64() % limit
    }

    fn push(&mut self, is: What) {
        self.at += 1;
        self.events.push(Event { at: self.at, is });
    }

    fn live(mut self, wanted: usize) -> Vec<Event> {
        self.push(What::Phase(Phase::SetUp));
        let mut logs: Vec<Vec<Seen>> = vec![Vec::new(); self.heads.len()];
        for (at, log) in logs.iter_mut().enumerate() {
            for member in self.members[at].clone() {
                let user = UserId(member);
                let entry = self.sequence(at, member, 0, Said::Join { user });
                log.push(entry);
                let (conversation, sequence) = (entry.conversation, entry.sequence);
                self.push(What::MemberAsked { conversation, user, add: true });
                self.push(What::MemberChanged { conversation, user, add: true, sequence });
            }
        }
        self.push(What::Phase(Phase::WarmUp));
        self.connect();
        self.push(What::Phase(Phase::Load));
        let stored: usize = self.heads.iter().sum::<u64>() as usize;
        let mut healed = false;
        while self.events.len() + stored < wanted {
            if !healed && self.events.len() * 2 > wanted {
                self.push(What::Phase(Phase::Heal));
                healed = true;
            }
            // Two messages of three are direct.
            let at = if self.draw(3) < 2 { self.draw(DIRECT) } else { DIRECT + self.draw(GROUPS) };
            let entry = self.say(at as usize);
            logs[at as usize].push(entry);
        }
        self.push(What::Phase(Phase::Settle));
        self.at += 20_000_000;
        self.push(What::Phase(Phase::Judge));
        for log in logs {
            let conversation = log[0].conversation;
            let head = Sequence(log.len() as u64);
            self.push(What::StoredBegan { conversation });
            for entry in log {
                self.push(What::Stored { entry });
            }
            self.push(What::StoredAll { conversation, first: Sequence(1), head, whole: true });
        }
        self.push(What::Phase(Phase::End));
        self.events
    }

    fn connect(&mut self) {
        for user in 1..=USERS {
            let opened = What::Opened {
                device: device(user),
                gateway: GatewayId(1),
                incarnation: Incarnation(1),
                session: SessionId(user),
            };
            self.push(opened);
        }
        for at in 0..self.heads.len() {
            let head = Sequence(self.heads[at]);
            let conversation = ConversationId(at as u64 + 1);
            for member in self.members[at].clone() {
                let device = device(member);
                self.push(What::Attached { device, conversation, from: head, head });
            }
        }
    }

    /// A message from the send to the last device, with a receipt now and then.
    fn say(&mut self, at: usize) -> Seen {
        let conversation = ConversationId(at as u64 + 1);
        let members = std::mem::take(&mut self.members[at]);
        let author = members[self.draw(members.len() as u64) as usize];
        self.next_id[author as usize] += 1;
        let id = self.next_id[author as usize];
        // The joins of the members come first, and nobody answers them.
        let has_messages = self.heads[at] > members.len() as u64;
        let parent = (self.draw(20) == 0 && has_messages).then_some(Sequence(self.heads[at]));
        let said = Said::Message { hash: self.draw(u64::MAX), parent };
        let message = ClientMessageId(id);
        let intended = self.at;
        self.push(What::Sent { device: device(author), conversation, message, said, intended });
        let entry = self.sequence(at, author, id, said);
        let (sequence, epoch, owner) = (entry.sequence, entry.epoch, entry.owner);
        let device_of_author = device(author);
        self.push(What::Accepted {
            device: device_of_author,
            conversation,
            message,
            sequence,
            epoch,
            owner,
        });
        for &member in &members {
            self.push(What::Shown { device: device(member), entry });
        }
        if self.draw(4) == 0 {
            let user = UserId(members[0]);
            let (delivered, read) = (sequence, sequence);
            self.push(What::ReceiptSent { device: device(user.0), conversation, delivered, read });
            let other = device(members[1]);
            self.push(What::ReceiptSeen { device: other, conversation, user, delivered, read });
        }
        self.members[at] = members;
        entry
    }

    fn sequence(&mut self, at: usize, author: u64, id: u64, said: Said) -> Seen {
        self.heads[at] += 1;
        Seen {
            conversation: ConversationId(at as u64 + 1),
            sequence: Sequence(self.heads[at]),
            epoch: Epoch(1),
            owner: NodeNumber(1),
            author: UserId(author),
            message: ClientMessageId(id),
            said,
        }
    }
}

pub(super) const fn device(user: u64) -> Device {
    Device { user: UserId(user), device: DeviceId(1) }
}
