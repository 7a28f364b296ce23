//! Strangers: they come from where the users are, belong to nobody, and try to get in. What a gateway answers is
//! recorded.

mod attack;
mod forged;

use super::VirtualUsers;
use attack::{Attack, Move};
use client::RawSocket;
use protocol::codec::Codec;
use protocol::frames::subprotocol;
use protocol::{DeviceId, ServerFrame, UserId};
use scenarios::STRANGERS_PATIENCE;
use std::sync::Arc;
use tokio::time::{Instant, timeout};
use verify::history::event::{Outcome, Phase, What};

/// Makes the attack that the plan has drawn.
pub fn attack(users: &Arc<VirtualUsers>, user: UserId, device: DeviceId, pick: u64) {
    let users = users.clone();
    users.machine.clone().spawn("attack", async move {
        let (mut phase, began) = (users.phase.clone(), Instant::now());
        let attack = Attack::drawn(pick);
        let gateway = users.gateway(user, device, (pick >> 32) as u32);
        let stranger = Stranger { users: &users, user, device, gateway };
        let outcome = tokio::select! {
            biased;
            outcome = stranger.tries(attack) => outcome,
            // Nobody listens any more.
            _ = phase.wait_for(|phase| *phase >= Phase::End) => return,
        };
        let (due, attack) = (attack.due(), attack.word().into());
        let took_us = began.elapsed().as_micros() as u64;
        users.recorder.record(What::Attacked { attack, due, outcome, took_us });
    });
}

struct Stranger<'a> {
    users: &'a VirtualUsers,
    /// Whose place it comes from, and whose token it may have.
    user: UserId,
    device: DeviceId,
    gateway: &'a str,
}

impl Stranger<'_> {
    async fn tries(&self, attack: Attack) -> Outcome {
        let granted = self.users.api.tokens().kept_of(self.user, self.device);
        let token = match &granted {
            Some(token) => token.expose(),
            // The user is logged out, or its token is about to run out.
            None if attack.needs_token() => return Outcome::Lost,
            None => "",
        };
        let victim = UserId(self.user.0 + 1);
        let codec = self.users.plan.codec();
        match attack.made(codec, token, victim) {
            Move::Frames(frames) => {
                let mut socket = match self.open(codec.subprotocol(), None).await {
                    Ok(socket) => socket,
                    Err(refused) => return refused,
                };
                for frame in frames {
                    socket.send(frame);
                }
                timeout(STRANGERS_PATIENCE, answer(socket, codec)).await.unwrap_or(Outcome::Held)
            }
            Move::Get(path, token) => {
                let token = token.as_ref().map(|token| token.expose().as_str());
                match self.users.api.status_of(self.gateway, path, token).await {
                    Ok(status) if status.is_success() => Outcome::Admitted,
                    Ok(status) => Outcome::Answered(status.as_u16()),
                    Err(_) => Outcome::Lost,
                }
            }
            Move::Trunk(token) => match self.open(subprotocol::TRUNK, Some(token.expose())).await {
                Ok(_) => Outcome::Admitted,
                Err(refused) => refused,
            },
        }
    }

    async fn open(&self, of: &'static str, token: Option<&str>) -> Result<RawSocket, Outcome> {
        let opened = RawSocket::open(&self.users.machine, self.gateway, of, token).await;
        opened.map_err(|error| error.status().map_or(Outcome::Lost, Outcome::Answered))
    }
}

/// What comes of it: whatever is said before a `welcome` or the end tells nothing.
async fn answer(mut socket: RawSocket, codec: Codec) -> Outcome {
    loop {
        match socket.next().await {
            Ok(said) if matches!(codec.decode_server(&said), Ok(ServerFrame::Welcome(_))) => {
                return Outcome::Admitted;
            }
            Ok(_) => {}
            Err(0) => return Outcome::Lost,
            Err(code) => return Outcome::Answered(code),
        }
    }
}
