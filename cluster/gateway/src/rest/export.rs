//! A partition from one end to the other, as a stream of lines: for services that read everything.
//!
//! A page is asked for when the one before it has been taken by the connection, so that a slow reader
//! costs two pages of memory. Each page names the epoch under which it was read. Only a line that says
//! so is the end: whatever else ends the stream has cut it, and whoever reads goes on from there.

use super::Rest;
use super::caller::{AUDIT, Caller};
use super::input::{self, shown};
use super::problem::{Kind, Problem};
use super::receipts::Cursor;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use protocol::store_calls::{
    ConversationKind, ExportPage, ExportPlace, ExportedConversation, ExportedEnd, Membership,
};
use protocol::{ConversationId, Entry, Epoch, NodeNumber, Partition, Sequence};
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;

/// Which partition, from where on.
pub struct Asked {
    partition: Partition,
    from: ExportPlace,
}

impl FromRequestParts<Arc<Rest>> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rest: &Arc<Rest>) -> Result<Self, Problem> {
        let Ok(Path(path)) = Path::<String>::from_request_parts(parts, rest).await else {
            return Err(Problem::new(Kind::Malformed, "the path cannot be read"));
        };
        let number = path.parse().map_err(|_| {
            let detail = format!("{:?} is not the number of a partition", shown(&path));
            Problem::new(Kind::Malformed, detail)
        })?;
        let total = rest.state.partitions_total;
        if number >= total {
            let detail = format!("no such partition; there are 0 to {}", total - 1);
            return Err(Problem::new(Kind::NotFound, detail));
        }
        let Ok(RawQuery(query)) = RawQuery::from_request_parts(parts, rest).await;
        let mut from = ExportPlace::default();
        input::parameters(&query.unwrap_or_default(), &["from", "after"], |name, value| {
            let wrong = |_| Problem::new(Kind::Malformed, format!("{name} is a whole number"));
            let number = value.parse().map_err(wrong)?;
            match name {
                "from" => from.conversation = ConversationId(number),
                _ => from.after = Sequence(number),
            }
            Ok(())
        })?;
        Ok(Self { partition: Partition(number), from })
    }
}

/// A line.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    /// What follows was read by this owner.
    Page { partition: Partition, owner: NodeNumber, epoch: Epoch },
    /// A conversation, or a part of a long one: then it has no `end`, and goes on in the next line.
    Conversation {
        id: ConversationId,
        kind: ConversationKind,
        head: Sequence,
        first: Sequence,
        entries: &'a [Entry],
        #[serde(skip_serializing_if = "Option::is_none")]
        end: Option<End<'a>>,
    },
    /// There is no more.
    End { partition: Partition },
    /// The stream ends here, and the partition does not.
    Problem(Problem),
}

#[derive(Serialize)]
struct End<'a> {
    members: &'a [Membership],
    receipts: Vec<Cursor>,
}

/// What comes next in a stream.
enum Next {
    Page(ExportPage),
    Ask(ExportPlace),
}

/// `GET /v1/partitions/{partition}/export`
pub async fn export(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Asked { partition, from }: Asked,
) -> Result<Response, Problem> {
    caller.service(&[AUDIT])?;
    // The first page before the head of the answer: without an owner there is none.
    let first = rest.state.conversations.export(partition, from).await?;
    let pages = stream::unfold(Some(Next::Page(first)), move |next| {
        let (conversations, next) = (Arc::clone(&rest.state.conversations), next);
        // It is under way until the last byte.
        let _place = &caller;
        async move {
            let page = match next? {
                Next::Page(page) => Ok(page),
                Next::Ask(place) => conversations.export(partition, place).await,
            };
            let mut lines = Vec::new();
            let next = match page {
                Ok(page) => {
                    write_page(&mut lines, &page);
                    page.next.map(Next::Ask)
                }
                Err(error) => {
                    write(&mut lines, &Line::Problem(error.into()));
                    None
                }
            };
            Some((Ok::<_, Infallible>(Bytes::from(lines)), next))
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(pages)).into_response())
}

fn write_page(lines: &mut Vec<u8>, page: &ExportPage) {
    let ExportPage { partition, owner, epoch, .. } = *page;
    write(lines, &Line::Page { partition, owner, epoch });
    for conversation in &page.conversations {
        write(lines, &Line::of(conversation));
    }
    if page.next.is_none() {
        write(lines, &Line::End { partition });
    }
}

impl<'a> Line<'a> {
    fn of(conversation: &'a ExportedConversation) -> Self {
        let ExportedConversation { conversation: id, kind, head, first, entries, end } =
            conversation;
        let end = end.as_ref().map(|ExportedEnd { members, cursors }| End {
            members,
            receipts: cursors.iter().copied().map(Cursor::from).collect(),
        });
        Self::Conversation { id: *id, kind: *kind, head: *head, first: *first, entries, end }
    }
}

fn write(lines: &mut Vec<u8>, line: &Line<'_>) {
    serde_json::to_writer(&mut *lines, line).expect("plain fields");
    lines.push(b'\n');
}
