//! A user reads all stored entries of one of its conversations, page by page.

use crate::call::Call;
use crate::context::Context;
use crate::user::RestUser;
use goose::goose::{GooseMethod, GooseUser};
use protocol::{ConversationId, Sequence};
use verify::history::event::{Request, What};
use workload::rest::api::BacklogPage;
use workload::seen::seen;

/// Entries of a page: about a screen of them, so that a backlog has several.
const PAGE: u32 = 50;
/// Pages of one read at most; a longer one ends as not whole.
const PAGES_MAX: u32 = 20;

/// Reads a conversation from its beginning to its head, as the judge will check it.
pub async fn page(user: &mut RestUser, goose: &mut GooseUser, context: &Context) {
    // Of one whose membership is changing nobody knows what the user may read: the judge does.
    let own: Vec<ConversationId> =
        user.conversations.iter().filter(|own| own.is_member).map(|own| own.id).collect();
    if own.is_empty() {
        return;
    }
    let conversation = own[(user.pick % own.len() as u64) as usize];
    user.reads += 1;
    let (device, request) = (user.device(), user.reads);
    let mut after = Sequence::START;
    context.record(What::ReadBegan { device, request, conversation, after });
    for number in 1.. {
        let Some(page) = one(user, goose, context, (conversation, after)).await else {
            context.record(What::ReadFailed { device, request, conversation });
            return;
        };
        for entry in &page.entries {
            context.record(What::Read { device, request, entry: seen(entry) });
        }
        let Some(next) = page.next_after.filter(|_| number < PAGES_MAX) else {
            let (head, whole) = (page.head, page.next_after.is_none());
            context.record(What::ReadEnded { device, request, conversation, head, whole });
            return;
        };
        after = next;
    }
}

async fn one(
    user: &mut RestUser,
    goose: &mut GooseUser,
    context: &Context,
    (conversation, after): (ConversationId, Sequence),
) -> Option<BacklogPage> {
    let call = Call {
        request: Request::PageBacklog,
        method: GooseMethod::Get,
        path: format!("/v1/conversations/{conversation}/entries?after={after}&limit={PAGE}"),
        bearer: user.bearer(),
        body: None,
    };
    call.ask(user, goose, context).await
}
