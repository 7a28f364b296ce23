//! What looks wrong but may turn out to be explained, once memberships and retention are known.
//!
//! Only what was certainly owed is a violation: where it stays unknown whether the user was a member,
//! because the log was never read, the suspicion becomes a doubt. A suspicion names a span of
//! sequences of one (user, conversation). The evidence of the first few is kept from the moment when
//! it was fresh.

use crate::state::State;
use crate::state::members::Standing;
use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::tally::Tally;
use crate::verdict::Evidence;

/// Suspicions that are kept: 24 MiB. A sound run has one for each time that a member comes back.
const MOST: usize = 1 << 20;
/// Suspicions with evidence from the moment.
const MOST_WITH_EVIDENCE: usize = 64;

struct Suspicion {
    who: u32,
    low: u32,
    high: u32,
    /// A departure up to here excuses what is missing before it; 0: nothing does.
    excused_to: u32,
    evidence: Option<Box<Evidence>>,
}

/// All suspicions of one invariant.
#[derive(Default)]
pub(crate) struct Suspicions {
    kept: Vec<Suspicion>,
    with_evidence: usize,
    forgotten: u64,
    is_full: bool,
}

impl Suspicions {
    /// The sequences `low..=high` should have been there.
    #[cold]
    pub fn add(
        &mut self,
        state: &State,
        who: u32,
        (low, high): (u32, u32),
        excused_to: u32,
        about: About,
        what: impl FnOnce() -> String,
    ) {
        if self.kept.len() == MOST && !self.is_full {
            self.make_room(state);
        }
        if self.kept.len() == MOST {
            self.forgotten += 1;
            return;
        }
        let evidence = (self.with_evidence < MOST_WITH_EVIDENCE)
            .then(|| Box::new(state.evidence(what(), about)));
        self.with_evidence += usize::from(evidence.is_some());
        self.kept.push(Suspicion { who, low, high, excused_to, evidence });
    }

    /// Those of another part.
    pub fn merge(&mut self, other: Self, slots: &Slots) {
        let at = |suspicion: &Suspicion| slots.member(suspicion.who);
        let theirs = other.kept.into_iter().map(|s| Suspicion { who: at(&s), ..s });
        self.kept.extend(theirs);
        self.with_evidence += other.with_evidence;
        self.forgotten += other.forgotten;
    }

    /// Confirms every suspicion of which a sequence was owed to a member and not removed since.
    pub fn resolve(&mut self, state: &State, tally: &mut Tally) {
        let mut undecided = 0_u64;
        for suspicion in self.kept.drain(..) {
            let Some(sequence) = suspicion.find(state, Standing::Member) else {
                undecided += u64::from(suspicion.find(state, Standing::Unknown).is_some());
                continue;
            };
            tally.confirmed(|| match suspicion.evidence {
                Some(evidence) => *evidence,
                None => suspicion.late_evidence(state, sequence),
            });
        }
        if undecided > 0 {
            tally.doubts.push(format!(
                "{undecided} suspicions stay open: the log does not say whether the users were members"
            ));
        }
        if self.forgotten > 0 {
            let forgotten = self.forgotten;
            tally.doubts.push(format!("{forgotten} suspicions were more than can be kept"));
        }
    }

    /// Drops what lies in a log of which nobody knows what retention removed.
    pub fn retain_known(&mut self, state: &State) {
        if state.header.retention.is_some() {
            self.kept.retain(|suspicion| {
                let who = &state.pairs.members[suspicion.who as usize];
                state.logs[who.conversation as usize].known_from(0).is_some()
            });
        }
    }

    /// Makes room: drops what is explained by what is known already. A join that is learned later
    /// could take such an explanation back, so this is done only when there is no other way.
    #[cold]
    fn make_room(&mut self, state: &State) {
        self.kept.retain(|suspicion| {
            let may_be = |standing| suspicion.find(state, standing).is_some();
            may_be(Standing::Member) || may_be(Standing::Unknown)
        });
        // Otherwise the next ones would go through all of them again for little.
        self.is_full = self.kept.len() > MOST / 2;
    }
}

impl Suspicion {
    /// A sequence of the span that nothing excuses and where the user stood like this.
    fn find(&self, state: &State, standing: Standing) -> Option<u32> {
        state.first_owed(self.who, (self.low, self.high), self.excused_to, standing)
    }

    fn late_evidence(&self, state: &State, sequence: u32) -> Evidence {
        let who = &state.pairs.members[self.who as usize];
        let (user, conversation) = (who.user + 1, who.conversation + 1);
        let about = About {
            conversation: Some(who.conversation as usize),
            sequence: Some(sequence),
            ..About::default()
        };
        let what = format!("user {user} of conversation {conversation} misses sequence {sequence}");
        state.evidence(what, about)
    }
}
