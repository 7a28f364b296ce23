//! Where a device connects, and with which token; and with which one the trunks are opened.

use super::VirtualUsers;
use crate::rest::{RestError, Tokens};
use client::{AccessToken, ConnectError, Dialer, ServiceToken, Wire};
use ports::BoxFuture;
use protocol::{DeviceId, Secret, UserId};
use std::sync::Arc;

pub struct UserDialer {
    users: Arc<VirtualUsers>,
    user: UserId,
    device: DeviceId,
}

impl UserDialer {
    pub const fn new(users: Arc<VirtualUsers>, user: UserId, device: DeviceId) -> Self {
        Self { users, user, device }
    }
}

impl Dialer for UserDialer {
    fn dial(
        &self,
        attempt: u32,
        fresh_token: bool,
    ) -> BoxFuture<'static, Result<(Wire, AccessToken), ConnectError>> {
        let (users, user, device) = (self.users.clone(), self.user, self.device);
        Box::pin(async move {
            let gateway = users.gateway(user, device, attempt);
            // While its tokens are revoked, the user waits with logging in.
            let may_log_in = users.accounts.enter(user).await;
            let tokens = users.api.tokens();
            let token = tokens.of_device(user, device, fresh_token, gateway).await;
            drop(may_log_in);
            let mut access = token.map_err(|error| not_ready(&error))?;
            if !users.plan.renews(user, device) {
                access.renew_in_ms = None;
            }
            let wire = users.carrier.open(gateway).await?;
            Ok((wire, access))
        })
    }

    fn renew(&self) -> BoxFuture<'static, Result<AccessToken, ConnectError>> {
        let (users, user, device) = (self.users.clone(), self.user, self.device);
        Box::pin(async move {
            // Any gateway will do.
            let attempt = users.machine.entropy.below(u64::from(u32::MAX)) as u32;
            let gateway = users.gateway(user, device, attempt);
            let may_log_in = users.accounts.enter(user).await;
            let renewed = users.api.tokens().renewed(user, device, gateway).await;
            drop(may_log_in);
            renewed.map_err(|error| not_ready(&error))
        })
    }
}

/// Trunks are opened with the token of the run's service.
pub struct TrunkService(pub Arc<Tokens>);

impl ServiceToken for TrunkService {
    fn token(
        &self,
        gateway: &str,
        fresh: bool,
    ) -> BoxFuture<'static, Result<Secret, ConnectError>> {
        let (tokens, gateway) = (self.0.clone(), gateway.to_owned());
        Box::pin(async move {
            tokens.of_service(fresh, &gateway).await.map_err(|error| not_ready(&error))
        })
    }
}

fn not_ready(error: &RestError) -> ConnectError {
    ConnectError::NotReady(error.to_string())
}
