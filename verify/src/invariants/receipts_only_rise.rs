//! **Receipts only rise.** Neither cursor of another member that a device displays ever falls; a stored
//! cursor is not below what anybody was told; read <= delivered; delivered never exceeds what a device
//! of that member has shown (or behind which its stream began); and nobody is told of the cursors of a
//! conversation, nor of a user, who never joined it.
//!
//! - Judged: receipts sent, displayed and stored.
//! - Excused: in a history of format 1, a fall between two sessions of the observer. Beyond 4 million
//!   (observer, conversation, member) further ones are judged for their bounds only.
//! - Broken by: a display that goes back from 7 to 5. Not by: the same receipt displayed twice.
//!
//! Streaming: 24 bytes per (observing device, conversation, member).

use super::Check;
use crate::ground::recent::About;
use crate::ground::{Ground, Step, short};
use crate::history::event::{Event, What};
use crate::tally::Tally;
use protocol::Sequence;
use std::collections::{BTreeMap, BTreeSet};

/// Observed cursors that are kept.
const MOST: usize = 1 << 22;

#[derive(Clone, Copy, Default)]
struct Cursors {
    session: u32,
    delivered: u32,
    read: u32,
}

#[derive(Default)]
pub(crate) struct Invariant {
    /// By (observing device and conversation, member).
    observed: BTreeMap<(u32, u32), Cursors>,
    /// The highest that anybody was told, by (member, conversation).
    told: BTreeMap<(u32, usize), Cursors>,
    unjudged: u64,
}

impl Check for Invariant {
    fn observe(&mut self, ground: &Ground, step: &Step, event: &Event, tally: &mut Tally) {
        let (member, delivered, read) = match event.is {
            What::ReceiptSent { delivered, read, .. } => {
                (ground.pairs.whos[step.who as usize].user, delivered, read)
            }
            What::ReceiptSeen { user, delivered, read, .. }
            | What::StoredCursor { user, delivered, read, .. } => {
                (user.0 as u32 - 1, delivered, read)
            }
            _ => return,
        };
        tally.judged += 1;
        let fault = Self::beyond(ground, step, event, member, delivered, read)
            .or_else(|| self.fallen(ground, step, event, (member, short(delivered), short(read))));
        if let Some(fault) = fault {
            let about = About {
                device: matches!(event.is, What::ReceiptSeen { .. } | What::ReceiptSent { .. })
                    .then_some(step.device),
                conversation: Some(step.conversation),
                ..About::default()
            };
            tally.violated(ground, about, || {
                format!(
                    "user {} in conversation {}: delivered {delivered}, read {read}: {fault}",
                    member + 1,
                    step.conversation + 1
                )
            });
        }
    }

    fn finish(&mut self, ground: &Ground, tally: &mut Tally) {
        let mut strangers = BTreeSet::new();
        for &(pair, member) in self.observed.keys() {
            let who = &ground.pairs.whos[(pair / ground.header.devices_per_user) as usize];
            for user in [who.user, member] {
                strangers.insert((user, who.conversation));
            }
        }
        for (user, conversation) in strangers {
            let log = &ground.logs[conversation as usize];
            let who = ground.pairs.find(user, conversation);
            let joined = who.is_some_and(|who| ground.pairs.whos[who as usize].ever_joined());
            if joined || log.known_from(log.head).is_none_or(|from| from > 1) {
                continue;
            }
            let about = About { conversation: Some(conversation as usize), ..About::default() };
            tally.violated(ground, about, || {
                format!(
                    "receipts of conversation {} were told to or about user {}, who never joined it",
                    conversation + 1,
                    user + 1
                )
            });
        }
        tally.judged -= self.unjudged;
        tally.excuse("judged for their bounds only", self.unjudged);
    }
}

impl Invariant {
    fn beyond(
        ground: &Ground,
        step: &Step,
        event: &Event,
        member: u32,
        delivered: Sequence,
        read: Sequence,
    ) -> Option<String> {
        if read > delivered {
            return Some("more was read than delivered".to_owned());
        }
        let last = if matches!(event.is, What::ReceiptSent { .. }) {
            step.before.known.then_some(step.before.last)?
        } else {
            let who = ground.pairs.find(member, step.conversation as u32)?;
            ground.pairs.last_of(who)?
        };
        (short(delivered) > last).then(|| format!("no more than {last} was shown"))
    }

    fn fallen(
        &mut self,
        ground: &Ground,
        step: &Step,
        event: &Event,
        (member, delivered, read): (u32, u32, u32),
    ) -> Option<String> {
        let told = match event.is {
            What::ReceiptSeen { .. } => {
                let told = self.told.entry((member, step.conversation)).or_default();
                told.delivered = told.delivered.max(delivered);
                told.read = told.read.max(read);
                let key = (step.pair, member);
                if self.observed.len() >= MOST && !self.observed.contains_key(&key) {
                    self.unjudged += 1;
                    return None;
                }
                let session = ground.devices[step.device].session;
                let now = Cursors { session, delivered, read };
                let before = self.observed.insert(key, now)?;
                if before.session != session && ground.header.format < 2 {
                    return None;
                }
                before
            }
            What::StoredCursor { .. } => *self.told.get(&(member, step.conversation))?,
            _ => return None,
        };
        (delivered < told.delivered || read < told.read)
            .then(|| format!("it was delivered {}, read {} before", told.delivered, told.read))
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::invariants::tests::{clean, violated};
    use protocol::{ConversationId, Sequence, UserId};

    const NAME: &str = "receipts_only_rise";

    fn seen(builder: Builder, delivered: u64, read: u64) -> Builder {
        let device = builder.device(1, 1);
        builder.push(What::ReceiptSeen {
            device,
            conversation: ConversationId(1),
            user: UserId(2),
            delivered: Sequence(delivered),
            read: Sequence(read),
        })
    }

    fn stored(builder: Builder, delivered: u64, read: u64) -> Builder {
        builder.push(What::StoredCursor {
            conversation: ConversationId(1),
            user: UserId(2),
            delivered: Sequence(delivered),
            read: Sequence(read),
        })
    }

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1).say(1, 1)
    }

    #[test]
    fn rising_cursors_are_clean() {
        let risen = seen(seen(seen(talk(), 3, 2), 3, 3), 4, 3);
        assert_eq!(clean(NAME, &stored(risen, 4, 3).finish()).judged, 4);
    }

    #[test]
    fn a_display_that_goes_back_is_noticed() {
        violated(NAME, &seen(seen(talk(), 4, 3), 3, 3).finish());
        let mut back = seen(seen(talk(), 4, 3).lose(1, 1).connect(1, 1), 3, 3).finish();
        violated(NAME, &back);
        back.header.format = 1;
        clean(NAME, &back);
    }

    #[test]
    fn receipts_of_strangers_are_noticed() {
        let strange = Builder::new(3, 1).group(1, &[1, 2]).connect_all().say(1, 1);
        let device = strange.device(3, 1);
        let told = What::ReceiptSeen {
            device,
            conversation: ConversationId(1),
            user: UserId(2),
            delivered: Sequence(3),
            read: Sequence(3),
        };
        violated(NAME, &strange.push(told).finish());
    }

    #[test]
    fn a_stored_cursor_below_what_was_told_is_noticed() {
        violated(NAME, &stored(seen(talk(), 4, 0), 3, 0).finish());
    }

    #[test]
    fn more_than_was_shown_or_delivered_is_noticed() {
        violated(NAME, &seen(talk(), 5, 0).finish());
        violated(NAME, &seen(talk(), 3, 4).finish());
    }

    #[test]
    fn a_device_that_reports_more_than_it_showed_is_noticed() {
        let builder = talk();
        let device = builder.device(2, 1);
        let conversation = ConversationId(1);
        let (delivered, read) = (Sequence(9), Sequence(0));
        let sent = What::ReceiptSent { device, conversation, delivered, read };
        violated(NAME, &builder.push(sent).finish());
    }
}
