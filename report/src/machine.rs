//! The machine that a run used: figures of different machines cannot be compared.

use crate::number;
use serde::{Deserialize, Serialize};

/// What decides how fast a machine is, as far as it says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// `linux x86_64`.
    pub system: String,
    /// Processors that this process may use.
    pub processors: u64,
    /// What the processors are called; `None` where the system does not say.
    pub model: Option<String>,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processors: processors as u64,
            model: model_in(&told),
        }
    }

    /// In words: "linux x86_64, 2 processors (AMD EPYC)".
    pub fn words(&self, separator: char) -> String {
        let processors = number::counted(self.processors, "processors", separator);
        let model = self.model.as_ref().map(|model| format!(" ({model})")).unwrap_or_default();
        format!("{}, {processors}{model}", self.system)
    }
}

fn model_in(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    let (_, model) = line.split_once(':')?;
    Some(model.trim().to_owned()).filter(|model| !model.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Machine, model_in};

    #[test]
    fn a_machine_is_told_with_its_model_if_it_has_one() {
        let told = "processor\t: 0\nmodel name\t: AMD EPYC 7B13\nflags\t: fpu\n";
        assert_eq!(model_in(told).as_deref(), Some("AMD EPYC 7B13"));
        assert_eq!(model_in("Processor\t: ARMv7\n"), None);
        let system = "linux x86_64".to_owned();
        let machine = Machine { system, processors: 1, model: model_in(told) };
        assert_eq!(machine.words(','), "linux x86_64, 1 processor (AMD EPYC 7B13)");
    }
}
