//! Whether what was refused for good was refused with reason (see `every_message_accounted`).

use crate::state::merge::Slots;
use crate::state::recent::About;
use crate::state::{State, Step};
use crate::suspicions::Suspicions;
use crate::tally::Tally;
use protocol::RejectReason;

/// Refusals that may turn out to be wrong.
#[derive(Default)]
pub(crate) struct Refusals {
    /// As `no_such_message`: where their users may have been no members, or retention have removed it.
    missed: Suspicions,
}

impl Refusals {
    /// Why the first refusal of a send is not true.
    pub fn untrue(
        &mut self,
        state: &State,
        step: &Step,
        reason: RejectReason,
        tally: &mut Tally,
    ) -> Option<String> {
        let (slot, record) = step.send?;
        let certain = step.answered?.certain;
        if (slot.sender as usize, record.conversation as usize) != (step.device, step.conversation)
        {
            return None;
        }
        let log = &state.logs[step.conversation];
        let user = step.device as u32 / state.header.devices_per_user + 1;
        match reason {
            RejectReason::NotMember => {
                let who = &state.pairs.members[step.who as usize];
                let is_member = certain.member.is_some() && certain.member == who.certain_member();
                is_member.then(|| "refused, and its author was a member all the time".to_owned())
            }
            RejectReason::NotAuthor if !certain.changes => {
                Some("refused as somebody else's, and changes nothing".to_owned())
            }
            RejectReason::NotAuthor => {
                let target = certain.target?;
                tally.compacted(u64::from(log.is_compacted(target)));
                (log.get(target).author == user).then(|| {
                    format!("refused as somebody else's, who had written {target} as well")
                })
            }
            RejectReason::NoSuchMessage => {
                let Some(target) = certain.target else {
                    return Some(
                        "refused for the message that it names, and names none".to_owned(),
                    );
                };
                if certain.changes || !certain.is_message {
                    tally.compacted(u64::from(log.is_compacted(target)));
                }
                let is_deleted = certain.changes
                    && (log.is_compacted(target)
                        || log.deletions(target) > u8::from(certain.deletes));
                if certain.is_message && !is_deleted {
                    let about =
                        About { other: Some(target), ..state.about_send(step.device, &record) };
                    self.missed.add(state, step.who, (target, target), 0, about, || {
                        format!(
                            "message {} was refused, and message {target} of conversation {} that \
                             it names was known before",
                            state.name_of(step.device, record.id),
                            record.conversation + 1
                        )
                    });
                }
                None
            }
            _ => None,
        }
    }

    /// Those of another part.
    pub fn merge(&mut self, other: Self, slots: &Slots) {
        self.missed.merge(other.missed, slots);
    }

    /// What was refused as missing, and was there.
    pub fn resolve(&mut self, state: &State, tally: &mut Tally) {
        self.missed.retain_known(state);
        self.missed.resolve(state, tally);
    }
}

#[cfg(test)]
mod tests {
    use crate::history::What;
    use crate::history::builder::Builder;
    use crate::history::event::Said;
    use crate::invariants::tests::{clean, violated};
    use protocol::{ClientMessageId, ConversationId, RejectReason, Sequence, UserId};

    const NAME: &str = "every_message_accounted";

    fn talk() -> Builder {
        Builder::new(2, 1).group(1, &[1, 2]).connect_all().say(1, 1)
    }

    fn answered(run: Builder, reason: RejectReason) -> Builder {
        let (device, message) = (run.device(1, 1), ClientMessageId(run.last_message(1)));
        run.push(What::Rejected { device, conversation: ConversationId(1), message, reason })
    }

    #[test]
    fn a_member_is_not_refused_as_a_stranger() {
        let refused = |run: Builder| answered(run, RejectReason::NotMember).finish();
        violated(NAME, &refused(talk().send(1, 1)));
        let back = talk().change_member(1, 1, false).change_member(1, 1, true);
        violated(NAME, &refused(back.send(1, 1)));
        clean(NAME, &refused(talk().change_member(1, 1, false).send(1, 1)));
        clean(NAME, &refused(talk().send(1, 1).change_member(1, 1, false)));
        clean(
            NAME,
            &refused(talk().change_member(1, 1, false).send(1, 1).change_member(1, 1, true)),
        );
    }

    #[test]
    fn who_may_have_departed_may_be_refused_as_a_stranger() {
        let (conversation, user) = (ConversationId(1), UserId(1));
        let asked = What::MemberAsked { conversation, user, add: false };
        let refused = |run: Builder| answered(run, RejectReason::NotMember).finish();
        clean(NAME, &refused(talk().push(asked.clone()).send(1, 1)));
        clean(NAME, &refused(talk().send(1, 1).push(asked.clone())));
        // A departure that was asked for again and again may be done again.
        let slow = |wait, fault: bool| {
            let run = talk().push(asked.clone());
            let run = if fault { run.fault(1, "cut", "store-1", 1_000) } else { run };
            let sequence = Sequence(run.head(1) + 1);
            let done = What::MemberChanged { conversation, user, add: false, sequence };
            refused(run.departed(1, 1).wait(wait).push(done).change_member(1, 1, true).send(1, 1))
        };
        violated(NAME, &slow(1_000, false));
        clean(NAME, &slow(1_000, true));
        clean(NAME, &slow(2_000_000, false));
    }

    #[test]
    fn the_author_is_not_refused_as_somebody_else() {
        let edit = |target: u64| Said::Edit { target: Sequence(target), hash: 7 };
        let refused = |run: Builder| answered(run, RejectReason::NotAuthor).finish();
        violated(NAME, &refused(talk().send_said(1, 1, 1, |_| edit(3))));
        violated(NAME, &refused(talk().send(1, 1)));
        clean(NAME, &refused(talk().say(2, 1).send_said(1, 1, 1, |_| edit(4))));
        clean(NAME, &refused(talk().send_said(1, 1, 1, |_| edit(9))));
    }

    #[test]
    fn what_is_there_is_not_refused_as_missing() {
        let edit = |target: u64| Said::Edit { target: Sequence(target), hash: 7 };
        let delete = |target: u64| Said::Delete { target: Sequence(target) };
        let reply = |parent: u64| Said::Message { hash: 7, parent: Some(Sequence(parent)) };
        let refused = |run: Builder, said| {
            answered(run.send_said(1, 1, 1, |_| said), RejectReason::NoSuchMessage)
        };
        for said in [edit(3), delete(3), reply(3), Said::Message { hash: 7, parent: None }] {
            violated(NAME, &refused(talk(), said).finish());
        }
        for said in [edit(1), delete(9), reply(2), reply(9)] {
            clean(NAME, &refused(talk(), said).finish());
        }
        // It is deleted, or may be by now; a reply may still be answered.
        let deleted = || talk().send_said(1, 1, 1, |_| delete(3));
        clean(NAME, &refused(deleted().lose(1, 1), edit(3)).finish());
        violated(NAME, &refused(deleted().lose(1, 1), reply(3)).finish());
        let early = talk().send_said(1, 1, 1, |_| delete(4)).lose(1, 1).say(2, 1);
        clean(NAME, &refused(early, delete(4)).finish());
        // From before the user's time.
        let new = talk().change_member(1, 1, false).say(2, 1).change_member(1, 1, true);
        clean(NAME, &refused(new, reply(5)).finish());
    }

    #[test]
    fn what_retention_may_have_removed_may_be_refused_as_missing() {
        let reply = Said::Message { hash: 7, parent: Some(Sequence(3)) };
        let refused = answered(talk().send_said(1, 1, 1, |_| reply), RejectReason::NoSuchMessage);
        let mut history = refused.say(1, 1).finish();
        history.header.retention = Some(1);
        violated(NAME, &history);
        let unread = history.clone().tampered(|events| {
            events.retain(|e| !matches!(e.is, What::Stored { .. } | What::StoredAll { .. }));
        });
        clean(NAME, &unread);
        let removed = history.tampered(|events| {
            for event in events {
                if let What::StoredAll { first, .. } = &mut event.is {
                    *first = Sequence(4);
                }
            }
        });
        clean(NAME, &removed);
    }
}
