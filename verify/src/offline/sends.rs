//! What becomes of sends: their order, and their end.

use super::book::{Book, Send};
use super::content::is_final;
use super::refusals::is_refused_wrongly;
use crate::history::event::{Phase, Shed, What};
use protocol::RejectReason;

/// What a line says about a send.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Resent,
    Accepted,
    RefusedForNow,
    RefusedForGood(RejectReason),
    GivenUp,
    Letter,
    Requeued,
}

impl Book<'_> {
    /// Everything that is said about a send, in order: line, and whether its device was told.
    fn words(&self, send: &Send) -> Vec<(usize, bool, Word)> {
        let mut words = Vec::new();
        for (line, said) in self.lines.iter().enumerate().skip(send.line + 1) {
            let (device, id, word) = match said.is {
                What::Resent { device, message, .. } => (*device, *message, Word::Resent),
                What::Accepted { device, message, .. } => (*device, *message, Word::Accepted),
                What::Rejected { device, message, reason, .. } if is_final(*reason) => {
                    (*device, *message, Word::RefusedForGood(*reason))
                }
                What::Rejected { device, message, .. } => (*device, *message, Word::RefusedForNow),
                What::Unanswered { device, message, .. } if self.is_loaded(line) => {
                    (*device, *message, Word::GivenUp)
                }
                What::DeadLetter { author: Some(author), message: Some(message), .. } => {
                    if (*author, message.0) == (send.device.user, send.id) {
                        words.push((line, false, Word::Letter));
                    }
                    continue;
                }
                What::Requeued { author, message } => {
                    if (*author, message.0) == (send.device.user, send.id) {
                        words.push((line, false, Word::Requeued));
                    }
                    continue;
                }
                _ => continue,
            };
            if (device.user, id.0) == (send.device.user, send.id) {
                words.push((line, device == send.device, word));
            }
        }
        words
    }

    /// Whether neither the load has begun to end at a line, nor the run was stopped.
    fn is_loaded(&self, line: usize) -> bool {
        !self.lines[..line].iter().any(|l| {
            matches!(
                l.is,
                What::Phase(Phase::Settle | Phase::Judge | Phase::End) | What::Stopped { .. }
            )
        })
    }

    /// Where the device of a send had word of it while it waited for that: line, and whether it waits
    /// no more.
    pub fn told(&self, send: &Send) -> Vec<(usize, bool)> {
        let mut told = Vec::new();
        for (line, _, word) in self.words(send).into_iter().filter(|(_, own, _)| *own) {
            match word {
                Word::RefusedForNow => told.push((line, false)),
                Word::Accepted | Word::RefusedForGood(_) | Word::GivenUp => {
                    told.push((line, true));
                    break;
                }
                Word::Resent | Word::Letter | Word::Requeued => {}
            }
        }
        told
    }

    /// The same of all sends before a send in its conversation, from its invocation on, without what its device gave up.
    pub fn told_before(&self, send: &Send) -> Vec<(usize, bool)> {
        let own = |other: &&Send| {
            (other.device, other.conversation) == (send.device, send.conversation)
                && other.id < send.id
        };
        let told = self.sends.iter().filter(own).flat_map(|other| self.told(other));
        told.filter(|(line, _)| {
            *line > send.line && !matches!(self.lines[*line].is, What::Unanswered { .. })
        })
        .collect()
    }
}

pub(super) fn is_something_overtaken(book: &Book<'_>) -> bool {
    let end = |send: &Send| {
        let seen = book.observations.iter().find(|s| book.sent_as(s) == Some(*send));
        let told = book.acceptances.iter().find(|a| a.send == *send);
        seen.map(|s| s.entry.sequence.0).or_else(|| told.map(|a| a.sequence))
    };
    let ends: Vec<(&Send, u64)> = book
        .sends
        .iter()
        .filter(|send| !lost_its_place(book, send))
        .filter_map(|send| end(send).map(|sequence| (send, sequence)))
        .collect();
    ends.iter().any(|(first, q)| {
        ends.iter().any(|(second, p)| {
            (first.device, first.conversation) == (second.device, second.conversation)
                && first.id < second.id
                && q >= p
        })
    })
}

/// Whether a send was refused for now, and came again when its position was no longer held.
fn lost_its_place(book: &Book<'_>, send: &Send) -> bool {
    let mut refused_at = None;
    let (mut is_open, mut is_lost) = (true, false);
    for (line, own, word) in book.words(send) {
        let now = book.lines[line].at;
        match word {
            Word::RefusedForNow if is_open && own => refused_at = refused_at.or(Some(now)),
            Word::Resent if own => {
                let refused_at = refused_at.take();
                is_lost |=
                    refused_at.is_some_and(|at| is_open && now - at > book.header.held_back_us());
            }
            Word::Accepted | Word::RefusedForGood(_) | Word::GivenUp if own => is_open = false,
            _ => {}
        }
    }
    is_lost
}

pub(super) fn is_something_unaccounted(book: &Book<'_>) -> bool {
    let lies = book.lines.iter().enumerate().any(|(line, said)| match said.is {
        What::Accepted { device, message, .. } => {
            book.send_of(device.user.0, message.0, line).is_none()
                || book.is_refused(device.user.0, message.0, line)
        }
        What::DeadLetter { reason, .. } => reason.trim().is_empty(),
        _ => false,
    });
    let is_left = |queue: &str| queue != "dead" && !queue.starts_with("gateway");
    let left = book
        .lines
        .iter()
        .any(|line| matches!(line.is, What::InFlight { queue, messages: 1.. } if is_left(queue)));
    let is_open = |send: &Send| !book.is_slow(send.device.user.0) && is_forgotten(book, send);
    lies || book.sends.iter().any(|send| is_refused_after_all(book, send))
        || book.sends.iter().any(|send| is_refused_wrongly(book, send))
        || are_letters_missing(book)
        || (!book.is_generator_limited() && (left || book.sends.iter().any(is_open)))
}

/// Whether a send was refused for good after it had been accepted, at its only attempt or by a decision.
fn is_refused_after_all(book: &Book<'_>, send: &Send) -> bool {
    let (mut is_accepted, mut is_again) = (false, false);
    for (_, _, word) in book.words(send) {
        match word {
            Word::Accepted => is_accepted = true,
            Word::Resent => is_again = true,
            Word::Requeued => return false,
            Word::RefusedForGood(reason) if is_accepted && (!is_again || book.stands(reason)) => {
                return true;
            }
            _ => {}
        }
    }
    false
}

fn are_letters_missing(book: &Book<'_>) -> bool {
    let letters: Vec<bool> = book
        .lines
        .iter()
        .filter_map(|line| match line.is {
            What::DeadLetter { author, message, .. } => Some(author.is_some() && message.is_some()),
            _ => None,
        })
        .collect();
    let reported = book.lines.iter().filter_map(|line| match line.is {
        What::InFlight { queue, messages } if &**queue == "dead" => Some(*messages),
        _ => None,
    });
    let is_listed = reported.max().is_some_and(|reported| letters.len() as u64 >= reported);
    let is_missing = |send: &&Send| {
        let words = book.words(send);
        let has = |word| words.iter().any(|(_, _, w)| *w == word);
        has(Word::RefusedForGood(RejectReason::DeadLettered))
            && !has(Word::Letter)
            && !has(Word::Requeued)
    };
    let missing = book.sends.iter().filter(is_missing).count();
    let unreadable = letters.iter().filter(|readable| !**readable).count();
    let shed = book.shed(Shed::DeadLetters);
    is_listed && book.phase(Phase::Judge).is_some() && missing as u64 > unreadable as u64 + shed
}

/// Whether a send was refused for its token, and did not come again although its device was connected
/// for long enough.
fn is_dropped(book: &Book<'_>, send: &Send) -> bool {
    let words = book.words(send);
    let refused = words.iter().rev().find_map(|(line, own, word)| match word {
        Word::Resent if *own => Some(None),
        Word::RefusedForNow if *own && is_unauthorised(book.lines[*line].is) => Some(Some(*line)),
        _ => None,
    });
    let Some(line) = refused.flatten() else { return false };
    let (from, to) = (book.lines[line].at, book.watched_until());
    let is_calm = book.calm_since(book.lines.len()).is_some_and(|calm| calm <= from);
    let connected: u64 = book
        .sessions(send.device)
        .into_iter()
        .map(|session| session.to.min(to).saturating_sub(session.from.max(from)))
        .sum();
    is_calm && connected > book.header.deadlines.stuck_us
}

const fn is_unauthorised(is: &What) -> bool {
    matches!(is, What::Rejected { reason: RejectReason::Unauthorised, .. })
}

/// Whether a send found no end, although its device was connected for long enough.
fn is_forgotten(book: &Book<'_>, send: &Send) -> bool {
    let ended = book.words(send).iter().any(|(_, own, word)| match word {
        Word::Accepted | Word::RefusedForGood(_) | Word::Letter => true,
        Word::GivenUp => *own,
        _ => false,
    });
    let ends = book.told_before(send).into_iter().filter(|(_, is_end)| *is_end);
    let moved = ends.map(|(line, _)| book.lines[line].at).max();
    let since = moved.map_or(send.at, |moved| moved.max(send.at));
    let connected = book.connected_since(send.device, since, book.lines.len());
    !ended
        && (connected.is_some_and(|time| time > book.header.deadlines.stuck_us)
            || is_dropped(book, send))
}
