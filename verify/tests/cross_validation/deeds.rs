//! Histories of a sound cluster, made of random deeds.

use proptest::prelude::*;
use protocol::{ClientMessageId, ConversationId, RejectReason, Sequence, UserId};
use verify::history::builder::{Builder, History};
use verify::history::event::{Said, What};

pub const USERS: u64 = 3;
const DEVICES: u32 = 2;
pub const CONVERSATIONS: u64 = 2;

/// One thing that happens in a sound cluster. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
pub enum Deed {
    Say(u64, u64),
    Reply(u64, u64, u64),
    Edit(u64, u64, u64),
    Delete(u64, u64, u64),
    Refused(u64, u64, bool),
    Poison(u64, u64),
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
}

pub fn deed() -> impl Strategy<Value = Deed> {
    let (u, c, n) = (1..=USERS, 1..=CONVERSATIONS, 0_u64..20);
    let d = 1..=DEVICES;
    prop_oneof![
        6 => (u.clone(), c.clone()).prop_map(|(u, c)| Deed::Say(u, c)),
        1 => (u.clone(), c.clone(), n.clone()).prop_map(|(u, c, n)| Deed::Reply(u, c, n)),
        1 => (u.clone(), c.clone(), n.clone()).prop_map(|(u, c, n)| Deed::Edit(u, c, n)),
        1 => (u.clone(), c.clone(), n.clone()).prop_map(|(u, c, n)| Deed::Delete(u, c, n)),
        1 => (u.clone(), c.clone(), any::<bool>()).prop_map(|(u, c, f)| Deed::Refused(u, c, f)),
        1 => (u.clone(), c.clone()).prop_map(|(u, c)| Deed::Poison(u, c)),
        2 => (u.clone(), c.clone()).prop_map(|(u, c)| Deed::Slow(u, c)),
        1 => u.clone().prop_map(Deed::AcceptAgain),
        1 => (u.clone(), d.clone()).prop_map(|(u, d)| Deed::Lose(u, d)),
        2 => (u.clone(), d.clone()).prop_map(|(u, d)| Deed::Connect(u, d)),
        1 => (u.clone(), c.clone()).prop_map(|(u, c)| Deed::Move(u, c)),
        2 => (u.clone(), d, c.clone(), n.clone()).prop_map(|(u, d, c, n)| Deed::Read(u, d, c, n)),
        1 => (u.clone(), u.clone(), c).prop_map(|(u, m, c)| Deed::Receipts(u, m, c)),
        1 => u.prop_map(Deed::Revoke),
        1 => n.prop_map(Deed::Measure),
        1 => Just(Deed::NextEpoch),
        1 => (1_000_u64..900_000).prop_map(Deed::Wait),
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

fn rejected(run: Builder, user: u64, conversation: u64, reason: RejectReason) -> Builder {
    let device = run.device(user, 1);
    let message = ClientMessageId(run.last_message(user));
    run.push(What::Rejected { device, conversation: ConversationId(conversation), message, reason })
}

fn do_it(run: Builder, deed: &Deed) -> Builder {
    match *deed {
        Deed::Say(u, c) if may_send(&run, u, c) => run.say(u, c),
        Deed::Slow(u, c) if may_send(&run, u, c) => run.send(u, c).commit(u).accept(u),
        Deed::Reply(u, c, n) if may_send(&run, u, c) => match target(&run, c, n, None) {
            Some(parent) => {
                let parent = Some(Sequence(parent));
                run.say_said(u, c, Said::Message { hash: n, parent })
            }
            None => run,
        },
        Deed::Edit(u, c, n) if may_send(&run, u, c) => match target(&run, c, n, Some(u)) {
            Some(t) => run.say_said(u, c, Said::Edit { target: Sequence(t), hash: n }),
            None => run,
        },
        Deed::Delete(u, c, n) if may_send(&run, u, c) => match target(&run, c, n, Some(u)) {
            Some(t) => run.say_said(u, c, Said::Delete { target: Sequence(t) }),
            None => run,
        },
        Deed::Refused(u, c, true) if run.is_open(u, 1) => {
            rejected(run.send(u, c), u, c, RejectReason::BodySize)
        }
        Deed::Refused(u, c, false) if may_send(&run, u, c) => {
            let run = rejected(run.send(u, c), u, c, RejectReason::RateLimited);
            let (device, message) = (run.device(u, 1), ClientMessageId(run.last_message(u)));
            let resent = What::Resent { device, conversation: ConversationId(c), message };
            run.push(resent).commit(u).accept(u).deliver(c)
        }
        Deed::Poison(u, c) if may_send(&run, u, c) => {
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
        _ => do_other(run, deed),
    }
}

/// What is no first attempt at a send.
fn do_other(run: Builder, deed: &Deed) -> Builder {
    match *deed {
        Deed::AcceptAgain(u) if run.is_open(u, 1) => {
            let id = run.last_message(u);
            let known = (1..=CONVERSATIONS)
                .any(|c| run.log(c).iter().any(|e| e.author.0 == u && e.message.0 == id && id > 0));
            if known { run.accept(u) } else { run }
        }
        Deed::Lose(u, d) if run.is_open(u, d) => run.lose(u, d),
        Deed::Connect(u, d) if !run.is_open(u, d) => {
            (1..=CONVERSATIONS).fold(run.connect(u, d), |run, c| run.deliver_to(u, d, c))
        }
        Deed::Move(u, c) => {
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
        Deed::Read(u, d, c, n) if run.is_open(u, d) && run.is_member(u, c) => {
            let head = run.head(c);
            run.read(u, d, c, n % (head + 1))
        }
        Deed::Receipts(observer, member, c)
            if [observer, member].iter().all(|&u| run.is_open(u, 1) && run.is_member(u, c)) =>
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
        Deed::Revoke(u) => {
            let user = UserId(u);
            run.push(What::Revoked { user }).wait(300_000).push(What::Granted { user })
        }
        Deed::Measure(value) => {
            let name = "session_queue_frames".into();
            let queue = "inbound-1".into();
            run.push(What::Gauge { node: "gateway-1".into(), name, value, limit: 20 })
                .push(What::InFlight { queue, messages: 0 })
        }
        Deed::NextEpoch => run.next_epoch(),
        Deed::Wait(us) => run.wait(us),
        _ => run,
    }
}

/// A history of these deeds. If it is `prompt`, nobody is kept waiting beyond a deadline.
pub fn sound(deeds: &[Deed], healed_at: usize, prompt: bool) -> History {
    let mut run = Builder::with_devices(USERS as u32, DEVICES, CONVERSATIONS as u32)
        .group(1, &[1, 2, 3])
        .group(2, &[1, 2])
        .connect_all()
        .fault(1, "blip", "store-1", 1_000);
    for (at, deed) in deeds.iter().enumerate() {
        if at == healed_at % deeds.len() {
            run = everybody_is_there(run).heal();
        }
        if prompt && matches!(deed, Deed::Wait(_) | Deed::Revoke(_)) {
            run = everybody_is_there(run);
        }
        run = do_it(run, deed);
    }
    let letters = run.count(|is| matches!(is, What::DeadLetter { .. }));
    let dead = What::InFlight { queue: "dead".into(), messages: letters };
    everybody_is_there(run).push(dead).finish()
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
