//! Whether what was refused as a dead letter is among the dead letters (see `every_message_accounted`).

use crate::state::State;
use crate::state::ledger::status;
use crate::tally::Tally;

/// The dead letters that were listed at the end.
#[derive(Default)]
pub(crate) struct DeadLetters {
    count: u64,
    unreadable: u64,
    shed: u64,
    /// The most that their queue was reported to have.
    reported: Option<u64>,
}

impl DeadLetters {
    /// One more was listed at the end.
    pub fn listed(&mut self, is_readable: bool) {
        self.count += 1;
        self.unreadable += u64::from(!is_readable);
    }

    /// So many gave way to newer ones.
    pub const fn gave_way(&mut self, count: u64) {
        self.shed = self.shed.saturating_add(count);
    }

    /// Their queue was reported to have so many.
    pub fn reported(&mut self, messages: u64) {
        self.reported = self.reported.max(Some(messages));
    }

    /// Those of another part.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.unreadable += other.unreadable;
        self.shed = self.shed.saturating_add(other.shed);
        self.reported = self.reported.max(other.reported);
    }

    /// What was refused as a dead letter, and is not among them.
    pub fn find_missing(&self, state: &State, tally: &mut Tally) {
        // A list that was cut off says nothing about what is not in it.
        let listed = self.reported.is_some_and(|reported| self.count >= reported);
        if state.run.judged_at.is_none() || !listed {
            let all = state.ledger.by_sender().flat_map(|(_, records)| records);
            let refused = all.filter(|record| record.is(status::DEAD)).count();
            if refused > 0 {
                tally.doubts.push(format!(
                    "{refused} dead letters are expected, and the list is incomplete"
                ));
            }
            return;
        }
        let (mut unreadable, mut shed) = (self.unreadable, self.shed);
        for (sender, records) in state.ledger.by_sender() {
            for record in records {
                if !record.is(status::DEAD) || record.is(status::LETTER | status::REQUEUED) {
                    continue;
                }
                if unreadable > 0 {
                    unreadable -= 1;
                    continue;
                }
                if shed > 0 {
                    shed -= 1;
                    tally.excuse("dead letters that gave way", 1);
                    continue;
                }
                tally.violated(state, state.about_send(sender, record), || {
                    let name = state.name_of(sender, record.id);
                    format!("message {name} should be a dead letter and is none")
                });
            }
        }
    }
}
