//! Strangers: they come from where the users are, belong to nobody, and try to get in. What a gateway answers is
//! recorded.

mod attack;
mod forged;

use super::VirtualUsers;
use attack::{Attack, Move};
use client::RawSocket;
use protocol::codec::Codec;
use protocol::frames::subprotocol;
use protocol::{DeviceId, Secret, ServerFrame, UserId, limits};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use verify::history::event::{Phase, What};

/// How long a stranger waits for an answer: a gateway that waits for `hello` says so before.
const PATIENCE: Duration = limits::HELLO_TIMEOUT.saturating_add(Duration::from_secs(5));

/// How an attack ended: whether the stranger is in, or with which close code or status not; 0: nobody has
/// answered.
enum Ended {
    Admitted,
    Answered(u16),
}

/// Makes the attack that the plan has drawn.
pub fn attack(users: &Arc<VirtualUsers>, user: UserId, device: DeviceId, pick: u64) {
    let users = users.clone();
    users.machine.clone().spawn("attack", async move {
        let mut phase = users.phase.clone();
        let attack = Attack::drawn(pick);
        let gateway = users.gateway(user, device, (pick >> 32) as u32);
        let made = Stranger { users: &users, user, device, gateway };
        let ended = tokio::select! {
            biased;
            ended = timeout(PATIENCE, made.tries(attack)) => ended.unwrap_or(Ended::Answered(0)),
            // Nobody listens any more.
            _ = phase.wait_for(|phase| *phase >= Phase::End) => return,
        };
        let (admitted, answer) = match ended {
            Ended::Admitted => (true, 0),
            Ended::Answered(answer) => (false, answer),
        };
        let (due, attack) = (attack.due(), attack.word().into());
        users.recorder.record(What::Attacked { attack, due, answer, admitted });
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
    async fn tries(&self, attack: Attack) -> Ended {
        let token = if attack.needs_token() { self.granted().await } else { None };
        if attack.needs_token() && token.is_none() {
            return Ended::Answered(0);
        }
        let token = token.as_ref().map_or("", |token| token.expose());
        let victim = UserId(self.user.0 + 1);
        let codec = self.users.plan.codec();
        match attack.made(codec, token, victim) {
            Move::Frames(frames) => {
                let opened = self.open(codec.subprotocol(), None).await;
                let mut socket = match opened {
                    Ok(socket) => socket,
                    Err(refused) => return refused,
                };
                for frame in frames {
                    socket.send(frame);
                }
                answer(socket, codec).await
            }
            Move::Get(path, token) => {
                let token = token.as_ref().map(|token| token.expose().as_str());
                match self.users.api.status_of(self.gateway, path, token).await {
                    Ok(status) if status.is_success() => Ended::Admitted,
                    Ok(status) => Ended::Answered(status.as_u16()),
                    Err(_) => Ended::Answered(0),
                }
            }
            Move::Trunk(token) => match self.open(subprotocol::TRUNK, Some(token.expose())).await {
                Ok(_) => Ended::Admitted,
                Err(refused) => refused,
            },
        }
    }

    /// The token of the user from whose place it comes.
    async fn granted(&self) -> Option<Secret> {
        let may_log_in = self.users.accounts.enter(self.user).await;
        let tokens = self.users.api.tokens();
        let token = tokens.of_device(self.user, self.device, false, self.gateway).await;
        drop(may_log_in);
        token.ok().map(|access| access.token)
    }

    async fn open(&self, of: &'static str, token: Option<&str>) -> Result<RawSocket, Ended> {
        let opened = RawSocket::open(&self.users.machine, self.gateway, of, token).await;
        opened.map_err(|error| Ended::Answered(error.status().unwrap_or(0)))
    }
}

/// What comes of it: whatever is said before a `welcome` or the end tells nothing.
async fn answer(mut socket: RawSocket, codec: Codec) -> Ended {
    loop {
        match socket.next().await {
            Ok(said) if matches!(codec.decode_server(&said), Ok(ServerFrame::Welcome(_))) => {
                return Ended::Admitted;
            }
            Ok(_) => {}
            Err(code) => return Ended::Answered(code),
        }
    }
}
