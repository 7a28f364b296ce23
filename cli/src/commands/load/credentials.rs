//! How the users of a load identify themselves to a cluster that is there already.

use super::Load;
use crate::commands::read_config;
use campaign::InvalidUsage;
use scenarios::Scenario;
use workload::targets::{Credentials, Service};

impl Load {
    /// As its configuration says; a cluster without one is for development.
    ///
    /// # Errors
    /// The configuration is wrong, or the cluster has no service or too few users for the scenario.
    pub(super) fn credentials(&self, scenario: &Scenario) -> anyhow::Result<Credentials> {
        let Some(file) = &self.config else { return Ok(Credentials::development()) };
        let config = read_config(file)?;
        let refused = |why: String| InvalidUsage(format!("--config {}: {why}", file.display()));
        let (needed, there) = (u64::from(scenario.users.count), config.development_users);
        if needed > there {
            let why = format!("the scenario has {needed} users, and development_users is {there}");
            return Err(refused(why).into());
        }
        let Some(service) = config.service_of_all_scopes() else {
            let why = "there is no [[services]] with the scopes admin and audit";
            return Err(refused(why.to_owned()).into());
        };
        let service = Service { id: service.id.clone(), secret: service.secret.clone() };
        Ok(Credentials { password: config.development_password, service })
    }
}
