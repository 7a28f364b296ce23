//! Users whose tokens are revoked and who log in anew; devices that log out.
//!
//! The history says `revoked` when the auth service has confirmed it, and `granted` when it has issued a
//! new token and before anybody has used it. So nobody may log in between: a token that was issued
//! behind the revocation is a good one, whatever the history says.

use super::VirtualUsers;
use protocol::{DeviceId, UserId};
use scenarios::scenario::REVOKED_FOR_MAX;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};
use tokio::time::sleep;
use verify::history::event::{Phase, What};

/// How long a revocation is asked for again and again.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two attempts to log in or out.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a user whose tokens were revoked stays away, at least.
const REVOKED_FOR: Duration = REVOKED_FOR_MAX.saturating_sub(Duration::from_millis(MORE_MS));
/// How long a device that has logged out stays away, at least.
const LOGGED_OUT_FOR: Duration = Duration::from_secs(1);
/// What chance adds to either.
const MORE_MS: u64 = 2_000;

/// Who may log in: those who do share a lock, a revocation has it for itself.
pub struct Accounts {
    /// Whether anybody's tokens are ever revoked.
    used: bool,
    gates: Mutex<BTreeMap<UserId, Arc<RwLock<()>>>>,
}

impl Accounts {
    pub const fn new(used: bool) -> Self {
        Self { used, gates: Mutex::new(BTreeMap::new()) }
    }

    /// Waits until a user may log in. The guard is held until the token is there.
    pub async fn enter(&self, user: UserId) -> Option<OwnedRwLockReadGuard<()>> {
        if !self.used {
            return None;
        }
        let gate = self.gate(user);
        Some(gate.read_owned().await)
    }

    fn gate(&self, user: UserId) -> Arc<RwLock<()>> {
        self.gates.lock().expect("no holder panics").entry(user).or_default().clone()
    }

    /// `None` while a device of the user logs in, or a revocation is under way.
    fn close(&self, user: UserId) -> Option<OwnedRwLockWriteGuard<()>> {
        self.gate(user).try_write_owned().ok()
    }
}

/// How long a device that logs out now stays away.
pub fn logged_out_for(pick: u64) -> Duration {
    LOGGED_OUT_FOR + Duration::from_millis(pick % MORE_MS)
}

/// Revokes all tokens of a user, who logs in anew later.
pub fn revoke(users: &Arc<VirtualUsers>, user: UserId, pick: u64) {
    let Some(gate) = users.accounts.close(user) else { return };
    let users = users.clone();
    users.machine.clone().spawn("revocation", async move {
        let mut phase = users.phase.clone();
        let away = REVOKED_FOR + Duration::from_millis(pick % MORE_MS);
        tokio::select! {
            biased;
            () = revoke_and_return(&users, user, away) => {}
            // Nobody listens any more.
            _ = phase.wait_for(|phase| *phase >= Phase::End) => {}
        }
        drop(gate);
    });
}

async fn revoke_and_return(users: &VirtualUsers, user: UserId, away: Duration) {
    if let Err(error) = users.api.revoke(user, PATIENCE).await {
        // Whether it was done stays unknown: sessions that are closed for it log in anew.
        tracing::warn!(%error, %user, "tokens not revoked");
        return;
    }
    users.recorder.record(What::Revoked { user });
    for device in users.plan.devices() {
        users.api.tokens().forget(user, device);
    }
    sleep(away).await;
    let (device, mut attempt) = (DeviceId(1), 0);
    while let Err(error) =
        users.api.tokens().of_device(user, device, true, users.gateway(user, device, attempt)).await
    {
        tracing::debug!(%error, %user, "not logged in anew");
        attempt += 1;
        sleep(PAUSE).await;
    }
    users.recorder.record(What::Granted { user });
}

/// Ends the login of a device that has said goodbye.
pub fn log_out(users: &Arc<VirtualUsers>, user: UserId, device: DeviceId) {
    let Some(refresh_token) = users.api.tokens().forget(user, device) else { return };
    let users = users.clone();
    users.machine.clone().spawn("logout", async move {
        let mut attempt = 0;
        while *users.phase.borrow() < Phase::End
            && let Err(error) = users
                .api
                .tokens()
                .log_out(&refresh_token, users.gateway(user, device, attempt))
                .await
        {
            tracing::debug!(%error, %user, %device, "not logged out");
            attempt += 1;
            sleep(PAUSE).await;
        }
    });
}
