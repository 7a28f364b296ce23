//! Sessions of devices, the time for which they had one, and the time without faults.

use super::book::Book;
use crate::history::event::{Device, Phase, What};

/// A session: the line and the time of its beginning, and of its end if it ended while the users
/// were watched.
#[derive(Clone, Copy)]
pub(super) struct Session {
    pub begins: usize,
    pub ends: usize,
    pub from: u64,
    pub to: u64,
}

impl Book<'_> {
    /// All sessions of a device.
    pub fn sessions(&self, device: Device) -> Vec<Session> {
        let mut sessions: Vec<Session> = Vec::new();
        for (number, line) in self.lines.iter().enumerate() {
            let is_opened = matches!(line.is, What::Opened { device: d, .. } if *d == device);
            let is_closed = matches!(line.is, What::Closed { device: d, .. } if *d == device)
                && number < self.watched_to();
            // A session whose end nobody saw ends where the next one begins.
            if (is_opened || is_closed)
                && let Some(last) = sessions.last_mut().filter(|last| last.ends == usize::MAX)
            {
                (last.ends, last.to) = (number, line.at);
            }
            if is_opened {
                let (begins, from) = (number, line.at);
                sessions.push(Session { begins, ends: usize::MAX, from, to: u64::MAX });
            }
        }
        sessions
    }

    /// The session that a device has just before a line.
    pub fn session(&self, device: Device, line: usize) -> Option<Session> {
        let mut sessions = self.sessions(device).into_iter();
        sessions.find(|session| session.begins < line && line <= session.ends)
    }

    /// For how long a device had a session since a time, and since H, up to a line or to W. `None`: the
    /// faults have not ended there.
    pub fn connected_since(&self, device: Device, since: u64, line: usize) -> Option<u64> {
        let (from, to) = self.span(since, line)?;
        let overlap = |s: Session| s.to.min(to).saturating_sub(s.from.max(from));
        Some(self.sessions(device).into_iter().map(overlap).sum())
    }

    /// The same whether or not there was a session.
    pub fn passed_since(&self, since: u64, line: usize) -> Option<u64> {
        let (from, to) = self.span(since, line)?;
        Some(to.saturating_sub(from))
    }

    fn span(&self, since: u64, line: usize) -> Option<(u64, u64)> {
        let healed = self.phase(Phase::Heal).filter(|healed| *healed <= line)?;
        let now = self.lines[line.min(self.lines.len() - 1)].at;
        Some((since.max(self.lines[healed].at), now.min(self.watched_until())))
    }

    /// The faults that have begun before a line: target, when each began, and when it ended if it did.
    pub fn faults(&self, line: usize) -> Vec<(&str, u64, Option<u64>)> {
        let mut faults: Vec<(u32, &str, u64, Option<u64>)> = Vec::new();
        for earlier in &self.lines[..line] {
            match earlier.is {
                What::FaultBegan { fault, target, .. } => {
                    faults.push((*fault, target, earlier.at, None));
                }
                What::FaultEnded { fault, .. } => {
                    let active = |(number, .., ended): &&mut (u32, &str, u64, Option<u64>)| {
                        number == fault && ended.is_none()
                    };
                    if let Some((.., ended)) = faults.iter_mut().rev().find(active) {
                        *ended = Some(earlier.at);
                    }
                }
                _ => {}
            }
        }
        faults.into_iter().map(|(_, on, began, ended)| (on, began, ended)).collect()
    }

    /// The end of the last fault before a line, or 0; `None` if one is active.
    pub fn calm_since(&self, line: usize) -> Option<u64> {
        self.faults(line).into_iter().try_fold(0, |calm: u64, (.., ended)| Some(calm.max(ended?)))
    }

    /// The targets of the faults that have begun before a line, and were active at a time or later.
    pub fn faults_since(&self, time: u64, line: usize) -> Vec<&str> {
        let faults = self.faults(line).into_iter();
        faults.filter(|(.., ended)| ended.is_none_or(|at| at >= time)).map(|(on, ..)| on).collect()
    }

    /// Whether a user's devices should connect: the user is none of those who stay away. A history of
    /// format 1 does not name these: there it is whoever connected at all.
    pub fn is_expected(&self, user: u64) -> bool {
        self.header.offline_users.map_or_else(
            || self.devices_of(user).iter().any(|device| !self.sessions(*device).is_empty()),
            |offline| user + u64::from(offline) <= u64::from(self.header.users),
        )
    }
}
