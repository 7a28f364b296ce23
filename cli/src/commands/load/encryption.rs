//! How a load reaches a cluster that does not speak in plaintext.

use super::Load;
use crate::commands::read_config;
use crate::tls::trust;
use anyhow::Context;
use loadgen::Encryption;
use std::path::Path;

impl Load {
    /// As the configuration of the target says.
    ///
    /// # Errors
    /// It is wrong, or the certificate of its authority cannot be used.
    pub(super) fn of_target(&self) -> anyhow::Result<Option<Encryption>> {
        let Some(file) = &self.config else { return Ok(None) };
        let Some(files) = read_config(file)?.tls else { return Ok(None) };
        let trust = trust("tls.authority", &files.authority)?;
        let numbers = files.metrics;
        Ok(Some(Encryption { trust, numbers, files: None, authority: None, certificates: None }))
    }

    /// That of the target, or one that is made for a cluster whose data is there.
    pub(super) fn encryption(
        &self,
        data: Option<&Path>,
        of_target: Option<Encryption>,
    ) -> anyhow::Result<Option<Encryption>> {
        let Some(data) = data.filter(|_| self.tls) else { return Ok(of_target) };
        let made = Encryption::for_a_run(data);
        made.map(Some).with_context(|| format!("certificates in {}", data.display()))
    }
}
