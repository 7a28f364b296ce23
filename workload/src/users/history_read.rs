//! Reads of stored entries over a session, page by page up to the head.

use protocol::frames::client::Backlog;
use protocol::frames::server::Page;
use protocol::{ConversationId, Sequence, limits};

/// Pages of one read at most; a longer one ends as not whole.
const PAGES_MAX: u32 = 20;
/// Reads of one device under way at once; more are not begun.
const AT_ONCE: usize = 4;

/// One read under way.
#[derive(Debug)]
struct Read {
    request: u32,
    conversation: ConversationId,
    pages: u32,
    head: Sequence,
}

/// The reads of one device.
#[derive(Debug, Default)]
pub struct HistoryReads {
    next_request: u32,
    reads: Vec<Read>,
}

/// A read that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub request: u32,
    pub conversation: ConversationId,
    pub head: Sequence,
    pub whole: bool,
}

/// What follows a page.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// It was not asked for.
    Nothing,
    /// The next page is to be asked for.
    Ask(Backlog),
    /// The read is over.
    Ended(Ended),
}

impl HistoryReads {
    /// A new read; `None` if too many are under way.
    pub fn begin(&mut self, conversation: ConversationId, after: Sequence) -> Option<Backlog> {
        if self.reads.len() >= AT_ONCE {
            return None;
        }
        self.next_request += 1;
        let request = self.next_request;
        self.reads.push(Read { request, conversation, pages: 0, head: Sequence::START });
        Some(Backlog { request, conversation, after, limit: limits::MAX_PAGE })
    }

    /// A page came.
    pub fn page(&mut self, page: &Page) -> Next {
        let Some(at) = self.reads.iter().position(|read| read.request == page.request) else {
            return Next::Nothing;
        };
        let read = &mut self.reads[at];
        read.pages += 1;
        read.head = page.head;
        let last = page.entries.last().map(|entry| entry.sequence);
        let (request, conversation) = (read.request, read.conversation);
        match last {
            Some(after) if after < page.head && read.pages < PAGES_MAX => {
                Next::Ask(Backlog { request, conversation, after, limit: limits::MAX_PAGE })
            }
            // An empty page says that the rest is not for this user.
            _ => {
                let whole = last.is_none_or(|last| last >= page.head);
                self.reads.swap_remove(at);
                Next::Ended(Ended { request, conversation, head: page.head, whole })
            }
        }
    }

    /// An error notice came. If it answers a read (its detail begins with `backlog REQUEST:`), that
    /// read is over, and named.
    pub fn refused(&mut self, detail: &str) -> Option<(u32, ConversationId)> {
        let (request, _) = detail.strip_prefix("backlog ")?.split_once(':')?;
        let request = request.parse().ok()?;
        let at = self.reads.iter().position(|read| read.request == request)?;
        let read = self.reads.swap_remove(at);
        Some((request, read.conversation))
    }

    /// The session is gone, and with it the answers. As long as it lives a read waits for its answer:
    /// one that came later than the device cared to wait would look as if it had never come.
    pub fn lost(&mut self) {
        self.reads.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_ends_the_read_that_it_names() {
        let mut reads = HistoryReads::default();
        for conversation in [5, 6] {
            reads.begin(ConversationId(conversation), Sequence::START).expect("there is room");
        }
        for other in ["backlog 9: no answer", "backlog 2 no answer", "typing: 2: of 6", ""] {
            assert_eq!(reads.refused(other), None, "{other}");
        }
        let detail = "backlog 2: no answer from the owner";
        assert_eq!(reads.refused(detail), Some((2, ConversationId(6))));
        assert_eq!(reads.refused(detail), None, "it is over");
        assert_eq!(reads.reads.len(), 1);
    }
}
