//! A run that is led: its phases are those of the lead.

use super::{Phases, Users};
use crate::run::Against;
use crate::world::readiness::reach;
use verify::history::event::Phase;
use workload::targets::Targets;

impl Phases {
    /// Drives its users from phase to phase.
    pub async fn follow(&mut self, users: &mut Vec<Users>) -> Result<(), String> {
        let Some(member) = self.company.member() else { return Ok(()) };
        let told = member.begins().await;
        let gateways = match &self.run.against {
            Against::Given(gateways) => gateways.clone(),
            Against::Joined | Against::Started { .. } => told,
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
}
