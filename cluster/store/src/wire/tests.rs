//! The messages of version 5, kind by kind: their bytes are what they were.

use super::*;
use fakes::frozen;
use ports::conversations::Refusal;
use protocol::store_calls::{
    AttachRefusal, AttachedAt, ConversationKind, ExportedConversation, ExportedEnd, Membership,
};
use protocol::{ClientMessageId, Content, Entry, Epoch};

const CONVERSATION: ConversationId = ConversationId(1);
const USER: UserId = UserId(2);
const PARTITION: Partition = Partition(3);

fn owner() -> Owner {
    Owner { node: NodeNumber(4), epoch: Epoch(5) }
}

fn life() -> GatewayLife {
    GatewayLife { gateway: GatewayId(18), incarnation: Incarnation(19) }
}

fn cursor() -> ReceiptItem {
    let (delivered, read) = (Sequence(6), Sequence(7));
    ReceiptItem { conversation: CONVERSATION, user: USER, delivered, read }
}

fn entries() -> Vec<Entry> {
    let (body, target) = ("hello".to_owned(), Sequence(8));
    let contents = [
        Content::Message { body: body.clone(), reply_to: Some(target) },
        Content::Edit { target, body },
        Content::Delete { target },
        Content::Join { user: USER },
        Content::Leave { user: USER },
    ];
    frozen::every_variant(&contents);
    let entry = |content| Entry {
        conversation: CONVERSATION,
        sequence: Sequence(9),
        epoch: Epoch(5),
        owner: NodeNumber(4),
        author: USER,
        client_message_id: ClientMessageId(10),
        at_ms: 11,
        content,
    };
    contents.map(entry).into()
}

fn calls() -> Vec<Call> {
    let (conversation, user, after) = (CONVERSATION, USER, Sequence(12));
    let kinds = [ConversationKind::Direct, ConversationKind::Group];
    frozen::every_variant(&kinds);
    let attach =
        |after, presence| AttachItem { conversation, user, after, presence, again: !presence };
    let range = RangeQuery { conversation, user: Some(user), after, limit: 13 };
    let mut calls = vec![
        Call::OfUsers(vec![user, UserId(300)]),
        Call::Attach(vec![attach(Some(after), true), attach(None, false)]),
        Call::Range(range),
        Call::Range(RangeQuery { user: None, ..range }),
        Call::Info(conversation, Some(user)),
        Call::Info(conversation, None),
        Call::ChangeMember(ChangeMember { conversation, by: Some(user), user, add: true }),
        Call::ChangeMember(ChangeMember { conversation, by: None, user, add: false }),
        Call::Pushes(vec![PushRef { user, conversation, sequence: after }]),
        Call::Cursors(conversation, Some(user)),
        Call::Export(PARTITION, ExportPlace { conversation, after }),
        Call::Status,
        Call::Consume(life(), 24),
    ];
    let create =
        |kind| CreateConversation { conversation, kind, creator: user, members: vec![user] };
    calls.push(Call::Create(kinds.map(create).into()));
    frozen::every_variant(&calls);
    calls
}

fn failures() -> Vec<CallError> {
    let refusals = [
        Refusal::NoSuchConversation,
        Refusal::NotMember,
        Refusal::Conflict,
        Refusal::MembershipFixed,
    ];
    frozen::every_variant(&refusals);
    let mut failures = vec![CallError::Unavailable, CallError::Unknown];
    failures.extend(refusals.map(CallError::Refused));
    frozen::every_variant(&failures);
    failures
}

fn answers() -> Vec<Answer> {
    let (conversation, user, first, head) = (CONVERSATION, USER, Sequence(14), Sequence(15));
    let joined = UserConversation { user, conversation, joined: first };
    frozen::every_variant(&[AttachRefusal::NotMember]);
    let at = AttachedAt { from: first, head, entries: entries(), epoch: Epoch(5) };
    let attached = [Ok(at), Err(AttachRefusal::NotMember)].map(|outcome| AttachedItem {
        conversation,
        user,
        outcome,
    });
    let members = vec![
        Membership { user, joined: first, left: None },
        Membership { user, joined: first, left: Some(head) },
    ];
    let kind = ConversationKind::Group;
    let info = ConversationInfo { conversation, kind, head, first, members: members.clone() };
    let created = CreatedConversation { is_new: true, info: info.clone() };
    let part =
        |end| ExportedConversation { conversation, kind, head, first, entries: entries(), end };
    let end = ExportedEnd { members, cursors: vec![cursor()] };
    let export = ExportPage {
        partition: PARTITION,
        owner: NodeNumber(4),
        epoch: Epoch(5),
        conversations: vec![part(Some(end)), part(None)],
        next: Some(ExportPlace { conversation, after: first }),
    };
    let advice = [PushAdvice::Now, PushAdvice::Later { after_ms: 16 }, PushAdvice::Never];
    frozen::every_variant(&advice);
    let (partition, epoch) = (PARTITION, Epoch(5));
    let status = PartitionStatus { partition, owner: NodeNumber(4), epoch, conversations: 17 };
    let mut answers = vec![
        Answer::OfUsers(vec![partition], vec![joined]),
        Answer::Attached(attached.into()),
        Answer::Page(RangePage { entries: entries(), first, head }),
        Answer::Info(info),
        Answer::Created(vec![Ok(created), Err(Refusal::Conflict)]),
        Answer::Exported(export),
        Answer::Changed(head),
        Answer::Pushes(advice.into()),
        Answer::Cursors(vec![cursor()]),
        Answer::Status(vec![status]),
        Answer::Consuming,
        Answer::NotOwner(vec![(partition, Some(owner())), (partition, None)]),
    ];
    answers.extend(failures().into_iter().map(Answer::Failed));
    frozen::every_variant(&answers);
    answers
}

#[test]
fn messages_of_version_5_to_a_store_are_what_they_were() {
    let detach = |arrived| DetachItem { conversation: CONVERSATION, user: USER, arrived };
    let mut samples = vec![
        ToStore::Announce(GatewayId(18), Incarnation(19)),
        ToStore::Detach(vec![detach(Some(Sequence(20))), detach(None)]),
        ToStore::Receipts(vec![cursor()]),
        ToStore::Typing(CONVERSATION, USER),
        ToStore::Taken(25),
    ];
    samples.extend(calls().into_iter().map(|call| ToStore::Call(21, call)));
    frozen::check(include_str!("../../fixtures/to-store-5.txt"), VERSION, &samples);
}

#[test]
fn messages_of_version_5_from_a_store_are_what_they_were() {
    let head = Head { conversation: CONVERSATION, sequence: Sequence(22) };
    let (user, conversation, joined) = (USER, CONVERSATION, Sequence(14));
    let mut samples = vec![
        FromStore::Welcome(NodeNumber(4)),
        FromStore::Joined(vec![UserConversation { user, conversation, joined }]),
        FromStore::Heads(vec![head]),
        FromStore::Owners(vec![(PARTITION, owner())]),
        FromStore::Records(vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")], Some(26)),
        FromStore::Records(Vec::new(), None),
        FromStore::ConsumerLost,
    ];
    samples.extend(answers().into_iter().map(|answer| FromStore::Answer(23, answer)));
    frozen::check(include_str!("../../fixtures/from-store-5.txt"), VERSION, &samples);
}
