//! Where a device connects, and with which token.

use super::Crew;
use client::{ConnectError, Dialer, Wire};
use ports::BoxFuture;
use protocol::{DeviceId, UserId};
use std::sync::Arc;

pub struct CrewDialer {
    crew: Arc<Crew>,
    user: UserId,
    device: DeviceId,
}

impl CrewDialer {
    pub const fn new(crew: Arc<Crew>, user: UserId, device: DeviceId) -> Self {
        Self { crew, user, device }
    }
}

impl Dialer for CrewDialer {
    fn dial(
        &self,
        attempt: u32,
        fresh_token: bool,
    ) -> BoxFuture<'static, Result<(Wire, String), ConnectError>> {
        let crew = self.crew.clone();
        let (user, device) = (self.user, self.device);
        Box::pin(async move {
            let gateways = &crew.targets.gateways;
            let gateway = &gateways[crew.plan.gateway_of(user, device, attempt, gateways.len())];
            // While its tokens are revoked, the user waits with logging in.
            let may_log_in = crew.accounts.enter(user).await;
            let token = crew
                .api
                .tokens()
                .of_device(user, device, fresh_token, gateway)
                .await
                .map_err(|error| ConnectError::NotReady(error.to_string()))?;
            drop(may_log_in);
            let wire = crew.carrier.open(gateway).await?;
            Ok((wire, token.as_ref().to_owned()))
        })
    }
}
