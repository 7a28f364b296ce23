//! From effects to messages: who must hear of what.

use super::attachments::{Attachments, GatewayLife, LinkId, PresenceChange};
use super::command::Effect;
use bytes::Bytes;
use ports::broker::{FanoutMessage, Job};
use protocol::frames::server::{Presence, TypingNotice};
use protocol::records::{self, PushJob, ToGateway};
use protocol::store_calls::UserConversation;
use protocol::{Content, ConversationId, Entry, Sequence, UserId};
use std::collections::{BTreeMap, btree_map};
use std::sync::Arc;

/// Bytes of text that a push notification shows at most.
const PREVIEW_BYTES: usize = 100;

/// What follows from the effects of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fanout {
    /// For gateways, in this order.
    pub messages: Vec<FanoutMessage>,
    /// For notifiers.
    pub jobs: Vec<Job>,
    /// For every linked gateway, directly.
    pub joined: Vec<UserConversation>,
    /// Whose attachments ended, and on which gateways.
    pub expelled: Vec<(GatewayLife, ConversationId, UserId)>,
}

/// Turns the effects of a committed batch into messages, in their order. A `Leave` ends the
/// member's attachments, after the gateways of those attachments are among its addressees.
pub fn fan_out(effects: Vec<Effect>, attachments: &mut Attachments, notify_queues: u16) -> Fanout {
    let mut fanout = Fanout::default();
    for effect in effects {
        match effect {
            Effect::Entry { entry, members } => {
                fanout.entry(&entry, &members, attachments, notify_queues);
            }
            Effect::Accepted(to, accepted) => {
                let message = records::encode(&ToGateway::Accepted(to.session, accepted));
                fanout.tell(to.into(), message);
            }
            Effect::Rejected(to, rejected) => {
                let message = records::encode(&ToGateway::Rejected(to.session, rejected));
                fanout.tell(to.into(), message);
            }
            Effect::Receipts(receipts, members) => {
                let message = records::encode(&ToGateway::Receipts(receipts, members));
                let to = attachments.listeners_besides(receipts.conversation, receipts.user);
                fanout.tell_all(to, &message);
            }
        }
    }
    fanout
}

/// Tells the watchers that a user came or went.
pub fn presence(change: PresenceChange, attachments: &Attachments) -> Vec<FanoutMessage> {
    let PresenceChange { conversation, user, online, .. } = change;
    let mut fanout = Fanout::default();
    let message = records::encode(&ToGateway::Presence(Presence { conversation, user, online }));
    fanout.tell_all(attachments.watchers(conversation, user), &message);
    fanout.messages
}

/// Tells a watcher who has just attached who is there: some of them, at most so many.
pub fn present(
    (link, conversation, watcher): (LinkId, ConversationId, UserId),
    attachments: &Attachments,
    most: usize,
) -> Vec<FanoutMessage> {
    let mut fanout = Fanout::default();
    let Some(life) = attachments.life(link) else { return Vec::new() };
    for user in attachments.online_besides(conversation, watcher, most) {
        let presence = Presence { conversation, user, online: true };
        fanout.tell(life, records::encode(&ToGateway::Presence(presence)));
    }
    fanout.messages
}

/// Tells the watchers that a user is typing.
pub fn typing(
    conversation: ConversationId,
    user: UserId,
    attachments: &Attachments,
) -> Vec<FanoutMessage> {
    let mut fanout = Fanout::default();
    let message = records::encode(&ToGateway::Typing(TypingNotice { conversation, user }));
    fanout.tell_all(attachments.watchers(conversation, user), &message);
    fanout.messages
}

impl Fanout {
    fn entry(
        &mut self,
        entry: &Arc<Entry>,
        members: &[UserId],
        attachments: &mut Attachments,
        notify_queues: u16,
    ) {
        let conversation = entry.conversation;
        attachments.sent(conversation, entry.sequence);
        // Encoded once; every gateway shares the bytes.
        let mut encoded = None;
        for life in attachments.listeners(conversation) {
            let message = encoded.get_or_insert_with(|| entry_record(entry));
            self.messages.push(FanoutMessage { to: life, message: message.clone() });
        }
        match &entry.content {
            Content::Message { body, .. } => {
                let is_away = |user: &UserId| {
                    *user != entry.author && !attachments.is_online(conversation, *user)
                };
                let away: Vec<UserId> = members.iter().copied().filter(is_away).collect();
                if !away.is_empty() {
                    self.jobs.push(job(&push_job(away, entry, body), notify_queues));
                }
            }
            Content::Join { user } => self.joined.push(UserConversation {
                user: *user,
                conversation,
                joined: entry.sequence,
            }),
            // An old `Leave` that is published again must not end a newer membership.
            Content::Leave { user } if members.binary_search(user).is_err() => {
                let lives = attachments.expel(conversation, *user).into_iter();
                self.expelled.extend(lives.map(|life| (life, conversation, *user)));
            }
            Content::Leave { .. } | Content::Edit { .. } | Content::Delete { .. } => {}
        }
    }

    fn tell(&mut self, life: GatewayLife, message: Bytes) {
        self.messages.push(FanoutMessage { to: life, message });
    }

    fn tell_all(&mut self, lives: impl Iterator<Item = GatewayLife>, message: &Bytes) {
        let message = |to| FanoutMessage { to, message: message.clone() };
        self.messages.extend(lives.map(message));
    }
}

/// What a notifier is told of a message.
pub fn push_job(users: Vec<UserId>, entry: &Entry, body: &str) -> PushJob {
    PushJob {
        users,
        conversation: entry.conversation,
        sequence: entry.sequence,
        author: entry.author,
        preview: preview(body).to_owned(),
        at_ms: entry.at_ms,
        client_message_id: Some(entry.client_message_id),
    }
}

/// A job on its way to the notifiers. All about one message share a queue: whoever consumes it knows
/// what it has pushed.
fn job(job: &PushJob, notify_queues: u16) -> Job {
    let queue = (job.conversation.0 % u64::from(notify_queues.max(1))) as u16;
    Job { queue, message: job.encode() }
}

/// What the departed have missed: one job for each message.
pub fn missed(missed: Vec<PushJob>, notify_queues: u16) -> Vec<Job> {
    let mut by_message: BTreeMap<(ConversationId, Sequence), PushJob> = BTreeMap::new();
    for mut one in missed {
        match by_message.entry((one.conversation, one.sequence)) {
            btree_map::Entry::Occupied(known) => known.into_mut().users.append(&mut one.users),
            btree_map::Entry::Vacant(vacant) => drop(vacant.insert(one)),
        }
    }
    by_message.values().map(|found| job(found, notify_queues)).collect()
}

/// `ToGateway::Entry` without a copy of the entry: in postcard a variant is its number, then its field.
fn entry_record(entry: &Entry) -> Bytes {
    const ENTRY_VARIANT: u8 = 0;
    let room = entry.content.body_bytes() + 64;
    let mut record = Vec::with_capacity(room);
    record.extend([records::VERSION, ENTRY_VARIANT]);
    postcard::to_extend(entry, record).expect("entries have known lengths").into()
}

/// The beginning of a text, cut between characters.
fn preview(body: &str) -> &str {
    let end = (0..=PREVIEW_BYTES.min(body.len())).rev().find(|at| body.is_char_boundary(*at));
    &body[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{ClientMessageId, Epoch, NodeNumber};

    #[test]
    fn an_entry_record_is_the_record_of_its_variant() {
        let entry = Entry {
            conversation: ConversationId(300),
            sequence: Sequence(70_000),
            epoch: Epoch(2),
            owner: NodeNumber(1),
            author: UserId(9),
            client_message_id: ClientMessageId(12),
            at_ms: 1 << 40,
            content: Content::Message { body: "hello".to_owned(), reply_to: Some(Sequence(3)) },
        };
        let record = entry_record(&entry);
        assert_eq!(records::decode::<ToGateway>(&record), Ok(ToGateway::Entry(entry)));
    }

    #[test]
    fn who_has_missed_one_message_shares_a_job() {
        let missed_by = |user: u64, sequence: u64| PushJob {
            users: vec![UserId(user)],
            conversation: ConversationId(5),
            sequence: Sequence(sequence),
            author: UserId(9),
            preview: "hello".to_owned(),
            at_ms: 1,
            client_message_id: Some(ClientMessageId(2)),
        };
        let jobs = missed(vec![missed_by(1, 7), missed_by(2, 8), missed_by(3, 7)], 2);
        let users = |job: &Job| PushJob::decode(&job.message).map(|job| job.users);
        let [seven, eight] = &jobs[..] else { panic!("{jobs:?}") };
        assert_eq!((users(seven), seven.queue), (Ok(vec![UserId(1), UserId(3)]), 1));
        assert_eq!((users(eight), eight.queue), (Ok(vec![UserId(2)]), 1));
    }

    #[test]
    fn a_preview_is_cut_between_characters() {
        assert_eq!(preview("short"), "short");
        let long = "ä".repeat(80);
        assert_eq!(preview(&format!("a{long}")).len(), 99);
        assert_eq!(preview(&long).len(), 100);
    }
}
