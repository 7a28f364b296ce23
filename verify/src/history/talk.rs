//! The builder's words for what users do: send, accept, show, read.

use super::builder::{Builder, STEP_US};
use super::event::{Said, What};
use protocol::{ClientMessageId, ConversationId, Sequence, UserId};

impl Builder {
    /// A member sends a message; returns through `last_message` what its id was.
    pub fn send(self, user: u64, conversation: u64) -> Self {
        self.send_said(user, 1, conversation, |id| Said::Message { hash: id * 31, parent: None })
    }

    /// Any send of a device; the content may depend on the message id.
    pub fn send_said(
        mut self,
        user: u64,
        device: u32,
        conversation: u64,
        said: impl FnOnce(u64) -> Said,
    ) -> Self {
        let id = self.next_message[user as usize - 1];
        self.next_message[user as usize - 1] += 1;
        let intended = self.at + STEP_US;
        let device = self.device(user, device);
        self.push(What::Sent {
            device,
            conversation: ConversationId(conversation),
            message: ClientMessageId(id),
            said: said(id),
            intended,
        })
    }

    /// The id of the user's newest message.
    pub fn last_message(&self, user: u64) -> u64 {
        self.next_message[user as usize - 1] - 1
    }

    /// The user's newest send is sequenced (not yet told to anybody).
    pub fn commit(self, user: u64) -> Self {
        let id = self.last_message(user);
        self.commit_message(user, id)
    }

    /// A send is sequenced (not yet told to anybody).
    pub fn commit_message(mut self, user: u64, id: u64) -> Self {
        let (conversation, said) = self.sent(user, id);
        self.sequence(user, conversation, id, said);
        self
    }

    /// A departure is sequenced (not yet told to anybody).
    pub fn departed(mut self, user: u64, conversation: u64) -> Self {
        self.sequence(user, conversation, 0, Said::Leave { user: UserId(user) });
        self
    }

    /// The newest entry of the user is told to the device that sent it.
    pub fn accept(self, user: u64) -> Self {
        let id = self.last_message(user);
        self.accept_message(user, id)
    }

    /// A sequenced send is told to the device that sent it.
    pub fn accept_message(self, user: u64, id: u64) -> Self {
        let (conversation, _) = self.sent(user, id);
        let entry = self.logs[conversation as usize - 1]
            .iter()
            .find(|e| e.author.0 == user && e.message.0 == id)
            .copied()
            .expect("the message was committed");
        let device = self.sender(user, id);
        self.push(What::Accepted {
            device,
            conversation: entry.conversation,
            message: entry.message,
            sequence: entry.sequence,
            epoch: entry.epoch,
            owner: entry.owner,
        })
    }

    /// A device shows the entry of a sequence.
    pub fn show(mut self, user: u64, device: u32, conversation: u64, sequence: u64) -> Self {
        let entry = self.logs[conversation as usize - 1][sequence as usize - 1];
        let device = self.device(user, device);
        let slot = self.slot(device);
        let cursor = &mut self.cursors[slot][conversation as usize - 1];
        *cursor = Some(cursor.unwrap_or(0).max(sequence));
        self.push(What::Shown { device, entry })
    }

    /// Every connected device shows what it has not shown yet of a conversation.
    pub fn deliver(mut self, conversation: u64) -> Self {
        for user in 1..=u64::from(self.header.users) {
            for device in 1..=self.header.devices_per_user {
                self = self.deliver_to(user, device, conversation);
            }
        }
        self
    }

    /// One device, if it is connected, shows what it has not shown yet and may see.
    pub fn deliver_to(mut self, user: u64, device: u32, conversation: u64) -> Self {
        let slot = self.slot(self.device(user, device));
        let Some(cursor) = self.cursors[slot][conversation as usize - 1] else { return self };
        if self.is_open[slot] {
            for sequence in cursor + 1..=self.head(conversation) {
                if self.was_member(user, conversation, sequence) {
                    self = self.show(user, device, conversation, sequence);
                }
            }
        }
        self
    }

    /// A member says something and everybody sees it: send, commit, accept, deliver.
    pub fn say(self, user: u64, conversation: u64) -> Self {
        self.send(user, conversation).commit(user).accept(user).deliver(conversation)
    }

    /// As `say`, with any content.
    pub fn say_said(self, user: u64, conversation: u64, said: Said) -> Self {
        self.send_said(user, 1, conversation, |_| said)
            .commit(user)
            .accept(user)
            .deliver(conversation)
    }

    /// A device's stream begins so many entries further back than it had got, as far as its user was a
    /// member; what it has shown it drops.
    pub fn rewind(mut self, user: u64, device: u32, conversation: u64, by: u64) -> Self {
        let who = self.device(user, device);
        let slot = self.slot(who);
        let Some(cursor) = self.cursors[slot][conversation as usize - 1] else {
            return self.attach(user, device, conversation);
        };
        let mut from = cursor;
        while cursor - from < by && from > 0 && self.was_member(user, conversation, from) {
            from -= 1;
        }
        let (id, head) = (ConversationId(conversation), Sequence(self.head(conversation)));
        let from_sequence = Sequence(from);
        self =
            self.push(What::Attached { device: who, conversation: id, from: from_sequence, head });
        for sequence in from + 1..=cursor {
            let entry = self.logs[conversation as usize - 1][sequence as usize - 1];
            self = self.push(What::Received { device: who, entry });
        }
        self
    }

    /// The push provider is handed a notification.
    pub fn pushed(
        self,
        user: u64,
        conversation: u64,
        sequence: u64,
        key: u64,
        taken: bool,
    ) -> Self {
        let (user, conversation) = (UserId(user), ConversationId(conversation));
        self.push(What::Pushed { user, conversation, sequence: Sequence(sequence), key, taken })
    }

    /// Whether a device of the user showed an entry, or a read had it.
    pub fn has_seen(&self, user: u64, conversation: u64, sequence: u64) -> bool {
        self.events.iter().any(|event| match event.is {
            What::Shown { device, entry } | What::Read { device, entry, .. } => {
                (device.user.0, entry.conversation.0, entry.sequence.0)
                    == (user, conversation, sequence)
            }
            _ => false,
        })
    }

    /// Whether the provider took a notification.
    pub fn was_told(&self, user: u64, conversation: u64, sequence: u64) -> bool {
        self.events.iter().any(|event| {
            matches!(event.is, What::Pushed { user: u, conversation: c, sequence: s, taken: true, .. }
                if (u.0, c.0, s.0) == (user, conversation, sequence))
        })
    }

    /// A device reads everything behind `after`.
    pub fn read(mut self, user: u64, device: u32, conversation: u64, after: u64) -> Self {
        let who = self.device(user, device);
        let request = self.events.len() as u32;
        let (head, id) = (self.head(conversation), ConversationId(conversation));
        self = self.push(What::ReadBegan {
            device: who,
            request,
            conversation: id,
            after: Sequence(after),
        });
        for sequence in after + 1..=head {
            if self.was_member(user, conversation, sequence) {
                let entry = self.logs[conversation as usize - 1][sequence as usize - 1];
                self = self.push(What::Read { device: who, request, entry });
            }
        }
        self.push(What::ReadEnded {
            device: who,
            request,
            conversation: id,
            head: Sequence(head),
            whole: true,
        })
    }
}
