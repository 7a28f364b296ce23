//! The streaming judge against the brute-force one, on small random histories.
//!
//! A model of a sound cluster makes a history; then something in it is broken. Both judges must agree
//! on every invariant, whatever was broken; and on an unbroken history none may raise an alarm.

use proptest::prelude::*;
use protocol::{
    ClientMessageId, ConversationId, Epoch, NodeNumber, RejectReason, Sequence, UserId,
};
use verify::history::builder::{Builder, History};
use verify::history::event::{Event, Said, Seen, What};
use verify::{CATALOGUE, Judge, JudgeOptions, offline};

const USERS: u64 = 3;
const DEVICES: u32 = 2;
const CONVERSATIONS: u64 = 2;

/// One thing that happens in a sound cluster. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Deed {
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
    NextEpoch,
    Wait(u64),
}

fn deed() -> impl Strategy<Value = Deed> {
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
            if run.is_open(observer, 1) && run.is_open(member, 1) && run.is_member(member, c) =>
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
        Deed::NextEpoch => run.next_epoch(),
        Deed::Wait(us) => run.wait(us),
        _ => run,
    }
}

/// A history of these deeds. If it is `prompt`, nobody is kept waiting beyond a deadline.
fn sound(deeds: &[Deed], healed_at: usize, prompt: bool) -> History {
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
    everybody_is_there(run).finish()
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

/// Something that breaks a history. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Breakage {
    Drop(usize),
    DropKind(usize),
    Duplicate(usize, usize),
    Swap(usize, usize),
    Reorder(usize, usize),
    Number(usize, u64, u8),
    Late(usize, u64),
}

fn breakage() -> impl Strategy<Value = Breakage> {
    let at = || 0_usize..10_000;
    prop_oneof![
        4 => at().prop_map(Breakage::Drop),
        1 => at().prop_map(Breakage::DropKind),
        3 => (at(), at()).prop_map(|(a, b)| Breakage::Duplicate(a, b)),
        2 => (at(), at()).prop_map(|(a, b)| Breakage::Swap(a, b)),
        3 => (at(), 1_usize..12).prop_map(|(a, b)| Breakage::Reorder(a, b)),
        8 => (at(), 0_u64..12, 0_u8..8).prop_map(|(a, n, which)| Breakage::Number(a, n, which)),
        2 => (at(), 100_000_u64..3_000_000).prop_map(|(a, us)| Breakage::Late(a, us)),
    ]
}

/// Everything but the phases may be broken: without these nothing is judged alike.
fn apply(events: &mut Vec<Event>, breakage: &Breakage) {
    let length = events.len();
    let fixed = |event: &Event| matches!(event.is, What::Phase(_));
    match *breakage {
        Breakage::Drop(at) => {
            if !fixed(&events[at % length]) {
                events.remove(at % length);
            }
        }
        Breakage::DropKind(at) => {
            let kind = std::mem::discriminant(&events[at % length].is);
            if !fixed(&events[at % length]) {
                events.retain(|event| std::mem::discriminant(&event.is) != kind);
            }
        }
        Breakage::Duplicate(from, to) => {
            let (is, at) = (events[from % length].is.clone(), events[to % length].at);
            if !matches!(is, What::Phase(_)) {
                events.insert(to % length + 1, Event { at, is });
            }
        }
        Breakage::Swap(a, b) => swap(events, a % length, b % length),
        Breakage::Reorder(at, by) => swap(events, at % length, (at + by) % length),
        Breakage::Number(at, number, which) => change(&mut events[at % length].is, number, which),
        Breakage::Late(at, us) => {
            for event in &mut events[at % length..] {
                event.at += us;
            }
        }
    }
}

fn swap(events: &mut [Event], a: usize, b: usize) {
    let movable = |event: &Event| !matches!(event.is, What::Phase(_));
    if movable(&events[a]) && movable(&events[b]) {
        let first = events[a].is.clone();
        events[a].is = std::mem::replace(&mut events[b].is, first);
    }
}

fn change_entry(entry: &mut Seen, number: u64, which: u8) {
    match which {
        0 => entry.sequence = Sequence(number + 1),
        1 => entry.epoch = Epoch(number % 3),
        2 => entry.owner = NodeNumber(number as u16 % 3 + 1),
        3 => entry.author = UserId(number % 5),
        4 => entry.message = ClientMessageId(number),
        5 => entry.conversation = ConversationId(number % CONVERSATIONS + 1),
        _ => match &mut entry.said {
            Said::Message { hash, parent } if which == 6 => {
                (*hash, *parent) = (number, number.checked_sub(3).map(Sequence));
            }
            Said::Message { hash, .. } | Said::Edit { hash, .. } => *hash ^= 1,
            Said::Delete { target } => *target = Sequence(number),
            Said::Join { user } | Said::Leave { user } => *user = UserId(number % USERS + 1),
        },
    }
}

fn change(is: &mut What, number: u64, which: u8) {
    match is {
        What::Shown { entry, .. } | What::Read { entry, .. } | What::Stored { entry } => {
            change_entry(entry, number, which);
        }
        What::Accepted { sequence, epoch, owner, conversation, message, .. } => match which {
            0..=2 => *sequence = Sequence(number + 1),
            3 => *epoch = Epoch(number % 3),
            4 => *owner = NodeNumber(number as u16 % 3 + 1),
            5 => *conversation = ConversationId(number % CONVERSATIONS + 1),
            _ => *message = ClientMessageId(number),
        },
        What::Rejected { reason, message, .. } => match which {
            0..=3 => *message = ClientMessageId(number),
            4 => *reason = RejectReason::Unavailable,
            _ => *reason = RejectReason::DeadLettered,
        },
        What::Attached { from, .. } => *from = Sequence(number),
        What::ReadBegan { after, .. } => *after = Sequence(number),
        What::ReadEnded { head, whole, .. } => match which {
            0..=4 => *head = Sequence(number),
            _ => *whole = !*whole,
        },
        What::StoredAll { first, head, whole, .. } => match which {
            0..=2 => *first = Sequence(number),
            3..=5 => *head = Sequence(number),
            _ => *whole = false,
        },
        What::MemberChanged { sequence, add, .. } => match which {
            0..=4 => *sequence = Sequence(number + 1),
            _ => *add = !*add,
        },
        What::ReceiptSeen { delivered, read, .. } | What::ReceiptSent { delivered, read, .. } => {
            match which {
                0..=3 => *delivered = Sequence(number),
                _ => *read = Sequence(number),
            }
        }
        What::Closed { code, .. } => *code = if which < 4 { 1000 } else { 4410 },
        What::DeadLetter { author, reason, .. } => match which {
            0..=3 => *author = None,
            _ => *reason = "".into(),
        },
        _ => {}
    }
}

fn streamed(history: &History) -> Vec<(&'static str, bool)> {
    let options = JudgeOptions { may_be_idle: Vec::new(), evidence_max: 2 };
    let mut judge = Judge::new(&history.header, options);
    history.events.iter().for_each(|event| judge.observe(event));
    let findings = judge.finish().findings;
    let names = CATALOGUE.iter().map(|claim| claim.name);
    names.zip(findings).map(|(name, finding)| (name, finding.violations > 0)).collect()
}

fn lines(history: &History) -> String {
    let line = |event: &Event| serde_json::to_string(event).expect("an event");
    history.events.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn disagreements(history: &History) -> Vec<String> {
    let brute: Vec<_> = offline::judge(&history.header, &history.events);
    streamed(history)
        .into_iter()
        .filter_map(|(name, stream)| {
            let (_, brute) = brute.iter().find(|(other, _)| *other == name).expect("judged");
            (stream != *brute).then(|| format!("{name}: streaming {stream}, brute force {brute}"))
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_sound_cluster_raises_no_alarm(
        deeds in prop::collection::vec(deed(), 1..40),
        healed_at in 0_usize..40,
    ) {
        let history = sound(&deeds, healed_at, true);
        let alarms: Vec<_> = streamed(&history).into_iter().filter(|(_, violated)| *violated).collect();
        prop_assert!(alarms.is_empty(), "{alarms:?}\n{}", lines(&history));
        prop_assert_eq!(disagreements(&history), Vec::<String>::new(), "{}", lines(&history));
    }

    #[test]
    fn both_judges_agree_on_every_invariant(
        deeds in prop::collection::vec(deed(), 1..30),
        healed_at in 0_usize..30,
        breakages in prop::collection::vec(breakage(), 1..4),
    ) {
        let mut history = sound(&deeds, healed_at, false);
        for breakage in &breakages {
            apply(&mut history.events, breakage);
        }
        prop_assert_eq!(disagreements(&history), Vec::<String>::new(), "{}", lines(&history));
    }
}
