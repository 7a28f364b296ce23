//! What the routes stand on, small enough to be obviously right.

use futures_util::future::join_all;
use ports::broker::{
    BrokerUnavailable, DeadLetter, DeadLetters, Depths, NewDeadLetter, PublishError, Queue,
};
use ports::conversations::Refusal;
use ports::{
    BoxFuture, CallError, Claims, Conversations, Scopes, StoreEvent, TokenError, TokenVerifier,
};
use protocol::partition::partition_of;
use protocol::store_calls::{
    AttachItem, AttachedItem, ChangeMember, ConversationInfo, ConversationKind, CreateConversation,
    CreatedConversation, DetachItem, ExportPage, ExportPlace, ExportedConversation, ExportedEnd,
    Membership, PartitionStatus, PushAdvice, PushRef, RangePage, RangeQuery, ReceiptItem,
    UserConversation,
};
use protocol::{
    ClientMessageId, Content, ConversationId, Entry, Epoch, GatewayId, Incarnation, NodeNumber,
    Partition, Sequence, UserId,
};
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Of the cluster.
pub const PARTITIONS: u16 = 4;

/// One owner of everything.
#[derive(Default)]
pub struct FakeOwner {
    pub conversations: Mutex<BTreeMap<ConversationId, (CreateConversation, Vec<Entry>)>>,
    pub receipts: Mutex<Vec<ReceiptItem>>,
    /// What every call answers instead.
    pub failure: Mutex<Option<CallError>>,
    /// Pages of exports until it is lost.
    pub pages_left: Mutex<Option<u32>>,
    /// How long every call takes.
    pub delay: Mutex<Duration>,
}

impl FakeOwner {
    /// Somebody says something.
    pub fn say(&self, conversation: u64, author: u64, content: Content) {
        let mut all = self.conversations.lock().unwrap();
        let (_, entries) = all.get_mut(&ConversationId(conversation)).unwrap();
        entries.push(Entry {
            conversation: ConversationId(conversation),
            sequence: Sequence(entries.len() as u64 + 1),
            epoch: Epoch(1),
            owner: NodeNumber(1),
            author: UserId(author),
            client_message_id: ClientMessageId(0),
            at_ms: 0,
            content,
        });
    }

    fn answer<T: Send + 'static>(
        &self,
        answer: impl FnOnce() -> Result<T, CallError>,
    ) -> BoxFuture<'static, Result<T, CallError>> {
        let failure = self.failure.lock().unwrap().clone();
        let (answer, delay) = (failure.map_or_else(answer, Err), *self.delay.lock().unwrap());
        Box::pin(async move {
            sleep(delay).await;
            answer
        })
    }

    fn members(entries: &[Entry]) -> Vec<Membership> {
        let mut members: Vec<Membership> = Vec::new();
        for entry in entries {
            match entry.content {
                Content::Join { user } => {
                    members.push(Membership { user, joined: entry.sequence, left: None });
                }
                Content::Leave { user } => {
                    let member = members.iter_mut().rev().find(|member| member.user == user);
                    member.unwrap().left = Some(entry.sequence);
                }
                _ => {}
            }
        }
        members
    }

    /// A conversation as its members see it.
    fn seen(
        &self,
        conversation: ConversationId,
        user: Option<UserId>,
    ) -> Result<(CreateConversation, Vec<Entry>, Vec<Membership>), CallError> {
        let all = self.conversations.lock().unwrap();
        let (made, entries) =
            all.get(&conversation).ok_or(CallError::Refused(Refusal::NoSuchConversation))?;
        let members = Self::members(entries);
        let member = |user| members.iter().any(|m| m.user == user && m.left.is_none());
        if user.is_some_and(|user| !member(user)) {
            return Err(CallError::Refused(Refusal::NotMember));
        }
        Ok((made.clone(), entries.clone(), members))
    }

    fn made(&self, request: CreateConversation) -> Result<CreatedConversation, CallError> {
        let id = request.conversation;
        let mut all = self.conversations.lock().unwrap();
        let (made, _) = all.entry(id).or_insert((request.clone(), Vec::new()));
        if *made != request {
            return Err(CallError::Refused(Refusal::Conflict));
        }
        let is_new = all[&id].1.is_empty();
        drop(all);
        for user in request.members.into_iter().filter(|_| is_new) {
            self.say(id.0, request.creator.0, Content::Join { user });
        }
        Ok(CreatedConversation { is_new, info: self.info_of(id, None)? })
    }

    /// A page of two conversations, and of three entries of each.
    fn page(&self, partition: Partition, from: ExportPlace) -> ExportPage {
        let all = self.conversations.lock().unwrap();
        let home = |id: &ConversationId| partition_of(*id, PARTITIONS) == partition;
        let mut conversations = Vec::new();
        let mut next = None;
        for (id, (made, entries)) in all.range(from.conversation..).filter(|(id, _)| home(id)) {
            let after = if *id == from.conversation { from.after } else { Sequence::START };
            if conversations.len() == 2 || next.is_some() {
                next = next.or(Some(ExportPlace { conversation: *id, after: Sequence::START }));
                break;
            }
            let head = Sequence(entries.len() as u64);
            let later = entries.iter().filter(|entry| entry.sequence > after);
            let part: Vec<Entry> = later.take(3).cloned().collect();
            let last = part.last().map_or(head, |last| last.sequence);
            next = (last < head).then_some(ExportPlace { conversation: *id, after: last });
            let receipts = self.receipts.lock().unwrap().clone();
            let end = ExportedEnd { members: Self::members(entries), cursors: receipts };
            conversations.push(ExportedConversation {
                conversation: *id,
                kind: made.kind,
                head,
                first: Sequence(1),
                entries: part,
                end: next.is_none().then_some(end),
            });
        }
        ExportPage { partition, owner: NodeNumber(1), epoch: Epoch(2), conversations, next }
    }

    fn info_of(
        &self,
        conversation: ConversationId,
        user: Option<UserId>,
    ) -> Result<ConversationInfo, CallError> {
        let (made, entries, members) = self.seen(conversation, user)?;
        let head = Sequence(entries.len() as u64);
        Ok(ConversationInfo { conversation, kind: made.kind, head, first: Sequence(1), members })
    }
}

impl Conversations for FakeOwner {
    fn announce(&self, _: GatewayId, _: Incarnation) -> mpsc::UnboundedReceiver<StoreEvent> {
        mpsc::unbounded_channel().1
    }
    fn of_users(
        &self,
        users: Vec<UserId>,
    ) -> BoxFuture<'static, Result<Vec<UserConversation>, CallError>> {
        self.answer(|| {
            let all = self.conversations.lock().unwrap();
            // Newest first, to show that the route sorts.
            let each = all.iter().rev().flat_map(|(id, (_, entries))| {
                Self::members(entries).into_iter().map(|member| (*id, member))
            });
            Ok(each
                .filter(|(_, member)| users.contains(&member.user) && member.left.is_none())
                .map(|(conversation, member)| UserConversation {
                    user: member.user,
                    conversation,
                    joined: member.joined,
                })
                .collect())
        })
    }
    fn attach(&self, _: Vec<AttachItem>) -> BoxFuture<'static, Vec<AttachedItem>> {
        Box::pin(ready(Vec::new()))
    }
    fn detach(&self, _: Vec<DetachItem>) {}
    fn pushes(&self, _: Vec<PushRef>) -> BoxFuture<'static, Vec<(PushRef, PushAdvice)>> {
        unreachable!("notifiers ask this")
    }
    fn range(&self, query: RangeQuery) -> BoxFuture<'static, Result<RangePage, CallError>> {
        self.answer(|| {
            let (_, entries, _) = self.seen(query.conversation, query.user)?;
            let head = Sequence(entries.len() as u64);
            let later = entries.into_iter().filter(|entry| entry.sequence > query.after);
            let entries = later.take(query.limit as usize).collect();
            Ok(RangePage { entries, first: Sequence(1), head })
        })
    }
    fn info(
        &self,
        conversation: ConversationId,
        user: Option<UserId>,
    ) -> BoxFuture<'static, Result<ConversationInfo, CallError>> {
        self.answer(|| self.info_of(conversation, user))
    }
    fn create(
        &self,
        requests: Vec<CreateConversation>,
    ) -> BoxFuture<'static, Vec<Result<CreatedConversation, CallError>>> {
        let one = |request| self.answer(|| self.made(request));
        Box::pin(join_all(requests.into_iter().map(one).collect::<Vec<_>>()))
    }
    fn change_member(
        &self,
        request: ChangeMember,
    ) -> BoxFuture<'static, Result<Sequence, CallError>> {
        self.answer(|| {
            let (made, _, _) = self.seen(request.conversation, request.by)?;
            if made.kind == ConversationKind::Direct {
                return Err(CallError::Refused(Refusal::MembershipFixed));
            }
            let user = request.user;
            let content =
                if request.add { Content::Join { user } } else { Content::Leave { user } };
            self.say(request.conversation.0, user.0, content);
            Ok(self.info_of(request.conversation, None)?.head)
        })
    }
    fn receipts(&self, items: Vec<ReceiptItem>) {
        self.receipts.lock().unwrap().extend(items);
    }
    fn cursors(
        &self,
        conversation: ConversationId,
        user: Option<UserId>,
    ) -> BoxFuture<'static, Result<Vec<ReceiptItem>, CallError>> {
        self.answer(|| {
            self.seen(conversation, user)?;
            Ok(self.receipts.lock().unwrap().clone())
        })
    }
    fn export(
        &self,
        partition: Partition,
        from: ExportPlace,
    ) -> BoxFuture<'static, Result<ExportPage, CallError>> {
        self.answer(|| {
            if let Some(left) = &mut *self.pages_left.lock().unwrap() {
                *left = left.checked_sub(1).ok_or(CallError::Unavailable)?;
            }
            Ok(self.page(partition, from))
        })
    }
    fn typing(&self, _: ConversationId, _: UserId) {}
    fn status(&self) -> BoxFuture<'static, Vec<PartitionStatus>> {
        let status = |partition| PartitionStatus {
            partition: Partition(partition),
            owner: NodeNumber(1),
            epoch: Epoch(2),
            conversations: 3,
        };
        Box::pin(ready(vec![status(1), status(0)]))
    }
}

/// A broker that has dead letters only.
#[derive(Default)]
pub struct FakeBroker {
    pub dead_letters: Mutex<Vec<DeadLetter>>,
    pub requeued: Mutex<Vec<u64>>,
    pub away: Mutex<bool>,
}

impl FakeBroker {
    fn answer<T: Send + 'static>(
        &self,
        answer: impl FnOnce() -> T,
    ) -> BoxFuture<'static, Result<T, BrokerUnavailable>> {
        let away = *self.away.lock().unwrap();
        Box::pin(ready(if away { Err(BrokerUnavailable) } else { Ok(answer()) }))
    }
}

impl DeadLetters for FakeBroker {
    fn put(&self, _: NewDeadLetter) -> BoxFuture<'static, Result<(), PublishError>> {
        unreachable!("REST puts none")
    }
    fn list(
        &self,
        after: u64,
        limit: u32,
    ) -> BoxFuture<'static, Result<Vec<DeadLetter>, BrokerUnavailable>> {
        self.answer(|| {
            let dead_letters = self.dead_letters.lock().unwrap();
            let later = dead_letters.iter().filter(|dead| dead.id > after);
            later.take(limit as usize).cloned().collect()
        })
    }
    fn requeue(&self, id: u64) -> BoxFuture<'static, Result<bool, BrokerUnavailable>> {
        self.answer(|| {
            let found = self.dead_letters.lock().unwrap().iter().any(|dead| dead.id == id);
            self.requeued.lock().unwrap().extend(found.then_some(id));
            found
        })
    }
}

impl Depths for FakeBroker {
    fn depths(&self) -> BoxFuture<'static, Result<Vec<(Queue, u64)>, BrokerUnavailable>> {
        self.answer(|| vec![(Queue::Inbound(Partition(3)), 12), (Queue::DeadLetters, 1)])
    }
}

/// Tokens are their own meaning: `user-7`, `mute-7`, `admin`, `audit`, `expired`, `early`.
pub struct PlainTokens;

impl TokenVerifier for PlainTokens {
    fn verify(&self, token: &str, _: u64) -> Result<Claims, TokenError> {
        let claims = |user: Option<&str>, scope: &str| Claims {
            user: user.map(|number| UserId(number.parse().unwrap())),
            scopes: Scopes::of([scope]),
            expires_ms: u64::MAX,
            login: None,
            revocation_epoch: 0,
            signer: None,
        };
        match token.split_once('-') {
            Some(("user", number)) => Ok(claims(Some(number), "chat")),
            Some(("mute", number)) => Ok(claims(Some(number), "other")),
            Some(("root", number)) => Ok(claims(Some(number), "admin")),
            _ => match token {
                "admin" | "audit" => Ok(claims(None, token)),
                "expired" => Err(TokenError::Expired),
                "revoked" => Err(TokenError::Revoked),
                "early" => Err(TokenError::NotReady),
                _ => Err(TokenError::Invalid),
            },
        }
    }
    fn still_valid(&self, _: &Claims, _: u64) -> Result<(), TokenError> {
        Ok(())
    }
    fn revision(&self) -> u64 {
        0
    }
}
