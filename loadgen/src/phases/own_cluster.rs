//! The cluster of a run that is started for it, and the proxies that carry its links.

use super::Phases;
use crate::links::{Interposed, Proxies};
use crate::machine::machine;
use crate::run::Against;
use crate::world::Cluster;
use crate::world::layout::Outside;
use ports::{Machine, with_causes};
use real::tls::{Admits, TlsNetwork};
use std::sync::Arc;
use workload::provider;
use workload::recorder::Recorder;

impl Phases {
    /// The cluster of the run, if it is to be started.
    pub(super) async fn cluster(&mut self) -> Result<Option<Cluster>, String> {
        let Against::Started { binary, processes, data } = &self.run.against else {
            return Ok(None);
        };
        let recorder: Arc<dyn Recorder> = self.journal.clone();
        // Whoever cannot push because nobody listens would be accused of not pushing.
        let provider = self.machine_of_the_provider();
        let listener = provider.network.bind("127.0.0.1:0").await;
        let listener = listener.map_err(|error| format!("no push provider: {error}"))?;
        let push = listener.local_addr().map_err(|error| format!("no push provider: {error}"))?;
        let push = push.to_string();
        let program = (binary.as_path(), *processes);
        let files = self.run.encryption.as_ref().and_then(|it| it.files.as_ref());
        let (scenario, seed) = (&self.run.scenario, self.run.seed);
        let interposed = &Interposed::of(scenario, seed, self.run.against.reach(self.run.share()));
        let traces = self.run.traces.as_ref();
        let outside = Outside { push: &push, tls: files, traces, interposed };
        let cluster =
            Cluster::new(program, scenario, data.as_path().into(), outside, recorder.clone());
        if let Ok(cluster) = &cluster {
            let machine = machine("links", seed, &self.limits);
            let proxies =
                Proxies::start(cluster.carried(), machine, (self.limits.clone(), self.deadlines()));
            self.proxies =
                Some(proxies.map_err(|error| format!("no proxies for the links: {error}"))?);
        }
        self.machine.spawn("push provider", provider::serve_on(provider, listener, recorder));
        cluster.map(Some).map_err(|error| with_causes(&error))
    }

    /// Where the push provider listens: encrypted, if the cluster is.
    fn machine_of_the_provider(&self) -> Machine {
        let own = self.run.encryption.as_ref().and_then(|it| it.certificates.clone());
        let network = own.map(|own| TlsNetwork::new(own, Admits::Anybody, Vec::new()));
        match network {
            Some(network) => Machine { network: Arc::new(network), ..self.machine.clone() },
            None => self.machine.clone(),
        }
    }
}
