//! A run that is led: its phases are those of the lead.

use super::{Phases, Users};
use crate::encryption::Encryption;
use crate::links::Through;
use crate::machine::client;
use crate::run::Against;
use crate::world::readiness::reach;
use ports::with_causes;
use std::sync::Arc;
use verify::history::event::Phase;
use workload::rest::Http;
use workload::targets::Targets;

impl Phases {
    /// Drives its users from phase to phase.
    pub async fn follow(&mut self, users: &mut Vec<Users>) -> Result<(), String> {
        let Some(member) = self.company.member() else { return Ok(()) };
        let told = member.begins().await;
        if let Some(authority) = &told.authority {
            self.trust(authority)?;
        }
        let gateways = match &self.run.against {
            Against::Given(gateways) => gateways.clone(),
            Against::Joined | Against::Started { .. } => told.gateways,
        };
        reach(&self.http, &gateways).await?;
        self.enter(Phase::WarmUp);
        *users = self.users(&Targets::new(gateways, self.run.credentials.clone()));
        for phase in [Phase::Load, Phase::Heal, Phase::Settle, Phase::Judge] {
            member.phase(phase).await;
            self.enter(phase);
        }
        member.phase(Phase::End).await;
        Ok(())
    }

    /// Whom the led must trust: that of a cluster that was started for the run.
    pub fn authority_of_the_run(&self) -> Option<&str> {
        self.run.encryption.as_ref()?.authority.as_deref()
    }

    /// Reaches the cluster by TLS from now on.
    fn trust(&mut self, authority: &str) -> Result<(), String> {
        let encryption = Encryption::of_the_lead(authority);
        self.run.encryption = Some(encryption.map_err(|error| with_causes(&error))?);
        let way = self.run.way(None, Through::new());
        self.machine = client("clients", self.run.seed, &self.limits, way);
        self.http = Arc::new(Http::new(self.machine.clone()));
        Ok(())
    }
}
