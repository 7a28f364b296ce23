//! The collector of traces: made here, because the wiring of a node knows the ports alone.

use campaign::InvalidUsage;
use node::ClusterConfig;
use ports::Machine;

/// The ways of this process's nodes to the collector. Dropped at the end, when what waits is sent.
#[derive(Default)]
pub struct Collectors {
    #[cfg(feature = "opentelemetry")]
    started: std::sync::Mutex<Vec<std::sync::Arc<traces::Collector>>>,
}

impl Collectors {
    /// What a configuration wants can be had.
    ///
    /// # Errors
    /// This program was built without OpenTelemetry.
    pub fn of(config: &ClusterConfig) -> Result<Self, InvalidUsage> {
        if config.traces.is_some() {
            refuse_without_feature("traces")?;
        }
        Ok(Self::default())
    }

    /// A node's machine, whose traces go where the configuration says.
    ///
    /// # Errors
    /// There can be no client of such a collector.
    #[cfg(feature = "opentelemetry")]
    pub fn traced(
        &self,
        config: &ClusterConfig,
        machine: Machine,
    ) -> Result<Machine, InvalidUsage> {
        let Some(wanted) = &config.traces else { return Ok(machine) };
        let telemetry = machine.telemetry.clone();
        let collector = traces::Collector::start(wanted, &machine.name, telemetry);
        let collector = collector
            .map_err(|error| InvalidUsage(format!("traces: {}", ports::with_causes(&error))))?;
        ports::entered(self.started.lock()).push(collector.clone());
        Ok(Machine { traces: collector, ..machine })
    }

    /// The same: there is none.
    #[cfg(not(feature = "opentelemetry"))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as with the feature")]
    pub fn traced(&self, _: &ClusterConfig, machine: Machine) -> Result<Machine, InvalidUsage> {
        Ok(machine)
    }
}

/// For whoever wants traces, by this key or option.
///
/// # Errors
/// This program was built without OpenTelemetry.
pub fn refuse_without_feature(wanted_by: &str) -> Result<(), InvalidUsage> {
    if cfg!(feature = "opentelemetry") {
        return Ok(());
    }
    Err(InvalidUsage(format!(
        "{wanted_by}: this program was built without OpenTelemetry; build one with `cargo build --release \
         --package fracas --features opentelemetry`"
    )))
}

#[cfg(feature = "opentelemetry")]
impl Drop for Collectors {
    fn drop(&mut self) {
        let started = std::mem::take(&mut *ports::entered(self.started.lock()));
        std::thread::scope(|scope| {
            for collector in &started {
                scope.spawn(|| collector.end());
            }
        });
    }
}
