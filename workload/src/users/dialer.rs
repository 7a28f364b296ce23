//! Where a device connects, and with which token.

use super::VirtualUsers;
use client::{ConnectError, Dialer, Wire};
use ports::BoxFuture;
use protocol::{DeviceId, UserId};
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
    ) -> BoxFuture<'static, Result<(Wire, String), ConnectError>> {
        let users = self.users.clone();
        let (user, device) = (self.user, self.device);
        Box::pin(async move {
            let gateways = &users.targets.gateways;
            let gateway = &gateways[users.plan.gateway_of(user, device, attempt, gateways.len())];
            // While its tokens are revoked, the user waits with logging in.
            let may_log_in = users.accounts.enter(user).await;
            let token = users
                .api
                .tokens()
                .of_device(user, device, fresh_token, gateway)
                .await
                .map_err(|error| ConnectError::NotReady(error.to_string()))?;
            drop(may_log_in);
            let wire = users.carrier.open(gateway).await?;
            Ok((wire, token.as_ref().to_owned()))
        })
    }
}
