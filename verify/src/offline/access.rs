//! Who may send and receive.

use super::book::{Book, How, Observation};
use super::members::Membership;
use super::reading::Reply;
use crate::history::event::{Device, Outcome, Said, What};
use protocol::{ConversationId, UserId};

pub(super) fn does_an_outsider_receive(book: &Book<'_>) -> bool {
    book.observations.iter().any(|s| match s.how {
        How::Shown(device) | How::Received(device) | How::Read(device, _) => {
            let (conversation, sequence) = (s.entry.conversation, s.entry.sequence.0);
            book.membership(device.user.0, conversation, sequence) == Membership::Outside
        }
        How::Stored => false,
    })
}

pub(super) fn does_a_stranger_get_in(book: &Book<'_>) -> bool {
    book.lines.iter().enumerate().any(|(line, said)| {
        let What::Attacked { due, outcome, took_us, .. } = said.is else { return false };
        let late = || {
            let began = said.at.saturating_sub(*took_us);
            !book.is_generator_limited() && !is_disturbed(book, began, line)
        };
        match outcome {
            Outcome::Admitted => true,
            Outcome::Lost => false,
            Outcome::Answered(code) if code == due || *due == 403 && *code == 401 => false,
            Outcome::Held | Outcome::Answered(4408 | 4409) => late(),
            Outcome::Answered(code) => {
                !matches!(code, 408 | 429 | 502..=504 | 4429 | 4500 | 4501 | 4503)
            }
        }
    })
}

/// Whether a gateway says that a client has broken the protocol, which the clients of a run never do.
pub(super) fn is_a_client_accused(book: &Book<'_>) -> bool {
    book.any(|is| matches!(is, What::Closed { code: 1002 | 1009 | 4400 | 4402 | 4408, .. }))
}

/// Whether a fault other than attacks was active at a time or later, before a line.
fn is_disturbed(book: &Book<'_>, since: u64, line: usize) -> bool {
    let said = &book.lines[..line];
    said.iter().enumerate().any(|(began, earlier)| match earlier.is {
        What::FaultBegan { fault, kind, .. } if &**kind != "hostile" => {
            let is_end = |is: &What| matches!(is, What::FaultEnded { fault: f, .. } if f == fault);
            let ended = said[began..].iter().find(|later| is_end(later.is));
            ended.is_none_or(|ended| ended.at >= since)
        }
        _ => false,
    })
}

pub(super) fn is_an_unauthorised_accepted(book: &Book<'_>) -> bool {
    let outsider = book.acceptances.iter().any(|a| {
        let user = a.send.device.user.0;
        book.membership(user, a.send.conversation, a.sequence) == Membership::Outside
    });
    let unanswered = book.sends.iter().any(|send| {
        let is_told = book.acceptances.iter().any(|a| a.send == *send);
        let seen = book
            .observations
            .iter()
            .find(|s| book.sent_as(s) == Some(*send) && s.entry.sequence.0 > 0);
        !is_told && seen.is_some_and(|s| is_seen_of_a_stranger(book, s))
    });
    outsider
        || unanswered
        || book.observations.iter().any(|s| changes_anothers(book, s))
        || (!book.is_generator_limited() && is_a_token_honoured_too_long(book))
}

fn is_a_token_honoured_too_long(book: &Book<'_>) -> bool {
    is_let_in_without_token(book)
        || is_accepted_without_token(book)
        || book.observations.iter().any(|s| is_seen_without_token(book, s))
        || book.observations.iter().any(|s| is_served_without_token(book, s))
}

fn is_seen_of_a_stranger(book: &Book<'_>, s: &Observation<'_>) -> bool {
    let entry = s.entry;
    book.membership(entry.author.0, entry.conversation, entry.sequence.0) == Membership::Outside
}

/// Whether somebody saw what was invoked without a token, before there was a new one.
fn is_seen_without_token(book: &Book<'_>, s: &Observation<'_>) -> bool {
    let Some(send) = book.sent_as(s) else { return false };
    let user = send.device.user;
    let is_granted = book.lines[send.line..s.line]
        .iter()
        .any(|said| matches!(said.is, What::Granted { user: u } if *u == user));
    !is_granted && book.is_too_late(user, send.at, send.line)
}

/// Whether a session begins, or a read is asked for and answered, without a token.
fn is_let_in_without_token(book: &Book<'_>) -> bool {
    book.lines.iter().enumerate().any(|(line, said)| match said.is {
        What::Opened { device, .. } => book.is_too_late(device.user, said.at, line),
        What::ReadBegan { device, request, .. } => match book.reply(*device, *request, line) {
            Reply::Ended(end) => book.is_too_late(device.user, said.at, end),
            _ => false,
        },
        _ => false,
    })
}

/// Whether an edit or deletion was seen that is not by the author of what it changes.
fn changes_anothers(book: &Book<'_>, s: &Observation<'_>) -> bool {
    let (Said::Edit { target, .. } | Said::Delete { target }) = s.entry.said else { return false };
    book.author(s.entry.conversation, target.0, s.line)
        .is_some_and(|author| author != s.entry.author)
}

impl Book<'_> {
    /// The author of a sequence, by whatever told first of it before a line.
    pub fn author(
        &self,
        conversation: ConversationId,
        sequence: u64,
        before: usize,
    ) -> Option<UserId> {
        let seen = self.observations.iter().find(|s| s.is_at(conversation, sequence));
        let told = self.accepted_as(conversation, sequence);
        let seen = seen.map(|s| (s.line, s.entry.author));
        let told = told.map(|a| (a.line, a.send.device.user));
        let first = seen.into_iter().chain(told).min_by_key(|(line, _)| *line);
        first.filter(|(line, _)| *line < before).map(|(_, author)| author)
    }

    /// When a user's tokens were revoked last before a line, unless there is a new one.
    fn revoked_at(&self, user: UserId, line: usize) -> Option<u64> {
        let said = self.lines[..line].iter().rfind(|line| {
            matches!(line.is, What::Revoked { user: u } | What::Granted { user: u } if *u == user)
        })?;
        matches!(said.is, What::Revoked { .. }).then_some(said.at)
    }

    /// Whether something was invoked when its user's tokens had been revoked for too long, as far as is
    /// known at a line.
    fn is_too_late(&self, user: UserId, invoked_at: u64, line: usize) -> bool {
        let (Some(revoked), Some(calm)) = (self.revoked_at(user, line), self.calm_since(line))
        else {
            return false;
        };
        invoked_at.saturating_sub(revoked.max(calm)) > self.header.deadlines.revocation_us
    }
}

fn is_accepted_without_token(book: &Book<'_>) -> bool {
    book.lines.iter().enumerate().any(|(line, said)| {
        let What::Accepted { device, message, .. } = said.is else { return false };
        let send = book.send_of(device.user.0, message.0, line);
        send.is_some_and(|send| {
            let user = send.device.user;
            let mut waited = book.lines[send.line..line].iter();
            book.is_too_late(user, send.at, send.line)
                && !waited.any(|said| matches!(said.is, What::Granted { user: u } if *u == user))
        })
    })
}

/// Whether a session from before a revocation shows what was invoked too long after it.
fn is_served_without_token(book: &Book<'_>, s: &Observation<'_>) -> bool {
    let How::Shown(device) = s.how else { return false };
    let (conversation, sequence) = (s.entry.conversation, s.entry.sequence.0);
    let accepted = book.accepted_as(conversation, sequence).filter(|a| a.line < s.line);
    let (Some(accepted), Some(revoked)) = (accepted, book.revoked_at(device.user, s.line)) else {
        return false;
    };
    opened_at(book, device, s.line) < revoked
        && book.is_too_late(device.user, accepted.send.at, s.line)
}

/// When a device's newest session began; 0: it never had one.
fn opened_at(book: &Book<'_>, device: Device, line: usize) -> u64 {
    let mut sessions = book.sessions(device).into_iter();
    sessions.rfind(|session| session.begins < line).map_or(0, |session| session.from)
}
