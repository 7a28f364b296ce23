//! Whether the log of a conversation that was read whole has no gap (see `no_gap_in_sequence`).

use crate::state::State;
use crate::state::intervals::Intervals;
use crate::state::recent::About;
use crate::tally::Tally;

/// The log as it is stored has every sequence up to its head.
pub(crate) fn judge(state: &State, conversation: usize, tally: &mut Tally) {
    let log = &state.logs[conversation];
    let mut missing = Intervals::default();
    let end = log.head.min(log.reach());
    let compacted_to = log.compacted_to().min(end);
    tally.judged += u64::from(end);
    let mut look = |sequence| {
        if log.get(sequence).stored == 0 && !state.is_removed(conversation, sequence) {
            missing.insert(sequence);
        }
    };
    log.compacted.stored.for_each_hole(1, compacted_to, &mut look);
    (compacted_to + 1..=end).for_each(&mut look);
    for (low, high) in missing.all() {
        let life = log.get(low).known_at;
        let about = About {
            conversation: Some(conversation),
            sequence: Some(low),
            other: Some(high),
            life: (life > 0).then_some((life, life)),
            ..About::default()
        };
        tally.violated(state, about, || {
            format!(
                "the store has nothing at sequences {low} to {high} of conversation {}, whose head \
                 is {}",
                conversation + 1,
                log.head
            )
        });
    }
    let from = log.reach().max(state.removed_to(conversation));
    if log.head > from && log.stored_aside(from, log.head) < u64::from(log.head - from) {
        tally.violated(state, About { conversation: Some(conversation), ..About::default() }, || {
            format!(
                "the store names {} as the head of conversation {}, and lacks something beyond {from}",
                log.head,
                conversation + 1
            )
        });
    }
}
