//! What devices wait for, and for how long.

use super::book::{Book, How};
use super::fields::device_of;
use super::reading::Reply;
use crate::history::event::{Device, Phase, What};
use protocol::ConversationId;

/// A wait: since when, and the line at which it ended, or the last one.
struct Wait {
    since: u64,
    to: usize,
    /// Time without a session counts as well.
    for_session: bool,
}

pub(super) fn is_a_device_stuck(book: &Book<'_>) -> bool {
    let is_too_long = |device: Device, wait: &Wait| {
        let passed = if wait.for_session {
            book.passed_since(wait.since, wait.to)
        } else {
            book.connected_since(device, wait.since, wait.to)
        };
        passed.is_some_and(|time| time > book.header.deadlines.stuck_us)
    };
    !book.is_generator_limited()
        && book.devices().into_iter().filter(|device| !book.is_slow(device.user.0)).any(|device| {
            let waits = [
                for_sessions(book, device),
                for_streams(book, device),
                for_ends(book, device),
                for_words(book, device),
                for_answers(book, device),
                for_entries(book, device),
            ];
            waits.iter().flatten().any(|wait| is_too_long(device, wait))
        })
}

/// Waits for a session. One that goes on at the end is nobody's who stays away.
fn for_sessions(book: &Book<'_>, device: Device) -> Vec<Wait> {
    let end = book.lines.len();
    let is_expected = book.is_expected(device.user.0);
    // The users begin to connect.
    let mut since =
        book.phase(Phase::WarmUp).filter(|_| is_expected).map(|line| book.lines[line].at);
    let mut is_open = false;
    let mut waits = Vec::new();
    for (number, line) in book.lines.iter().enumerate() {
        match line.is {
            What::Opened { device: d, .. } if *d == device => {
                let began = since.take();
                is_open = true;
                waits.extend(began.map(|since| Wait { since, to: number, for_session: true }));
            }
            What::Closed { device: d, .. } if *d == device && number < book.watched_to() => {
                is_open = false;
                since = since.or(Some(line.at));
            }
            What::ConnectFailed { device: d } if *d == device => since = since.or(Some(line.at)),
            _ => {}
        }
    }
    if !is_open && is_expected {
        waits.extend(since.map(|since| Wait { since, to: end, for_session: true }));
    }
    waits
}

/// Waits for the stream of a conversation.
fn for_streams(book: &Book<'_>, device: Device) -> Vec<Wait> {
    let user = device.user.0;
    let end = book.lines.len();
    let mut waits = Vec::new();
    for conversation in book.conversations() {
        let begins = (0..end).filter(|number| {
            matches!(book.lines[*number].is, What::Attached { device: d, conversation: c, .. }
                if (*d, *c) == (device, conversation))
        });
        for to in begins.chain([end]).filter(|to| book.is_member_now(user, conversation, *to)) {
            let stream = book.stream(device, conversation, to);
            let Some(session) = book.session(device, to) else { continue };
            if stream.began.is_some() {
                continue;
            }
            let detached = stream.detached.map_or(0, |line| book.lines[line].at);
            let joined = book.joined_at(user, conversation, to);
            let since = session.from.max(detached).max(joined);
            waits.push(Wait { since, to, for_session: false });
        }
    }
    waits
}

/// Waits for the end of the stream of a conversation that the user has left.
fn for_ends(book: &Book<'_>, device: Device) -> Vec<Wait> {
    let user = device.user.0;
    let end = book.lines.len();
    let mut waits = Vec::new();
    for conversation in book.conversations().filter(|_| book.header.format >= 2) {
        let ends = (0..end).filter(|number| {
            matches!(book.lines[*number].is, What::Detached { device: d, conversation: c }
                if (*d, *c) == (device, conversation))
        });
        for to in ends.chain([end]).filter(|to| book.has_left(user, conversation, *to)) {
            let stream = book.stream(device, conversation, to);
            if let Some(began) = stream.began {
                let left = book.joined_at(user, conversation, to);
                let since = left.max(book.lines[began].at);
                waits.push(Wait { since, to, for_session: false });
            }
        }
    }
    waits
}

/// Waits for word of sends.
fn for_words(book: &Book<'_>, device: Device) -> Vec<Wait> {
    let mut waits = Vec::new();
    for send in book.sends.iter().filter(|send| send.device == device) {
        let before = book.told_before(send);
        let wait = |since: u64, to: usize| {
            let words = before.iter().filter(|(line, _)| *line < to);
            let told = words.map(|(line, _)| book.lines[*line].at).max();
            Wait { since: told.map_or(since, |told| told.max(since)), to, for_session: false }
        };
        let mut since = Some(send.at);
        for (to, is_answer) in book.told(send) {
            let gave_up = matches!(book.lines[to].is, What::Unanswered { .. });
            waits.extend(since.filter(|_| !gave_up).map(|since| wait(since, to)));
            since = (!is_answer).then_some(book.lines[to].at);
        }
        waits.extend(since.map(|since| wait(since, book.lines.len())));
    }
    waits
}

/// Waits for the answers to reads.
fn for_answers(book: &Book<'_>, device: Device) -> Vec<Wait> {
    let mut waits = Vec::new();
    for (began, line) in book.lines.iter().enumerate() {
        let What::ReadBegan { device: d, request, .. } = line.is else { continue };
        let to = match book.reply(device, *request, began) {
            Reply::Ended(to) | Reply::Failed(to) => to,
            Reply::Missing => book.lines.len(),
            Reply::Lost => continue,
        };
        if *d == device {
            waits.push(Wait { since: line.at, to, for_session: false });
        }
    }
    waits
}

/// Waits for entries.
fn for_entries(book: &Book<'_>, device: Device) -> Vec<Wait> {
    let end = book.lines.len();
    let mut waits = Vec::new();
    for (conversation, sequence) in book.positions() {
        let shown = book
            .observations
            .iter()
            .find(|s| s.how == How::Shown(device) && s.is_at(conversation, sequence));
        let to = match shown {
            Some(shown) => shown.line,
            None if is_owed_now(book, device, conversation, sequence) => end,
            None => continue,
        };
        let Some(known) = book.known(conversation, sequence, to) else { continue };
        let since = known.max(progress_at(book, device, to));
        waits.push(Wait { since, to, for_session: false });
    }
    waits
}

/// Whether a device still waits for an entry at the end, in whichever session.
fn is_owed_now(
    book: &Book<'_>,
    device: Device,
    conversation: ConversationId,
    sequence: u64,
) -> bool {
    let end = book.lines.len();
    let stream = book.stream(device, conversation, end);
    stream.detached.is_none()
        && book.session(device, end).is_some()
        && book.must_see(device, conversation, sequence)
}

/// When a device got on for the last time before a line.
fn progress_at(book: &Book<'_>, device: Device, line: usize) -> u64 {
    let is_progress = |number: usize, is: &What| match is {
        What::Closed { .. } => number < book.watched_to(),
        What::Opened { .. }
        | What::ConnectFailed { .. }
        | What::Attached { .. }
        | What::Detached { .. }
        | What::Shown { .. }
        | What::Received { .. }
        | What::Accepted { .. }
        | What::Rejected { .. }
        | What::ReadEnded { .. }
        | What::ReadFailed { .. } => true,
        _ => false,
    };
    let mut lines = book.lines[..line].iter().enumerate();
    let last =
        lines.rfind(|(number, l)| device_of(l.is) == Some(device) && is_progress(*number, l.is));
    last.map_or(0, |(_, line)| line.at)
}
