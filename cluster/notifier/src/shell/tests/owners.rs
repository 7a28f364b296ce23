//! Owners that answer by script.

use ports::{BoxFuture, CallError, Conversations, StoreEvent};
use protocol::store_calls::{
    AttachItem, AttachedItem, ChangeMember, ConversationInfo, CreateConversation,
    CreatedConversation, DetachItem, ExportPage, ExportPlace, PartitionStatus, PushAdvice, PushRef,
    RangePage, RangeQuery, ReceiptItem, UserConversation,
};
use protocol::{ConversationId, GatewayId, Incarnation, Partition, Sequence, UserId};
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Mutex;
use tokio::sync::mpsc;

/// Owners that say what they are told to, and by default that everybody is away.
#[derive(Default)]
pub struct FakeOwners {
    /// What is said of a user; `None`: nothing.
    pub by_user: Mutex<BTreeMap<u64, Option<PushAdvice>>>,
    /// How often they were asked.
    pub questions: Mutex<u64>,
}

impl Conversations for FakeOwners {
    fn pushes(&self, pushes: Vec<PushRef>) -> BoxFuture<'static, Vec<(PushRef, PushAdvice)>> {
        *self.questions.lock().unwrap() += 1;
        let by_user = self.by_user.lock().unwrap().clone();
        let advice = |push: &PushRef| *by_user.get(&push.user.0).unwrap_or(&Some(PushAdvice::Now));
        let said = pushes.into_iter().filter_map(|push| Some((push, advice(&push)?)));
        Box::pin(ready(said.collect()))
    }
    fn announce(&self, _: GatewayId, _: Incarnation) -> mpsc::UnboundedReceiver<StoreEvent> {
        unreachable!("a notifier is no gateway")
    }
    fn of_users(
        &self,
        _: Vec<UserId>,
    ) -> BoxFuture<'static, Result<Vec<UserConversation>, CallError>> {
        unreachable!("a notifier asks for pushes only")
    }
    fn attach(&self, _: Vec<AttachItem>) -> BoxFuture<'static, Vec<AttachedItem>> {
        unreachable!("a notifier is no gateway")
    }
    fn detach(&self, _: Vec<DetachItem>) {
        unreachable!("a notifier is no gateway")
    }
    fn range(&self, _: RangeQuery) -> BoxFuture<'static, Result<RangePage, CallError>> {
        unreachable!("a notifier asks for pushes only")
    }
    fn info(
        &self,
        _: ConversationId,
        _: Option<UserId>,
    ) -> BoxFuture<'static, Result<ConversationInfo, CallError>> {
        unreachable!("a notifier asks for pushes only")
    }
    fn create(
        &self,
        _: Vec<CreateConversation>,
    ) -> BoxFuture<'static, Vec<Result<CreatedConversation, CallError>>> {
        unreachable!("a notifier changes nothing")
    }
    fn change_member(&self, _: ChangeMember) -> BoxFuture<'static, Result<Sequence, CallError>> {
        unreachable!("a notifier changes nothing")
    }
    fn receipts(&self, _: Vec<ReceiptItem>) {
        unreachable!("a notifier changes nothing")
    }
    fn cursors(
        &self,
        _: ConversationId,
        _: Option<UserId>,
    ) -> BoxFuture<'static, Result<Vec<ReceiptItem>, CallError>> {
        unreachable!("a notifier asks for pushes only")
    }
    fn export(
        &self,
        _: Partition,
        _: ExportPlace,
    ) -> BoxFuture<'static, Result<ExportPage, CallError>> {
        unreachable!("a notifier asks for pushes only")
    }
    fn typing(&self, _: ConversationId, _: UserId) {
        unreachable!("a notifier is no gateway")
    }
    fn status(&self) -> BoxFuture<'static, Vec<PartitionStatus>> {
        unreachable!("a notifier asks for pushes only")
    }
}
