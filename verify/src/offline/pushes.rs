//! Notifications: those that are missing, and those that should not be.

use super::book::{Answer, Book, How};
use super::members::Membership;
use crate::history::event::{Device, Said, Shed, What};
use protocol::{ConversationId, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// A notification that the push provider was handed.
#[derive(Clone, Copy)]
struct Push {
    line: usize,
    at: u64,
    user: UserId,
    conversation: ConversationId,
    sequence: u64,
    key: u64,
    taken: bool,
}

fn pushes(book: &Book<'_>) -> Vec<Push> {
    let mut pushes = Vec::new();
    for (line, said) in book.lines.iter().enumerate() {
        let What::Pushed { user, conversation, sequence, key, taken } = said.is else { continue };
        pushes.push(Push {
            line,
            at: said.at,
            user: *user,
            conversation: *conversation,
            sequence: sequence.0,
            key: *key,
            taken: *taken,
        });
    }
    pushes
}

impl Book<'_> {
    /// Whether a sequence was seen or told as a message; `None`: nothing was seen or told there.
    fn is_message(&self, conversation: ConversationId, sequence: u64) -> Option<bool> {
        self.was_message(conversation, sequence, self.lines.len())
    }

    /// The same, as far as was known before a line.
    pub fn was_message(
        &self,
        conversation: ConversationId,
        sequence: u64,
        before: usize,
    ) -> Option<bool> {
        let seen = self.observations.iter().filter(|s| s.line < before);
        let seen = seen.filter(|s| s.is_at(conversation, sequence));
        let seen = seen.map(|s| matches!(s.entry.said, Said::Message { .. }));
        let told = self.acceptances.iter().filter(|a| a.line < before);
        let told = told.filter(|a| (a.send.conversation, a.sequence) == (conversation, sequence));
        seen.chain(told.map(|a| a.send.is_message())).reduce(|a, b| a || b)
    }
}

pub(super) fn is_somebody_away_not_told(book: &Book<'_>) -> bool {
    let pushes = pushes(book);
    // How many miss each message, and whether a notification came too late.
    let mut missing: BTreeMap<(ConversationId, u64), BTreeSet<u64>> = BTreeMap::new();
    let mut is_pushed_late = false;
    for accepted in &book.acceptances {
        for user in book.users() {
            let (c, q) = (accepted.send.conversation, accepted.sequence);
            let is_told = pushes
                .iter()
                .any(|p| (p.user.0, p.conversation, p.sequence, p.taken) == (user, c, q, true));
            let late = told_late(book, accepted, user);
            is_pushed_late |=
                late.is_some_and(|line| matches!(book.lines[line].is, What::Pushed { .. }));
            if late.is_some() || (is_due(book, accepted, user) && !is_told) {
                missing.entry((c, q)).or_default().insert(user);
            }
        }
    }
    let mut most_missed: Vec<u64> = missing.values().map(|users| users.len() as u64).collect();
    most_missed.sort_unstable_by(|a, b| b.cmp(a));
    let gave_way = book.shed(Shed::PushJobs) as usize;
    let rest: u64 = most_missed.into_iter().skip(gave_way).sum();
    let letters = book.lines.iter().filter(
        |line| matches!(line.is, What::DeadLetter { queue, .. } if queue.starts_with("notify")),
    );
    let shed = book.shed(Shed::DeadLetters) + book.shed(Shed::Pushes);
    let given_up = letters.count() as u64 + shed;
    !book.is_generator_limited() && (is_pushed_late || rest > given_up)
}

/// Where a user heard of a message, from anybody, for the first time, if the time for it had passed.
fn told_late(book: &Book<'_>, accepted: &Answer, user: u64) -> Option<usize> {
    let (conversation, sequence) = (accepted.send.conversation, accepted.sequence);
    let seen = book.observations.iter().filter(|s| match s.how {
        How::Shown(device) | How::Read(device, _) => {
            device.user.0 == user && s.is_at(conversation, sequence)
        }
        How::Received(_) | How::Stored => false,
    });
    let taken = pushes(book).into_iter().filter(|p| {
        (p.user.0, p.conversation, p.sequence, p.taken) == (user, conversation, sequence, true)
    });
    let first = seen.map(|s| s.line).chain(taken.map(|p| p.line)).min();
    first.filter(|&line| {
        line > accepted.line
            && (!book.is_slow(user) || matches!(book.lines[line].is, What::Pushed { .. }))
            && book.was_message(conversation, sequence, line + 1) == Some(true)
            && book.author(conversation, sequence, book.lines.len()) != Some(UserId(user))
            && book.passed_since(accepted.at, line).is_some_and(|passed| passed > allowed(book))
            && book.is_due(user, conversation, sequence, u64::MAX)
    })
}

fn allowed(book: &Book<'_>) -> u64 {
    let deadlines = &book.header.deadlines;
    deadlines.pushed_us.unwrap_or(deadlines.stuck_us)
}

/// Whether a user should have been told of a message by a notification, if not otherwise.
fn is_due(book: &Book<'_>, accepted: &Answer, user: u64) -> bool {
    let (conversation, sequence) = (accepted.send.conversation, accepted.sequence);
    let end = book.lines.len();
    let sees = book.observations.iter().any(|s| match s.how {
        How::Shown(device) | How::Read(device, _) => {
            device.user.0 == user && s.is_at(conversation, sequence)
        }
        How::Received(_) | How::Stored => false,
    });
    let is_there = |device: Device| {
        book.sessions(device).last().is_some_and(|session| session.ends == usize::MAX)
    };
    book.is_message(conversation, sequence) == Some(true)
        && !(book.is_slow(user) && book.devices_of(user).into_iter().any(is_there))
        && book.author(conversation, sequence, end) != Some(UserId(user))
        && book.passed_since(accepted.at, end).is_some_and(|passed| passed > allowed(book))
        && book.is_due(user, conversation, sequence, u64::MAX)
        && !sees
}

pub(super) fn is_a_notification_wrong(book: &Book<'_>) -> bool {
    let pushes = pushes(book);
    pushes.iter().any(|push| {
        let same = |other: &&Push| {
            (other.user, other.conversation, other.sequence)
                == (push.user, push.conversation, push.sequence)
        };
        let others = pushes.iter().filter(same);
        let other_key =
            others.clone().any(|other| push.key != 0 && other.key != 0 && other.key != push.key);
        let is_shared =
            pushes.iter().any(|other| !same(&other) && push.key != 0 && other.key == push.key);
        other_key
            || is_shared
            || is_before_the_send(book, push)
            || is_to_the_wrong_one(book, push)
            || was_present(book, push)
            || is_taken_too_often(book, others.collect())
    })
}

/// Whether a notification was taken more often than answers, or jobs, can have been lost.
fn is_taken_too_often(book: &Book<'_>, same: Vec<&Push>) -> bool {
    let taken: Vec<&Push> = same.into_iter().filter(|push| push.taken).collect();
    let Some(first) = taken.first() else { return false };
    let since = first.at.saturating_sub(book.header.deadlines.stuck_us);
    let too_often = |(again, push): (usize, &&Push)| {
        let carries =
            |target: &str| ["notifier", "broker", "clients"].iter().any(|r| target.contains(r));
        let lost = |target: &str| if carries(target) { 5 } else { 1 };
        let faults = book.faults_since(since, push.line);
        again > faults.into_iter().map(lost).sum()
    };
    !book.is_generator_limited() && taken.iter().enumerate().any(too_often)
}

/// Whether a notification was handed over before its message was sent. When that was is known of what was
/// accepted while its device still waited for it.
fn is_before_the_send(book: &Book<'_>, push: &Push) -> bool {
    let accepted = book.accepted_as(push.conversation, push.sequence);
    accepted.is_some_and(|a| push.at < a.send.at && book.told(&a.send).contains(&(a.line, true)))
}

/// Whether a notification is about no message, or not for its user.
fn is_to_the_wrong_one(book: &Book<'_>, push: &Push) -> bool {
    let (conversation, sequence) = (push.conversation, push.sequence);
    let is_message = book.is_message(conversation, sequence);
    let is_author = is_message == Some(true)
        && book.author(conversation, sequence, book.lines.len()) == Some(push.user);
    let is_covered = book.final_read(conversation).is_some_and(|read| {
        sequence <= read.head || read.began.is_some_and(|began| push.line < began)
    });
    let is_nothing = is_message.is_none() && is_covered && !book.is_removed(conversation, sequence);
    let is_outside = book.membership(push.user.0, conversation, sequence) == Membership::Outside;
    is_author || is_nothing || is_message == Some(false) || (is_message == Some(true) && is_outside)
}

/// Whether a device of the user had the stream from before the send until well behind the notification,
/// and showed the message in that session.
fn was_present(book: &Book<'_>, push: &Push) -> bool {
    let Some(accepted) = book.accepted_as(push.conversation, push.sequence) else { return false };
    // Clusters of format 1 pushed to whoever was there after a store's restart.
    book.header.format >= 2
        && !book.is_slow(push.user.0)
        && !was_out_of_reach(book, push)
        && book.devices_of(push.user.0).into_iter().any(|device| {
            let stream = book.stream(device, push.conversation, push.line);
            let (Some(began), Some(session)) = (stream.began, book.session(device, push.line))
            else {
                return false;
            };
            let shows = book.observations.iter().any(|s| {
                s.how == How::Shown(device)
                    && s.is_at(push.conversation, push.sequence)
                    && session.begins < s.line
                    && s.line < session.ends
            });
            let said_goodbye = book
                .lines
                .get(session.ends)
                .is_some_and(|end| matches!(end.is, What::Closed { code: 1_000, .. }));
            // A session that ends sooner was dead to its gateway.
            let lives = session.ends == usize::MAX
                || said_goodbye
                || session.to - push.at > book.header.deadlines.stuck_us;
            lives && began > session.begins && book.lines[began].at < accepted.send.at && shows
        })
}

/// Whether faults on the nodes that know who is there, less than 5 s apart, had lasted for 10 s, and had not
/// ended long ago.
fn was_out_of_reach(book: &Book<'_>, push: &Push) -> bool {
    let on = |target: &str| {
        ["gateway", "store", "broker", "notifier"].iter().any(|role| target.contains(role))
    };
    let faults = book.faults(push.line).into_iter().filter(|(target, ..)| on(target));
    let mut spans: Vec<(u64, u64)> =
        faults.map(|(_, began, ended)| (began, ended.unwrap_or(push.at))).collect();
    spans.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (began, ended) in spans {
        match joined.last_mut() {
            Some(last) if began <= last.1 + 5_000_000 => last.1 = last.1.max(ended),
            _ => joined.push((began, ended)),
        }
    }
    let recently = push.at.saturating_sub(book.header.deadlines.stuck_us);
    joined.iter().any(|(began, ended)| ended - began >= 10_000_000 && *ended >= recently)
}
