//! The command that reproduces a load.

use super::Load;
use campaign::reproduce::reproduce;
use scenarios::shell::quoted;
use std::path::Path;

impl Load {
    pub(super) fn reproduce(&self, scenario: &Path, overrides: &[String]) -> String {
        let mut command = reproduce("load", scenario, self.seed, overrides);
        for word in self.options() {
            command.push(' ');
            command.push_str(&quoted(&word));
        }
        command
    }

    /// What makes a run the one that it is, beside its scenario and its seed.
    pub(super) fn options(&self) -> Vec<String> {
        let mut words = self.options_of_each();
        if let Some(agents) = self.agents.agents {
            words.extend(["--agents".to_owned(), agents.to_string()]);
        }
        words
    }

    /// Of that what each of several generators is told.
    pub(super) fn options_of_each(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut say = |name: &str, value: Option<String>| {
            words.push(name.to_owned());
            words.extend(value);
        };
        self.target.iter().for_each(|target| say("--target", Some(target.clone())));
        self.target_metrics.iter().for_each(|at| say("--target-metrics", Some(at.clone())));
        if let Some(config) = &self.config {
            say("--config", Some(config.display().to_string()));
        }
        if self.one_process {
            say("--one-process", None);
        }
        if let Some(engines) = self.engines.words() {
            say("--engines", Some(engines));
        }
        if self.tls {
            say("--tls", None);
        }
        self.traces.words().into_iter().for_each(|word| say(&word, None));
        if self.without_faults {
            say("--without-faults", None);
        }
        words
    }
}
