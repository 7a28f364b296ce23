//! A sender's order against a model: whatever is refused, lost, late or decided after all, the first copies
//! of a sender's messages reach the owner in the order in which they were made.

use super::tests::{CONVERSATION, USER, send};
use super::*;
use crate::core::hub_model::{Shared, config, heard};
use proptest::prelude::*;
use protocol::codec::Codec;
use protocol::{ClientMessageId, Epoch, NodeNumber, Sequence};
use std::collections::VecDeque;

/// How long a client may stay away before its gateway gives a refused message up.
const TIME_MS: u64 = crate::core::sender::HELD_BACK_MS;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// The user writes.
    Write,
    /// The client sends what its window has room for.
    Fill,
    /// So many frames reach the gateway.
    Arrive(usize),
    /// So many frames reach the client.
    Hear(usize),
    /// The client takes an answer for lost.
    GiveUp,
    Reconnect,
    /// The broker takes the next publication, and says so, or not.
    Store(bool),
    /// It does not take it, and says so, or not.
    Lose(bool),
    /// The owner decides on the next copy; whether its answer arrives.
    Decide(bool),
    LostSome,
    Wait(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => Just(Op::Write),
        8 => Just(Op::Fill),
        8 => (1_usize..4).prop_map(Op::Arrive),
        6 => (1_usize..4).prop_map(Op::Hear),
        1 => Just(Op::GiveUp),
        1 => Just(Op::Reconnect),
        6 => any::<bool>().prop_map(Op::Store),
        1 => any::<bool>().prop_map(Op::Lose),
        5 => any::<bool>().prop_map(Op::Decide),
        1 => Just(Op::LostSome),
        2 => prop_oneof![Just(400_u64), Just(UNANSWERED_MS)].prop_map(Op::Wait),
    ];
    prop::collection::vec(op, 1..120)
}

/// One user's client, gateway, broker and owner.
struct World {
    sends: Sends,
    out: Effects<Shared>,
    session: SessionId,
    queue: Shared,
    written: u64,
    outbox: VecDeque<u64>,
    /// How many at the front of the outbox are on the wire.
    in_flight: usize,
    up: VecDeque<u64>,
    down: VecDeque<ServerFrame>,
    /// What the owner has still to look at, and for which session.
    stored: VecDeque<(SessionId, u64)>,
    /// First copies, in the owner's order.
    sequenced: Vec<u64>,
}

const WINDOW: usize = 4;

impl World {
    fn new() -> Self {
        let config = config(1_000);
        let mut out = Effects::new(&config);
        let queue = Shared::default();
        let session = out.outlets.open(Codec::Binary, queue.clone());
        Self {
            sends: Sends::new(&config),
            out,
            session,
            queue,
            written: 0,
            outbox: VecDeque::new(),
            in_flight: 0,
            up: VecDeque::new(),
            down: VecDeque::new(),
            stored: VecDeque::new(),
            sequenced: Vec::new(),
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Write => {
                self.written += 1;
                self.outbox.push_back(self.written);
            }
            Op::Fill => {
                let until = self.outbox.len().min(WINDOW.max(self.in_flight));
                self.up.extend(self.outbox.range(self.in_flight..until));
                self.in_flight = until;
            }
            Op::Arrive(frames) => {
                for message in self.up.drain(..frames.min(self.up.len())) {
                    self.sends.send(&mut self.out, self.session, USER, send(message, "x"));
                }
            }
            Op::Hear(frames) => {
                self.down.extend(heard(&self.queue));
                for frame in self.down.drain(..frames.min(self.down.len())).collect::<Vec<_>>() {
                    self.hear(&frame);
                }
            }
            Op::GiveUp => self.in_flight = 0,
            Op::Reconnect => {
                self.sends.close(&mut self.out, self.session);
                self.queue = Shared::default();
                self.session = self.out.outlets.open(Codec::Binary, self.queue.clone());
                (self.in_flight, self.up, self.down) = (0, VecDeque::new(), VecDeque::new());
            }
            Op::Store(says) => {
                self.broker(true, if says { Ok(()) } else { Err(PublishError::Unknown) });
            }
            Op::Lose(says) => {
                let error = if says { PublishError::Full } else { PublishError::Unknown };
                self.broker(false, Err(error));
            }
            Op::Decide(answers) => self.decide(answers),
            Op::LostSome => self.sends.lost_some(self.out.now_ms),
            Op::Wait(ms) if self.out.now_ms + ms < TIME_MS => self.wait(ms),
            Op::Wait(_) => {}
        }
    }

    fn wait(&mut self, ms: u64) {
        self.out.now_ms += ms;
        self.out.now_us += ms * 1_000;
        self.sends.tick(&mut self.out);
        self.sends.look_at(&mut self.out, self.session);
    }

    fn hear(&mut self, frame: &ServerFrame) {
        let (message, is_decided) = match frame {
            ServerFrame::Accepted(accepted) => (accepted.client_message_id.0, true),
            ServerFrame::Rejected(rejected) => (rejected.client_message_id.0, false),
            other => panic!("{other:?}"),
        };
        let Some(at) = self.outbox.iter().position(|waits| *waits == message) else { return };
        if is_decided {
            self.outbox.remove(at);
            self.in_flight -= usize::from(at < self.in_flight);
        } else {
            self.in_flight = self.in_flight.min(at);
        }
    }

    fn broker(&mut self, takes: bool, says: Result<(), PublishError>) {
        let Some(Call::Publish(PublishCall { of, .. })) = self.out.calls.pop_front() else {
            return;
        };
        if takes {
            self.stored.push_back((of.session, of.message.0));
        }
        self.sends.published(&mut self.out, of, says);
    }

    fn decide(&mut self, answers: bool) {
        let Some((session, message)) = self.stored.pop_front() else { return };
        let before = self.sequenced.iter().position(|sequenced| *sequenced == message);
        if before.is_none() {
            self.sequenced.push(message);
        }
        if answers && session == self.session {
            let accepted = Accepted {
                client_message_id: ClientMessageId(message),
                conversation: CONVERSATION,
                sequence: Sequence(before.unwrap_or(self.sequenced.len()) as u64 + 1),
                epoch: Epoch(1),
                owner: NodeNumber(1),
            };
            self.sends.accepted(&mut self.out, session, accepted);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_message_overtakes_an_earlier_one(ops in ops()) {
        let mut world = World::new();
        for op in ops {
            world.apply(op);
            let sequenced = &world.sequenced;
            prop_assert!(sequenced.is_sorted(), "{sequenced:?}");
        }
        // With nothing lost any more, all of it arrives.
        for _ in 0..20 * (world.written + 1) {
            let round = [Op::GiveUp, Op::Fill, Op::Arrive(9), Op::Store(true), Op::Decide(true), Op::Hear(9)];
            for op in round {
                world.apply(op);
            }
            world.wait(AGAIN_EVERY_MS);
        }
        prop_assert!(world.sequenced.iter().copied().eq(1..=world.written));
        prop_assert!(world.outbox.is_empty());
    }
}
