//! What entries say, wherever they are seen: who sent them, under which sequence, in which version.

use super::book::{Book, How, Observation};
use crate::history::event::{Said, What};
use protocol::{ConversationId, RejectReason};

/// Whether an answer refuses a send for good. After `unauthorised` it comes again with a new token.
pub(super) const fn is_final(reason: RejectReason) -> bool {
    !matches!(
        reason,
        RejectReason::RateLimited | RejectReason::Unavailable | RejectReason::Unauthorised
    )
}

/// Whether a refusal is a decision about the id, which stands for ever.
pub(super) const fn is_decision(reason: RejectReason) -> bool {
    matches!(
        reason,
        RejectReason::NotMember
            | RejectReason::NotAuthor
            | RejectReason::NoSuchMessage
            | RejectReason::DeadLettered
    )
}

impl Book<'_> {
    /// Whether what was refused so was never accepted, even if it was sent several times.
    pub fn stands(&self, reason: RejectReason) -> bool {
        self.header.format > 1 && is_decision(reason)
    }

    /// Whether a message was refused for good, at its only attempt or by a decision, before a line, and not put back.
    pub fn is_refused(&self, author: u64, id: u64, line: usize) -> bool {
        let mut is_again = false;
        let mut is_refused = false;
        let sent = self.send_of(author, id, line).map_or(line, |send| send.line);
        for earlier in &self.lines[sent..line] {
            match earlier.is {
                What::Resent { device, message, .. }
                    if (device.user.0, message.0) == (author, id) =>
                {
                    is_again = true;
                }
                What::Rejected { device, message, reason, .. }
                    if (device.user.0, message.0) == (author, id) && is_final(*reason) =>
                {
                    is_refused |= !is_again || self.stands(*reason);
                }
                What::Requeued { author: a, message } if (a.0, message.0) == (author, id) => {
                    return false;
                }
                _ => {}
            }
        }
        is_refused
    }
}

/// Whether a stream ends by `detached` without a departure.
fn does_a_stream_end_by_itself(book: &Book<'_>) -> bool {
    let asks = |is: &What| matches!(is, What::MemberAsked { .. });
    book.header.format >= 2
        && book.lines.iter().enumerate().any(|(line, said)| {
            let What::Detached { device, conversation } = *said.is else { return false };
            let user = device.user;
            let earlier = &book.lines[..line];
            let is_asked = earlier.iter().any(|l| {
                matches!(*l.is, What::MemberAsked { conversation: c, user: u, add: false }
                    if (c, u) == (conversation, user))
            });
            let stream = book.stream(device, conversation, line);
            let read = book.final_read(conversation);
            let is_known = read.is_some_and(|read| read.first <= stream.from + 1);
            let changes = book.changes(user.0, conversation, book.lines.len());
            let departs = changes.iter().any(|c| !c.joined && c.sequence > stream.from);
            book.is_watched(line)
                && earlier.iter().any(|l| asks(l.is))
                && (!is_asked || (stream.began.is_some() && is_known && !departs))
        })
}

/// Whether a line refuses for good what had been seen.
fn refuses_what_was_seen(book: &Book<'_>, line: usize) -> bool {
    let What::Rejected { device, message, reason, .. } = book.lines[line].is else { return false };
    let Some(send) = book.send_of(device.user.0, message.0, line) else { return false };
    is_final(*reason)
        && book.observations.iter().any(|s| s.line < line && book.sent_as(s) == Some(send))
        && book.is_refused(device.user.0, message.0, line + 1)
        && {
            // It may have been refused before: what counts is this refusal.
            let is_again = book.lines[send.line..line].iter().any(|earlier| {
                matches!(earlier.is, What::Resent { device: d, message: m, .. }
                    if (d.user, m) == (device.user, message))
            });
            !is_again || book.stands(*reason)
        }
}

pub(super) fn is_something_made_up(book: &Book<'_>) -> bool {
    let refused = (0..book.lines.len()).any(|line| refuses_what_was_seen(book, line));
    refused
        || does_a_stream_end_by_itself(book)
        || is_done_too_often(book)
        || book.observations.iter().any(|observation| match observation.entry.said {
            Said::Join { user } => nobody_asked(book, observation, user.0, true),
            Said::Leave { user } => nobody_asked(book, observation, user.0, false),
            _ => {
                let entry = observation.entry;
                book.sent_as(observation).is_none_or(|send| {
                    !send.is(entry)
                        || book.is_refused(entry.author.0, entry.message.0, observation.line)
                })
            }
        })
}

/// Whether a user joined, or departed, more often than anybody asked for.
fn is_done_too_often(book: &Book<'_>) -> bool {
    let end = book.lines.len();
    let Some(first) = book.first(|is| matches!(is, What::MemberAsked { .. })) else { return false };
    book.conversations().any(|conversation| {
        book.users().any(|user| {
            let early = book.changes(user, conversation, first);
            let all = book.changes(user, conversation, end);
            let is_new = |sequence| early.iter().all(|change| change.sequence != sequence);
            [false, true].into_iter().any(|joins| {
                let changes = all.iter().filter(|c| c.joined == joins && is_new(c.sequence));
                let asked = book.lines.iter().filter(|line| {
                    matches!(line.is, What::MemberAsked { conversation: c, user: u, add }
                        if (*c, u.0, *add) == (conversation, user, joins))
                });
                changes.count() > asked.count() && !book.may_repeat(user, conversation, joins, end)
            })
        })
    })
}

fn nobody_asked(book: &Book<'_>, observation: &Observation<'_>, user: u64, joins: bool) -> bool {
    let asked: Vec<_> = book.lines[..observation.line]
        .iter()
        .filter_map(|line| match line.is {
            What::MemberAsked { conversation, user, add } => Some((*conversation, user.0, *add)),
            _ => None,
        })
        .collect();
    !asked.is_empty() && !asked.contains(&(observation.entry.conversation, user, joins))
}

/// Whether a stream begins again in its session, behind less than has arrived in it.
fn does_a_stream_go_back(book: &Book<'_>) -> bool {
    book.header.format >= 2
        && book.lines.iter().enumerate().any(|(line, said)| {
            let What::Attached { device, conversation, from, .. } = said.is else { return false };
            let stream = book.stream(*device, *conversation, line);
            stream.began.is_some() && from.0 < stream.arrived
        })
}

pub(super) fn is_something_there_twice(book: &Book<'_>) -> bool {
    let again = book.observations.iter().any(|observation| {
        let (c, q) = (observation.entry.conversation, observation.entry.sequence.0);
        match observation.how {
            How::Shown(device) => book.was_shown(device, c, q, observation.line),
            How::Received(device) => {
                let stream = book.stream(device, c, observation.line);
                stream.began.is_none() || q <= stream.arrived
            }
            _ => false,
        }
    });
    let sequences = |a: &Observation<'_>, b: &Observation<'_>| {
        let [one, other] = [a, b].map(|s| book.sent_as(s).map(|send| send.line));
        one.is_some() && one == other && a.entry.sequence != b.entry.sequence
    };
    again
        || does_a_stream_go_back(book)
        || book.observations.iter().any(|a| book.observations.iter().any(|b| sequences(a, b)))
}

pub(super) fn do_observations_differ(book: &Book<'_>) -> bool {
    let says = |s: &Observation<'_>| (s.entry.author, s.entry.message, s.entry.said);
    book.observations.iter().any(|a| {
        let same = |b: &&Observation<'_>| b.is_at(a.entry.conversation, a.entry.sequence.0);
        book.observations.iter().filter(same).any(|b| says(a) != says(b))
    })
}

pub(super) fn does_an_answer_lie(book: &Book<'_>) -> bool {
    let misplaced = book.lines.iter().enumerate().any(|(number, line)| {
        let What::Accepted { device, conversation, message, .. } = line.is else { return false };
        let send = book.send_of(device.user.0, message.0, number);
        send.is_some_and(|send| send.conversation != *conversation)
    });
    let contradicts = |one: &super::book::Answer| {
        let conversation = one.send.conversation;
        let other_answer = book.answers.iter().any(|other| {
            let same_send = other.send == one.send;
            let same_place =
                (other.send.conversation, other.sequence) == (conversation, one.sequence);
            same_send != same_place && (same_send || same_place)
        });
        let other_entry = book.observations.iter().any(|observation| {
            let is_there = observation.is_at(conversation, one.sequence);
            let is_it = book.sent_as(observation).is_some_and(|send| send == one.send);
            (is_there && !one.send.is(observation.entry)) || (is_it && !is_there)
        });
        other_answer || other_entry
    };
    misplaced || book.answers.iter().any(contradicts)
}

/// An observation of an edit or a deletion.
#[derive(Clone, Copy)]
struct Version {
    line: usize,
    at: u64,
    how: How,
    conversation: ConversationId,
    target: u64,
    sequence: u64,
    deletes: bool,
}

fn versions(book: &Book<'_>) -> Vec<Version> {
    let version = |s: &Observation<'_>| {
        let (target, deletes) = match s.entry.said {
            Said::Edit { target, .. } => (target.0, false),
            Said::Delete { target } => (target.0, true),
            _ => return None,
        };
        let (conversation, sequence) = (s.entry.conversation, s.entry.sequence.0);
        Some(Version {
            line: s.line,
            at: s.at,
            how: s.how,
            conversation,
            target,
            sequence,
            deletes,
        })
    };
    book.observations.iter().filter_map(version).collect()
}

pub(super) fn do_versions_differ(book: &Book<'_>) -> bool {
    let versions = versions(book);
    let of_message =
        |v: &Version, w: &Version| (v.conversation, v.target) == (w.conversation, w.target);
    let falls = versions.iter().any(|v| {
        let earlier = |w: &&Version| w.line < v.line && w.how == v.how && of_message(v, w);
        let mut before = versions.iter().filter(earlier);
        matches!(v.how, How::Shown(_))
            && (before.clone().next_back().is_some_and(|w| v.sequence < w.sequence)
                || (!v.deletes && before.any(|w| w.deletes)))
    });
    let end = book.lines.len();
    let apart = |v: &Version| {
        let newest = versions.iter().filter(|w| of_message(v, w)).map(|w| w.sequence).max();
        // It is judged once, at its first observation.
        let first = versions.iter().find(|w| of_message(v, w) && Some(w.sequence) == newest);
        first.is_some_and(|first| first.line == v.line)
            && book.devices().into_iter().any(|device| {
                let shows = |w: &&Version| w.how == How::Shown(device) && of_message(v, w);
                let last = versions.iter().rfind(shows).map(|w| w.sequence);
                let since = v.at.max(book.joined_at(device.user.0, v.conversation, end));
                book.must_see(device, v.conversation, v.sequence)
                    && book.is_overdue(device, since, end)
                    && last != newest
            })
    };
    let follows = book.header.format >= 2
        && versions.iter().any(|v| {
            let deleted = |w: &Version| of_message(v, w) && w.deletes && w.sequence < v.sequence;
            versions.iter().any(deleted)
        });
    falls
        || follows
        || book.observations.iter().any(|s| is_about_no_message(book, s))
        || (!book.is_generator_limited() && versions.iter().any(apart))
}

/// Whether an edit, a deletion or a reply is about something that is no message before it.
fn is_about_no_message(book: &Book<'_>, s: &Observation<'_>) -> bool {
    let (Said::Edit { target, .. }
    | Said::Delete { target }
    | Said::Message { parent: Some(target), .. }) = s.entry.said
    else {
        return false;
    };
    let (conversation, target) = (s.entry.conversation, target.0);
    let is_stored = book
        .final_read(conversation)
        .is_some_and(|read| (read.first..=read.head).contains(&target));
    target == 0
        || target >= s.entry.sequence.0
        || (is_stored && !book.is_known_message(conversation, target, book.lines.len()))
}
