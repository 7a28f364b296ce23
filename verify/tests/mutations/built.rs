//! A sound history with a little of everything, made by the model cluster of `verify::history::builder`.

use protocol::{ClientMessageId, ConversationId, RejectReason, Sequence, UserId};
use verify::history::builder::{Builder, History};
use verify::history::event::{Event, Said, What};

const USERS: u64 = 6;
/// The last of them stays away.
const CONNECTED: u64 = 5;
const CONVERSATIONS: u64 = 4;

pub fn history() -> History {
    let mut run = Builder::with_devices(USERS as u32, 2, CONVERSATIONS as u32)
        .offline(1)
        .group(1, &[1, 2, 3, 6])
        .group(2, &[1, 2, 3, 4])
        .group(3, &[4, 5])
        .group(4, &[2, 4, 5, 6])
        .push(What::NodeStarted { node: "store-1".into() })
        .connect_all();
    run = (0..10).fold(run, talk);
    run = receipts(run);
    run = run.fault(1, "kill", "store-1", 3_000).next_epoch().fault(2, "cut", "gateway-2", 3_000);
    run = (10..14).fold(run, talk);
    run = rare(run).heal();
    run = (14..17).fold(run, talk).wait(520_000);
    run = receipts((17..26).fold(run, talk));
    let letters = run.count(|is| matches!(is, What::DeadLetter { .. }));
    run = run.push(What::InFlight { queue: "dead".into(), messages: letters });
    with_cursors(run.finish())
}

/// Everybody says something; some answer, change or withdraw it.
fn talk(mut run: Builder, round: u64) -> Builder {
    for conversation in 1..=CONVERSATIONS {
        let members: Vec<u64> =
            (1..=CONNECTED).filter(|user| run.is_member(*user, conversation)).collect();
        let author = members[round as usize % members.len()];
        run = say(run, author, conversation, None);
        let said = run.head(conversation);
        if round.is_multiple_of(3) {
            let other = members[(round as usize + 1) % members.len()];
            let parent = Some(Sequence(said));
            run = say(run, other, conversation, Some(Said::Message { hash: round * 7, parent }));
        }
        if round % 4 == 1 {
            let target = Sequence(said);
            run = say(run, author, conversation, Some(Said::Edit { target, hash: round * 11 }));
            if round % 8 == 1 {
                run = say(run, author, conversation, Some(Said::Edit { target, hash: round * 13 }));
            } else {
                run = say(run, author, conversation, Some(Said::Delete { target }));
            }
        }
        if round % 5 == 2 {
            run = run.read(author, 1, conversation, 0);
        }
    }
    let gauge = What::Gauge {
        node: "gateway-1".into(),
        name: "session_queue_frames".into(),
        value: round,
        limit: 40,
    };
    run.push(gauge)
}

/// A send that everybody sees, and of which those who are away are notified.
fn say(run: Builder, author: u64, conversation: u64, said: Option<Said>) -> Builder {
    let mut run = match said {
        Some(said) => run.say_said(author, conversation, said),
        None => run.say(author, conversation),
    };
    let sequence = run.head(conversation);
    let is_message = matches!(said, None | Some(Said::Message { .. }));
    for user in 1..=USERS {
        let is_away = (1..=2).all(|device| !run.is_open(user, device));
        if is_message && is_away && run.was_member(user, conversation, sequence) {
            run = run.pushed(
                user,
                conversation,
                sequence,
                (sequence * 10 + conversation) * 10 + user,
                true,
            );
        }
    }
    run
}

/// Everybody reports what was shown, and everybody else is told.
fn receipts(mut run: Builder) -> Builder {
    for conversation in 1..=CONVERSATIONS {
        let id = ConversationId(conversation);
        let (delivered, read) =
            (Sequence(run.head(conversation)), Sequence(run.head(conversation) - 1));
        let members: Vec<u64> =
            (1..=CONNECTED).filter(|user| run.is_member(*user, conversation)).collect();
        for &member in &members {
            let device = run.device(member, 1);
            run = run.push(What::ReceiptSent { device, conversation: id, delivered, read });
            for &observer in members.iter().filter(|other| **other != member) {
                let (device, user) = (run.device(observer, 1), UserId(member));
                let conversation = id;
                run = run.push(What::ReceiptSeen { device, conversation, user, delivered, read });
            }
        }
    }
    run
}

/// What happens once or twice.
fn rare(run: Builder) -> Builder {
    let run = refused_for_now(run, 1, 1);
    let run = refused_for_now(run, 2, 4);
    let run = dead_letter(dead_letter(run, 1), 3);
    // User 3 leaves and comes back, user 4 joins.
    let run = leave(run, 3, 2);
    let run = say(say(run, 1, 2, None), 2, 2, None);
    let run = join(run, 3, 2);
    let run = join(run, 4, 1);
    // User 5 is away for a while, and reads what it missed later.
    let run = run.lose(5, 1).goodbye(5, 2);
    let run = say(say(run, 4, 3, None), 4, 4, None);
    let run = say(run, 2, 4, None);
    let run = run.open(5, 1).rewind(5, 1, 3, 2).rewind(5, 1, 4, 1);
    let run = run.deliver(3).deliver(4).connect(5, 2).deliver(3).deliver(4);
    let user = UserId(2);
    let run = run.push(What::Revoked { user }).wait(100_000).push(What::Granted { user });
    let (partition, device) = (2, run.device(1, 2));
    let (epoch, owner) = run.owner(partition);
    let conversation = ConversationId(1);
    run.push(What::Owner { partition: protocol::Partition(partition), owner, epoch })
        .push(What::ReadBegan { device, request: 7, conversation, after: Sequence(0) })
        .push(What::ReadFailed { device, request: 7, conversation })
}

fn refused_for_now(run: Builder, user: u64, conversation: u64) -> Builder {
    let run = run.send(user, conversation);
    let (device, message) = (run.device(user, 1), ClientMessageId(run.last_message(user)));
    let (id, reason) = (ConversationId(conversation), RejectReason::RateLimited);
    let refused = What::Rejected { device, conversation: id, message, reason };
    let again = What::Resent { device, conversation: id, message };
    let run = run.push(refused).push(again).commit(user).accept(user).deliver(conversation);
    let sequence = run.head(conversation);
    run.pushed(6, conversation, sequence, (sequence * 10 + conversation) * 10 + 6, true)
}

fn dead_letter(run: Builder, user: u64) -> Builder {
    let run = run.send(user, 1);
    let (device, message) = (run.device(user, 1), ClientMessageId(run.last_message(user)));
    let (conversation, reason) = (ConversationId(1), RejectReason::DeadLettered);
    run.push(What::Rejected { device, conversation, message, reason }).push(What::DeadLetter {
        queue: "inbound.1".into(),
        reason: "unknown format 99".into(),
        author: Some(UserId(user)),
        message: Some(message),
        conversation: Some(conversation),
    })
}

fn leave(run: Builder, user: u64, conversation: u64) -> Builder {
    let run = run.change_member(conversation, user, false).deliver(conversation);
    let id = ConversationId(conversation);
    (1..=2).fold(run, |run, device| {
        let device = run.device(user, device);
        run.push(What::Detached { device, conversation: id })
    })
}

fn join(run: Builder, user: u64, conversation: u64) -> Builder {
    let run = run.change_member(conversation, user, true);
    (1..=2).fold(run, |run, device| run.attach(user, device, conversation)).deliver(conversation)
}

/// The final reads with the members' cursors, as they were displayed last.
fn with_cursors(mut history: History) -> History {
    let mut cursors: Vec<What> = Vec::new();
    for event in history.events.iter().rev() {
        let What::ReceiptSeen { conversation, user, delivered, read, .. } = event.is else {
            continue;
        };
        let is_known = |is: &What| {
            matches!(is, What::StoredCursor { conversation: c, user: u, .. }
                if (*c, *u) == (conversation, user))
        };
        if !cursors.iter().any(is_known) {
            cursors.push(What::StoredCursor { conversation, user, delivered, read });
        }
    }
    let all = (1..=CONVERSATIONS).map(ConversationId);
    cursors.extend(all.map(|conversation| What::StoredCursorsAll { conversation }));
    let end = history.events.pop().expect("the end");
    history.events.extend(cursors.into_iter().map(|is| Event { at: end.at, is }));
    history.events.push(end);
    history
}
