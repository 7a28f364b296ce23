//! What a device remembers of its conversations, to say something sensible next.

use protocol::{
    ClientMessageId, Content, ConversationId, DeviceId, Entry, Sequence,
    frames::server::{Accepted, Rejected},
    tight,
};
use std::collections::{BTreeSet, VecDeque};

/// Own messages that can still be edited or withdrawn.
const OWN_MAX: usize = 16;
/// Counters of one device: ids of different devices of a user never meet, and stay below 2^53.
const COUNTER_BITS: u32 = 40;

/// The notes of one device.
#[derive(Debug)]
pub struct DeviceState {
    next_id: u64,
    /// Sorted.
    conversations: Vec<(ConversationId, Newest)>,
    /// Conversations that the cluster has said the user is no member of any more.
    left: BTreeSet<ConversationId>,
    /// Own messages without an answer so far, sorted: ids rise.
    asked: Vec<ClientMessageId>,
    own: VecDeque<(ConversationId, Sequence)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    message: Sequence,
    membership: Sequence,
}

impl DeviceState {
    pub const fn new(device: DeviceId) -> Self {
        Self {
            next_id: (device.0 as u64) << COUNTER_BITS,
            conversations: Vec::new(),
            left: BTreeSet::new(),
            asked: Vec::new(),
            own: VecDeque::new(),
        }
    }

    /// An id that was never used by this user; rises.
    pub const fn next_id(&mut self) -> ClientMessageId {
        self.next_id += 1;
        ClientMessageId(self.next_id)
    }

    /// A message (not an edit or a deletion) was sent.
    pub fn asked(&mut self, id: ClientMessageId) {
        self.asked.push(id);
    }

    pub fn accepted(&mut self, accepted: &Accepted) {
        if self.answered(accepted.client_message_id) {
            self.own.push_back((accepted.conversation, accepted.sequence));
            if self.own.len() > OWN_MAX {
                self.own.pop_front();
            }
        }
    }

    pub fn rejected(&mut self, rejected: &Rejected) {
        if rejected.reason.is_final() {
            self.answered(rejected.client_message_id);
        }
    }

    /// Whether a message was waiting for its answer.
    fn answered(&mut self, id: ClientMessageId) -> bool {
        let found = self.asked.binary_search(&id);
        if let Ok(at) = found {
            self.asked.remove(at);
        }
        found.is_ok()
    }

    pub fn shown(&mut self, entry: &Entry) {
        let at = match self.find(entry.conversation) {
            Ok(at) => at,
            Err(at) => {
                tight::insert(&mut self.conversations, at, (entry.conversation, Newest::default()));
                at
            }
        };
        let newest = &mut self.conversations[at].1;
        match entry.content {
            Content::Message { .. } => newest.message = entry.sequence,
            Content::Join { .. } | Content::Leave { .. } => newest.membership = entry.sequence,
            Content::Edit { .. } | Content::Delete { .. } => {}
        }
    }

    /// The stream of a conversation begins: the user is a member.
    pub fn attached(&mut self, conversation: ConversationId) {
        self.left.remove(&conversation);
    }

    /// The stream of a conversation ends.
    pub fn detached(&mut self, conversation: ConversationId) {
        self.left.insert(conversation);
    }

    /// Whether the user has left a conversation, as far as the device knows.
    pub fn is_left(&self, conversation: ConversationId) -> bool {
        self.left.contains(&conversation)
    }

    /// The newest message that was shown, to be answered.
    pub fn newest_message(&self, conversation: ConversationId) -> Option<Sequence> {
        let newest = self.newest(conversation).message;
        (newest != Sequence::START).then_some(newest)
    }

    /// The newest join or departure that was shown.
    pub fn membership(&self, conversation: ConversationId) -> Sequence {
        self.newest(conversation).membership
    }

    fn newest(&self, conversation: ConversationId) -> Newest {
        self.find(conversation).map_or_else(|_| Newest::default(), |at| self.conversations[at].1)
    }

    fn find(&self, conversation: ConversationId) -> Result<usize, usize> {
        self.conversations.binary_search_by_key(&conversation, |&(id, _)| id)
    }

    /// One of the own messages, to be edited; `forget` it when it is withdrawn. Those in a left
    /// conversation are passed over, and forgotten is what is withdrawn, unless `stubborn`: somebody
    /// edits what another device withdrew.
    pub fn own_message(
        &mut self,
        pick: u64,
        forget: bool,
        stubborn: bool,
    ) -> Option<(ConversationId, Sequence)> {
        let fits = |own: &(usize, &(ConversationId, Sequence))| stubborn || !self.is_left(own.1.0);
        let fitting = || self.own.iter().enumerate().filter(fits);
        let count = fitting().count();
        if count == 0 {
            return None;
        }
        let (at, _) = fitting().nth((pick % count as u64) as usize)?;
        if forget && !stubborn { self.own.remove(at) } else { self.own.get(at).copied() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Epoch, NodeNumber};

    fn accepted(id: ClientMessageId, sequence: u64) -> Accepted {
        Accepted {
            client_message_id: id,
            conversation: ConversationId(1),
            sequence: Sequence(sequence),
            epoch: Epoch(1),
            owner: NodeNumber(1),
        }
    }

    #[test]
    fn ids_of_two_devices_never_meet() {
        let (mut first, mut second) =
            (DeviceState::new(DeviceId(1)), DeviceState::new(DeviceId(2)));
        assert_eq!(first.next_id().0, (1 << 40) + 1);
        assert_eq!(first.next_id().0, (1 << 40) + 2);
        assert_eq!(second.next_id().0, (2 << 40) + 1);
    }

    #[test]
    fn a_withdrawn_message_is_not_touched_again() {
        let mut state = DeviceState::new(DeviceId(1));
        let (message, edit) = (state.next_id(), state.next_id());
        state.asked(message);
        state.accepted(&accepted(message, 7));
        state.accepted(&accepted(edit, 8));
        assert_eq!(state.own_message(5, false, false), Some((ConversationId(1), Sequence(7))));
        assert_eq!(state.own_message(5, true, false), Some((ConversationId(1), Sequence(7))));
        assert_eq!(state.own_message(5, false, true), None);
    }

    fn picks(state: &mut DeviceState, stubborn: bool) -> [Option<u64>; 2] {
        [0, 1].map(|pick| state.own_message(pick, false, stubborn).map(|(id, _)| id.0))
    }

    #[test]
    fn messages_in_a_left_conversation_are_passed_over() {
        let mut state = DeviceState::new(DeviceId(1));
        for conversation in [1, 2].map(ConversationId) {
            let id = state.next_id();
            state.asked(id);
            state.accepted(&Accepted { conversation, ..accepted(id, 7) });
        }
        assert_eq!(picks(&mut state, false), [Some(1), Some(2)]);
        state.detached(ConversationId(1));
        assert_eq!(picks(&mut state, false), [Some(2), Some(2)]);
        assert_eq!(picks(&mut state, true), [Some(1), Some(2)]);
        state.detached(ConversationId(2));
        assert_eq!(state.own_message(0, true, false), None);
        state.attached(ConversationId(1));
        assert_eq!(state.own_message(0, true, false), Some((ConversationId(1), Sequence(7))));
    }
}
