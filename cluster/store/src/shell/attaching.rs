//! What follows from an answered attach, and from users who come and go.

use super::writer::AttachAnswer;
use crate::core::absences::Absences;
use crate::core::attachments::{Attachments, Begins, Turn};
use crate::core::fanout;
use crate::wire::Answer;
use ports::broker::FanoutMessage;

/// Registers the attachments of an answer and sends it (step 2 of the owner's order). A link that was
/// lost, or never announced, gets an empty answer and no attachments. A watcher is told of so many members
/// that are online: presence is best effort.
pub fn register(
    answer: AttachAnswer,
    attachments: &mut Attachments,
    absences: &mut Absences,
    notices: usize,
    whispers: &mut Vec<FanoutMessage>,
) {
    let AttachAnswer { link, reply, items, answers } = answer;
    let Some(life) = attachments.life(link) else {
        reply.send(Answer::Attached(Vec::new()));
        return;
    };
    // Items of other nodes are missing among the answers; otherwise the two are in one order.
    let mut asked = items.iter();
    for answered in &answers {
        let item = asked
            .find(|item| (item.conversation, item.user) == (answered.conversation, answered.user));
        let (Some(item), Ok(at)) = (item, &answered.outcome) else { continue };
        let begins = Begins { from: at.from, head: at.head };
        let turn = attachments.attach(link, item.conversation, item.user, item.presence, begins);
        absences.came(life, item.conversation, item.user);
        tell(turn, attachments, whispers);
        if item.presence {
            let (conversation, user) = (item.conversation, item.user);
            let present = fanout::present(link, conversation, user, attachments);
            whispers.extend(present.into_iter().take(notices));
        }
    }
    reply.send(Answer::Attached(answers));
}

/// Tells the watchers of users who came or went.
pub fn tell(
    turns: impl IntoIterator<Item = Turn>,
    attachments: &Attachments,
    whispers: &mut Vec<FanoutMessage>,
) {
    for turn in turns {
        whispers.extend(fanout::presence(turn, attachments));
    }
}
