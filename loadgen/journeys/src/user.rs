//! A user of the REST interface: what it knows, and its next journey.

use crate::call::Bearer;
use crate::context::{Context, Mine};
use crate::{backlog, creation, membership, sign_in};
use goose::goose::GooseUser;
use protocol::{ConversationId, DeviceId, Secret, UserId};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::time::Instant;
use verify::history::event::Device;
use workload::plan::{Journey, Journeys};

/// The device that its reads are said to be of: it has no other.
const DEVICE: DeviceId = DeviceId(1);

/// A user, between two journeys or on one.
pub struct RestUser {
    pub id: UserId,
    /// The number of the journey.
    step: u64,
    /// A number for the choices of this journey.
    pub pick: u64,
    /// The gateway, by its number: another one after a failure, as a load balancer would have it.
    pub gateway: usize,
    pub token: Option<Token>,
    /// Reads so far.
    pub reads: u32,
    /// The conversations of which the user is a member or has been one.
    pub conversations: Vec<Own>,
    /// A change of membership that was asked for, and whose outcome is not known.
    pub changing: Option<usize>,
    /// Conversations that it may make yet.
    pub new: VecDeque<ConversationId>,
    /// Whether the first of these was asked for, and nobody knows whether it was made.
    pub is_creating: bool,
    /// Those that it has made.
    pub made: BTreeSet<ConversationId>,
    /// When the next journey is due.
    due: Option<Instant>,
}

/// An access token.
pub struct Token {
    pub secret: Secret,
    pub until: Instant,
}

/// A conversation of the user.
pub struct Own {
    pub id: ConversationId,
    pub is_member: bool,
}

impl RestUser {
    pub fn new(id: UserId, plan: &Journeys) -> Self {
        let own = |id| Own { id, is_member: true };
        Self {
            id,
            step: 0,
            pick: 0,
            gateway: id.0 as usize,
            token: None,
            reads: 0,
            conversations: plan.groups_of(id).map(own).collect(),
            changing: None,
            new: plan.conversations_made_by(id).collect(),
            is_creating: false,
            made: BTreeSet::new(),
            due: None,
        }
    }

    pub const fn device(&self) -> Device {
        Device { user: self.id, device: DEVICE }
    }

    /// The user's token, if it has one.
    pub fn bearer(&self) -> Option<Bearer> {
        self.token.as_ref().map(|token| Bearer::User(token.secret.expose().to_owned()))
    }

    /// Goes on the next journey.
    pub async fn go(mine: Arc<Mine>, goose: &mut GooseUser, context: &Context) {
        if context.is_over() {
            return;
        }
        let mut user = mine.lock().await;
        if let Some(due) = user.due {
            context.note_late(due.elapsed());
        }
        user.next(goose, context).await;
        user.due = Some(Instant::now() + context.plan.think());
    }

    async fn next(&mut self, goose: &mut GooseUser, context: &Context) {
        let journey = context.plan.journey(self.id, self.step);
        self.pick = context.plan.pick(self.id, self.step);
        self.step += 1;
        let has_token = self.token.as_ref().is_some_and(|token| token.until > Instant::now());
        if journey == Journey::SignIn || !has_token {
            // Whoever signs in for another journey goes on it, if that went well.
            if !sign_in::sign_in(self, goose, context).await || journey == Journey::SignIn {
                return;
            }
        }
        match journey {
            Journey::CreateConversation if !self.new.is_empty() => {
                creation::create(self, goose, context).await;
            }
            Journey::ChangeMembers => membership::change(self, goose, context).await,
            _ => backlog::page(self, goose, context).await,
        }
    }
}
