//! A load that several generators share.

use super::{DRIVE, Load, data_folder};
use crate::agents::here::OnThisMachine;
use crate::agents::part::{OfAgent, never};
use crate::interruption;
use campaign::{Concluded, InvalidUsage, Opened};
use loadgen::{DataFolder, RealRun};
use scenarios::Scenario;
use std::path::Path;
use std::sync::Arc;
use verify::history::Agent;

impl Load {
    /// One of several generators, whose part goes to a folder.
    pub(super) fn part(
        &self,
        opened: &Opened,
        agent: Agent,
        out: &Path,
        stop: interruption::Receiver,
    ) -> anyhow::Result<u8> {
        let scenario = Arc::new(opened.scenario.clone());
        let fit = self.fit(&scenario)?;
        let folder = self.starts_cluster().then(|| data_folder(Some(out))).transpose()?;
        let data = folder.as_ref().map(DataFolder::path);
        let against = self.against(data)?;
        let encryption = self.encryption(data, self.of_target()?)?;
        let credentials = self.credentials(&scenario)?;
        let mut header = self.header(&scenario);
        header.agent = Some(agent);
        let quiet = self.quiet || self.json;
        if !quiet {
            self.introduce(opened, &fit, &against);
        }
        let (seed, journeys, of_run) = (self.seed, DRIVE, scenario.clone());
        let (part, metrics, unmeetable) = (None, None, never());
        let run = RealRun {
            scenario: of_run,
            seed,
            against,
            credentials,
            numbers: self.target_metrics.clone(),
            encryption,
            traces: self.traces.table(&scenario, self.seed)?,
            part,
            journeys,
            metrics,
            stop,
            unmeetable,
        };
        let arguments = &self.agents;
        // Whoever starts the agents of this machine says the rest, and so does the lead for all of them.
        let is_told = arguments.lifeline.is_on() || arguments.is_led();
        let said = || [opened.notes(), fit.short, self.notes()].concat();
        let notes = if is_told { Vec::new() } else { said() };
        let options = self.options();
        OfAgent { agent, arguments, scenario, header, out, quiet, notes, options }.make(run)
    }

    /// Several generators as processes of this machine.
    pub(super) fn on_this_machine(
        &self,
        opened: &Opened,
        notes: Vec<String>,
        out: Option<&Path>,
        stop: &interruption::Receiver,
    ) -> anyhow::Result<Concluded> {
        let mut arguments = vec!["load".to_owned(), self.opening.scenario.display().to_string()];
        arguments.extend(["--seed".to_owned(), self.seed.to_string(), "--quiet".to_owned()]);
        let set = opened.overrides.iter();
        arguments.extend(set.flat_map(|set| ["--set".to_owned(), set.clone()]));
        arguments.extend(self.options_of_each());
        let reproduce = self.reproduce(&self.opening.scenario, &opened.overrides);
        let quiet = self.quiet || self.json;
        let of = self.agents.agents.unwrap_or(1);
        let tried = opened.tried.clone();
        OnThisMachine { of, arguments, out, tried, reproduce, notes, quiet }.run(stop)
    }

    /// Each of several generators has somebody to drive.
    pub(super) fn check_share(&self, scenario: &Scenario) -> anyhow::Result<()> {
        let share = self.agents.share(self.target.is_empty());
        let online = scenario.users.count.saturating_sub(scenario.users.offline);
        if share.of <= online.max(1) {
            return Ok(());
        }
        let (of, name) = (share.of, &scenario.name);
        let why = format!(
            "{of} agents cannot share {online} users who connect ({name}): at most {online}"
        );
        Err(InvalidUsage(why).into())
    }
}
