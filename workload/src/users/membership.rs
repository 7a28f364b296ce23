//! Users leave groups and come back, through the REST interface with a service's token.

use super::VirtualUsers;
use protocol::{ConversationId, UserId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use verify::history::event::{Phase, What};

/// How long one change is asked for again and again.
const PATIENCE: Duration = Duration::from_mins(2);
/// Changes under way at once.
const AT_ONCE: usize = 256;

/// Who is away from which group, as far as this users did it.
#[derive(Default)]
pub struct Membership(Mutex<BTreeMap<(ConversationId, UserId), State>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// A change is under way.
    Changing,
    /// Not a member at present.
    Away,
}

impl Membership {
    /// Claims a change for the caller: true to join, false to leave; `None` if one is under way.
    fn begin(&self, conversation: ConversationId, user: UserId) -> Option<bool> {
        let mut states = self.0.lock().expect("no holder panics");
        let changing = states.values().filter(|state| **state == State::Changing).take(AT_ONCE);
        if changing.count() >= AT_ONCE {
            return None;
        }
        match states.insert((conversation, user), State::Changing) {
            None => Some(false),
            Some(State::Away) => Some(true),
            Some(State::Changing) => None,
        }
    }

    fn end(&self, conversation: ConversationId, user: UserId, member: bool) {
        let mut states = self.0.lock().expect("no holder panics");
        if member {
            states.remove(&(conversation, user));
        } else {
            states.insert((conversation, user), State::Away);
        }
    }
}

/// Starts a change; false if there is one under way.
pub fn change(users: &Arc<VirtualUsers>, conversation: ConversationId, user: UserId) -> bool {
    let Some(add) = users.membership.begin(conversation, user) else { return false };
    let users = users.clone();
    users.recorder.record(What::MemberAsked { conversation, user, add });
    users.machine.clone().spawn("member change", async move {
        let mut phase = users.phase.clone();
        let change = users.api.change_member(conversation, user, add, PATIENCE);
        let outcome = tokio::select! {
            biased;
            outcome = change => Some(outcome),
            // Nobody listens any more.
            _ = phase.wait_for(|phase| *phase >= Phase::End) => None,
        };
        match outcome {
            Some(Ok(sequence)) => {
                users.membership.end(conversation, user, add);
                users.recorder.record(What::MemberChanged { conversation, user, add, sequence });
            }
            // Whether it was done stays unknown: the next change of this user asks for the same again.
            Some(Err(error)) => {
                tracing::warn!(%error, %conversation, %user, add, "membership not changed");
                users.membership.end(conversation, user, !add);
            }
            None => {}
        }
    });
    true
}
