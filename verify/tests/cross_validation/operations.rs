//! Histories of a sound cluster, made of random operations.

use crate::final_reads::{retained, with_cursors};
use crate::unfit::unfit;
use proptest::prelude::*;
use protocol::{ClientMessageId, ConversationId, Partition, RejectReason, Sequence, UserId};
use verify::history::builder::{Builder, History};
use verify::history::event::{FORMAT, Said, What};

/// Users who connect, and after them one who stays away.
pub const USERS: u64 = 3;
const OFFLINE: u64 = 1;
pub const DEVICES: u32 = 2;
pub const CONVERSATIONS: u64 = 2;

/// One thing that happens in a sound cluster. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
pub enum Operation {
    Say(u64, u64),
    Reply(u64, u64, u64),
    Edit(u64, u64, u64),
    Delete(u64, u64, u64),
    Refused(u64, u64, bool),
    Poison(u64, u64),
    /// Something is refused with reason: by a stranger, about nothing, about somebody else's message.
    Unfit(u64, u64, u64),
    Slow(u64, u64),
    AcceptAgain(u64),
    Lose(u64, u32),
    Connect(u64, u32),
    Move(u64, u64),
    Read(u64, u32, u64, u64),
    Receipts(u64, u64, u64),
    Revoke(u64),
    Measure(u64),
    NextEpoch,
    Wait(u64),
    /// A user's devices go, and come back at once or later; by a goodbye or not.
    Away(u64, bool),
    /// Somebody is told by a notification of what another user says, once or twice.
    Push(u64, u64, u64, bool),
    /// A device connects and its stream begins further back than it had got.
    Rewind(u64, u32, u64, u64),
    FailedRead(u64, u32, u64),
    /// A send that its device gives up.
    GiveUp(u64, u64),
    Fault(u64),
    Owner(u64),
    Limited,
}

/// How a run is: the header beside the numbers.
#[derive(Clone, Debug)]
pub struct Frame {
    pub slow_users: u32,
    pub tokens_run_out: bool,
    pub retention: Option<u64>,
    pub format: u32,
    pub healed_at: usize,
}

pub fn frame() -> impl Strategy<Value = Frame> {
    let retention = prop_oneof![2 => Just(None), 1 => (1_u64..12).prop_map(Some)];
    let slow_users = prop_oneof![3 => Just(0), 1 => Just(1_u32)];
    let format = prop_oneof![4 => Just(FORMAT), 1 => Just(1_u32)];
    let run_out = prop::bool::weighted(0.25);
    (slow_users, run_out, retention, format, 0_usize..40).prop_map(
        |(slow_users, tokens_run_out, retention, format, healed_at)| Frame {
            slow_users,
            tokens_run_out,
            retention,
            format,
            healed_at,
        },
    )
}

pub fn operation() -> impl Strategy<Value = Operation> {
    let (u, c, n) = (1..=USERS, 1..=CONVERSATIONS, 0_u64..20);
    let d = 1..=DEVICES;
    prop_oneof![
        6 => (u.clone(), c.clone()).prop_map(|(u, c)| Operation::Say(u, c)),
        1 => (u.clone(), c.clone(), n.clone()).prop_map(|(u, c, n)| Operation::Reply(u, c, n)),
        1 => (u.clone(), c.clone(), n.clone()).prop_map(|(u, c, n)| Operation::Edit(u, c, n)),
        1 => (u.clone(), c.clone(), n.clone()).prop_map(|(u, c, n)| Operation::Delete(u, c, n)),
        1 => (u.clone(), c.clone(), any::<bool>()).prop_map(|(u, c, f)| Operation::Refused(u, c, f)),
        1 => (u.clone(), c.clone()).prop_map(|(u, c)| Operation::Poison(u, c)),
        2 => (u.clone(), c.clone(), n.clone()).prop_map(|(u, c, n)| Operation::Unfit(u, c, n)),
        2 => (u.clone(), c.clone()).prop_map(|(u, c)| Operation::Slow(u, c)),
        1 => u.clone().prop_map(Operation::AcceptAgain),
        1 => (u.clone(), d.clone()).prop_map(|(u, d)| Operation::Lose(u, d)),
        2 => (u.clone(), d.clone()).prop_map(|(u, d)| Operation::Connect(u, d)),
        1 => (u.clone(), c.clone()).prop_map(|(u, c)| Operation::Move(u, c)),
        2 => (u.clone(), d, c.clone(), n.clone()).prop_map(|(u, d, c, n)| Operation::Read(u, d, c, n)),
        1 => (u.clone(), u.clone(), c).prop_map(|(u, m, c)| Operation::Receipts(u, m, c)),
        1 => (u.clone(), any::<bool>()).prop_map(|(u, goodbye)| Operation::Away(u, goodbye)),
        2 => (1..=USERS + OFFLINE, u.clone(), 1..=CONVERSATIONS, any::<bool>())
            .prop_map(|(u, by, c, again)| Operation::Push(u, by, c, again)),
        1 => (u.clone(), 1..=DEVICES, 1..=CONVERSATIONS, 0_u64..4)
            .prop_map(|(u, d, c, n)| Operation::Rewind(u, d, c, n)),
        1 => (u.clone(), 1..=DEVICES, 1..=CONVERSATIONS)
            .prop_map(|(u, d, c)| Operation::FailedRead(u, d, c)),
        1 => (u.clone(), 1..=CONVERSATIONS).prop_map(|(u, c)| Operation::GiveUp(u, c)),
        1 => (0_u64..3).prop_map(Operation::Fault),
        1 => (0_u64..4).prop_map(Operation::Owner),
        1 => (0_u64..30).prop_map(|n| if n == 0 { Operation::Limited } else { Operation::NextEpoch }),
        1 => u.clone().prop_map(Operation::Revoke),
        1 => n.prop_map(Operation::Measure),
        1 => Just(Operation::NextEpoch),
        1 => (1_000_u64..900_000).prop_map(Operation::Wait),
    ]
}

/// The newest message of a conversation that can be answered or changed.
fn target(run: &Builder, conversation: u64, pick: u64, author: Option<u64>) -> Option<u64> {
    let log = run.log(conversation);
    let gone =
        |s: Sequence| log.iter().any(|e| matches!(e.said, Said::Delete { target } if target == s));
    let found: Vec<u64> = log
        .iter()
        .filter(|e| matches!(e.said, Said::Message { .. }) && !gone(e.sequence))
        .filter(|e| author.is_none_or(|author| e.author.0 == author))
        .map(|e| e.sequence.0)
        .collect();
    (!found.is_empty()).then(|| found[pick as usize % found.len()])
}

fn may_send(run: &Builder, user: u64, conversation: u64) -> bool {
    run.is_open(user, 1) && run.is_member(user, conversation)
}

pub fn rejected(run: Builder, user: u64, conversation: u64, reason: RejectReason) -> Builder {
    let device = run.device(user, 1);
    let message = ClientMessageId(run.last_message(user));
    run.push(What::Rejected { device, conversation: ConversationId(conversation), message, reason })
}

fn do_it(run: Builder, operation: &Operation) -> Builder {
    match *operation {
        Operation::Say(u, c) if may_send(&run, u, c) => run.say(u, c),
        Operation::Slow(u, c) if may_send(&run, u, c) => run.send(u, c).commit(u).accept(u),
        Operation::Reply(u, c, n) if may_send(&run, u, c) => match target(&run, c, n, None) {
            Some(parent) => {
                let parent = Some(Sequence(parent));
                run.say_said(u, c, Said::Message { hash: n, parent })
            }
            None => run,
        },
        Operation::Edit(u, c, n) if may_send(&run, u, c) => match target(&run, c, n, Some(u)) {
            Some(t) => run.say_said(u, c, Said::Edit { target: Sequence(t), hash: n }),
            None => run,
        },
        Operation::Delete(u, c, n) if may_send(&run, u, c) => match target(&run, c, n, Some(u)) {
            Some(t) => run.say_said(u, c, Said::Delete { target: Sequence(t) }),
            None => run,
        },
        Operation::Refused(u, c, true) if run.is_open(u, 1) => {
            rejected(run.send(u, c), u, c, RejectReason::BodySize)
        }
        Operation::Refused(u, c, false) if may_send(&run, u, c) => {
            let run = rejected(run.send(u, c), u, c, RejectReason::RateLimited);
            let (device, message) = (run.device(u, 1), ClientMessageId(run.last_message(u)));
            let resent = What::Resent { device, conversation: ConversationId(c), message };
            run.push(resent).commit(u).accept(u).deliver(c)
        }
        Operation::Unfit(u, c, n) if run.is_open(u, 1) => unfit(run, u, c, n),
        Operation::Poison(u, c) if may_send(&run, u, c) => {
            let run = rejected(run.send(u, c), u, c, RejectReason::DeadLettered);
            let message = Some(ClientMessageId(run.last_message(u)));
            run.push(What::DeadLetter {
                queue: "inbound".into(),
                reason: "format".into(),
                author: Some(UserId(u)),
                message,
                conversation: Some(ConversationId(c)),
            })
        }
        _ => do_other(run, operation),
    }
}

/// What is no first attempt at a send.
fn do_other(run: Builder, operation: &Operation) -> Builder {
    match *operation {
        Operation::AcceptAgain(u) if run.is_open(u, 1) => {
            let id = run.last_message(u);
            let known = (1..=CONVERSATIONS)
                .any(|c| run.log(c).iter().any(|e| e.author.0 == u && e.message.0 == id && id > 0));
            if known { run.accept(u) } else { run }
        }
        Operation::Lose(u, d) if run.is_open(u, d) => run.lose(u, d),
        Operation::Connect(u, d) if !run.is_open(u, d) => {
            (1..=CONVERSATIONS).fold(run.connect(u, d), |run, c| run.deliver_to(u, d, c))
        }
        Operation::Move(u, c) => {
            let add = !run.is_member(u, c);
            let run = run.deliver(c).change_member(c, u, add);
            if !add {
                return (1..=DEVICES).fold(run, |run, d| {
                    let (device, open) = (run.device(u, d), run.is_open(u, d));
                    let conversation = ConversationId(c);
                    if open { run.push(What::Detached { device, conversation }) } else { run }
                });
            }
            let attached = (1..=DEVICES)
                .fold(run, |run, d| if run.is_open(u, d) { run.attach(u, d, c) } else { run });
            attached.deliver(c)
        }
        Operation::Read(u, d, c, n) if run.is_open(u, d) && run.is_member(u, c) => {
            let head = run.head(c);
            run.read(u, d, c, n % (head + 1))
        }
        Operation::Receipts(observer, member, c)
            if observer != member
                && [observer, member].iter().all(|&u| run.is_open(u, 1) && run.is_member(u, c)) =>
        {
            let run = run.deliver(c);
            let (delivered, read) = (Sequence(run.head(c)), Sequence(run.head(c) - 1));
            let (device, conversation) = (run.device(member, 1), ConversationId(c));
            let sent = What::ReceiptSent { device, conversation, delivered, read };
            let device = run.device(observer, 1);
            let user = UserId(member);
            let seen = What::ReceiptSeen { device, conversation, user, delivered, read };
            run.push(sent).push(seen)
        }
        Operation::Revoke(u) => {
            let user = UserId(u);
            run.push(What::Revoked { user }).wait(300_000).push(What::Granted { user })
        }
        Operation::Measure(value) => {
            let name = "session_queue_frames".into();
            let queue = "inbound-1".into();
            run.push(What::Gauge { node: "gateway-1".into(), name, value, limit: 20 })
                .push(What::InFlight { queue, messages: 0 })
        }
        Operation::NextEpoch => run.next_epoch(),
        Operation::Wait(us) => run.wait(us),
        _ => do_rare(run, operation),
    }
}

/// What is about sessions, the run, or the notifier.
fn do_rare(run: Builder, operation: &Operation) -> Builder {
    match *operation {
        Operation::Away(u, goodbye) => (1..=DEVICES).fold(run, |run, d| match run.is_open(u, d) {
            true if goodbye => run.goodbye(u, d),
            true => run.lose(u, d),
            false => run,
        }),
        Operation::Push(u, by, c, again)
            if may_send(&run, by, c)
                && by != u
                && run.is_member(u, c)
                && (1..=DEVICES).all(|d| !run.is_open(u, d)) =>
        {
            let run = run.say(by, c);
            let sequence = run.head(c);
            let key = key_of(u, c, sequence);
            let pushed = |run: Builder, taken| run.pushed(u, c, sequence, key, taken);
            if again { pushed(pushed(run, false), true) } else { pushed(run, true) }
        }
        Operation::Rewind(u, d, c, by) if !run.is_open(u, d) && run.is_member(u, c) => {
            let run = run.open(u, d).rewind(u, d, c, by);
            let others = (1..=CONVERSATIONS).filter(|other| *other != c);
            let run = others.fold(run, |run, other| {
                if run.is_member(u, other) { run.attach(u, d, other) } else { run }
            });
            (1..=CONVERSATIONS).fold(run, |run, c| run.deliver_to(u, d, c))
        }
        Operation::FailedRead(u, d, c) if run.is_open(u, d) => {
            let (device, conversation) = (run.device(u, d), ConversationId(c));
            let (request, after) = (run.head(c) as u32 + 1_000, Sequence(0));
            run.push(What::ReadBegan { device, request, conversation, after })
                .push(What::ReadFailed { device, request, conversation })
        }
        Operation::GiveUp(u, c) if may_send(&run, u, c) => {
            let run = run.send(u, c);
            let (device, message) = (run.device(u, 1), ClientMessageId(run.last_message(u)));
            run.push(What::Unanswered { device, conversation: ConversationId(c), message })
        }
        Operation::Fault(on) => {
            let target = ["store-1", "notifier-1", "gateway-2"][on as usize % 3];
            run.fault(2 + on as u32, "cut", target, 2_000)
        }
        Operation::Owner(partition) => {
            let (epoch, owner) = run.owner(partition as u16);
            run.push(What::Owner { partition: Partition(partition as u16), owner, epoch })
        }
        Operation::Limited => run.push(What::GeneratorLimited { limit: "EMFILE".into(), times: 1 }),
        _ => run,
    }
}

/// A history of these operations. If it is `prompt`, nobody is kept waiting beyond a deadline.
pub fn sound(operations: &[Operation], frame: &Frame, prompt: bool) -> History {
    let mut run = Builder::with_devices((USERS + OFFLINE) as u32, DEVICES, CONVERSATIONS as u32)
        .offline(OFFLINE as u32)
        .group(1, &[1, 2, 3, 4])
        .group(2, &[1, 2])
        .connect_all()
        .push(What::NodeStarted { node: "store-1".into() })
        .fault(1, "blip", "store-1", 1_000);
    for (at, operation) in operations.iter().enumerate() {
        if at == frame.healed_at % operations.len() {
            run = everybody_is_there(run).heal();
        }
        if prompt && matches!(operation, Operation::Wait(_) | Operation::Revoke(_)) {
            run = told_of_everything(everybody_is_there(run));
        }
        run = do_it(run, operation);
    }
    let letters = run.count(|is| matches!(is, What::DeadLetter { .. }));
    let dead = What::InFlight { queue: "dead".into(), messages: letters };
    let mut history = told_of_everything(everybody_is_there(run)).push(dead).finish();
    history.header.slow_users = frame.slow_users;
    history.header.tokens_run_out = frame.tokens_run_out;
    history.header.format = frame.format;
    if frame.format < 2 {
        history.header.offline_users = None;
        history.events.retain(|event| !matches!(event.is, What::StoredBegan { .. }));
    } else {
        history = with_cursors(history);
    }
    match frame.retention {
        Some(kept) => retained(history, kept),
        None => history,
    }
}

/// Whoever has not seen a message is told of it by a notification.
fn told_of_everything(mut run: Builder) -> Builder {
    let told = run.clone();
    for conversation in 1..=CONVERSATIONS {
        for user in 1..=USERS + OFFLINE {
            for entry in told.log(conversation) {
                let is_due = matches!(entry.said, Said::Message { .. })
                    && told.was_member(user, conversation, entry.sequence.0)
                    && entry.author.0 != user
                    && !told.has_seen(user, conversation, entry.sequence.0)
                    && !told.was_told(user, conversation, entry.sequence.0);
                if is_due {
                    let sequence = entry.sequence.0;
                    let key = key_of(user, conversation, sequence);
                    run = run.pushed(user, conversation, sequence, key, true);
                }
            }
        }
    }
    run
}

fn everybody_is_there(mut run: Builder) -> Builder {
    for user in 1..=USERS {
        for device in 1..=DEVICES {
            if !run.is_open(user, device) {
                run = run.connect(user, device);
            }
        }
    }
    (1..=CONVERSATIONS).fold(run, Builder::deliver)
}

/// The idempotency key of a notification.
const fn key_of(user: u64, conversation: u64, sequence: u64) -> u64 {
    (sequence * 10 + conversation) * 10 + user
}
