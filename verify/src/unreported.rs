//! What was told of a member before any of its devices had reported it.
//!
//! A report is recorded when it has left: what comes of it may be recorded a moment earlier.

use crate::state::recent::About;
use crate::state::{State, Step};
use crate::tally::Tally;
use crate::verdict::Evidence;

/// How long after somebody was told of a report its own record may come, microseconds.
const RECORDED_US: u64 = 1_000_000;
/// What was told and not reported yet: so much is kept for so long.
const MOST: usize = 1 << 12;

struct Early {
    at: u64,
    member: u32,
    conversation: usize,
    /// Delivered, read.
    cursors: [u32; 2],
    evidence: Box<Evidence>,
}

/// What waits for its report.
#[derive(Default)]
pub(crate) struct Unreported(Vec<Early>);

fn covers(reported: [u32; 2], told: [u32; 2]) -> bool {
    told[0] <= reported[0] && told[1] <= reported[1]
}

impl Unreported {
    /// A device reports its cursors.
    pub fn report(&mut self, state: &State, step: &Step) {
        if self.0.is_empty() {
            return;
        }
        let who = &state.pairs.members[step.who as usize];
        self.0.retain(|early| {
            (early.member, early.conversation) != (who.user, step.conversation)
                || state.now - early.at > RECORDED_US
                || !covers(who.reported, early.cursors)
        });
    }

    /// Cursors of a member are told to a device, or stored.
    pub fn tell(
        &mut self,
        state: &State,
        step: &Step,
        device: Option<usize>,
        (member, cursors): (u32, [u32; 2]),
        tally: &mut Tally,
    ) {
        let who = state.pairs.find(member, step.conversation as u32);
        let reported = who.map_or([0; 2], |who| state.pairs.members[who as usize].reported);
        if covers(reported, cursors) {
            return;
        }
        let is_certain = |early: &mut Early| state.now - early.at > RECORDED_US;
        for early in self.0.extract_if(.., is_certain) {
            tally.confirmed(|| *early.evidence);
        }
        if self.0.len() == MOST {
            return;
        }
        let what = format!(
            "user {} in conversation {}: delivered {}, read {}: no more than delivered {}, read {} was \
             reported",
            member + 1,
            step.conversation + 1,
            cursors[0],
            cursors[1],
            reported[0],
            reported[1]
        );
        let about = About { device, conversation: Some(step.conversation), ..About::default() };
        let evidence = Box::new(state.evidence(what, about));
        let (at, conversation) = (state.now, step.conversation);
        self.0.push(Early { at, member, conversation, cursors, evidence });
    }

    /// Those of another part.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The history is complete: what was not reported by now never was.
    pub fn finish(&mut self, tally: &mut Tally) {
        for early in self.0.drain(..) {
            tally.confirmed(|| *early.evidence);
        }
    }
}
