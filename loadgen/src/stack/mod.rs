//! A cluster with everything around it that stays until somebody asks it to end, and whose parts are broken and mended
//! meanwhile.

mod control;
mod folder;
mod parts;

pub use control::{Answer, Order, Part, ask};
pub use folder::{Made, NotOurs};
pub use parts::{Action, State};

use crate::links::Interposed;
use crate::machine::machine;
use crate::run::{Engines, Processes};
use crate::world::addresses::is_free;
use crate::world::layout::{Outside, Place, ports};
use crate::world::node::Begun;
use crate::world::{Cluster, ClusterError, Monitoring, Starts};
use control::Ordered;
use parts::Parts;
use scenarios::on_loopback;
use scenarios::scenario::Scenario;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::{Instant, interval};
use verify::history::What;
use workload::provider;
use workload::recorder::Recorder;
use workload::rest::Http;

/// Between two looks at who has ended.
const LOOK: Duration = Duration::from_millis(200);
/// How long a part may take to drain and end before it is killed.
const DRAIN: Duration = Duration::from_secs(25);

/// What to start.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose cluster.
    pub scenario: Arc<Scenario>,
    /// What it stands on, and what is in front of it.
    pub engines: Engines,
    /// The program whose `node` and `engine` commands start its processes.
    pub binary: PathBuf,
    /// Where all of it keeps its data and its logs.
    pub data: PathBuf,
    /// The first of its ports, all of which are in a row.
    pub first_port: u16,
}

impl Wanted {
    /// How many ports it takes: those of its processes, and one of the push provider.
    pub fn ports(&self) -> u16 {
        ports(&self.scenario.cluster, Processes::EachNode(self.engines)) + 1
    }
}

/// A stack, whose parts may run.
pub struct Stack {
    cluster: Cluster,
    parts: Parts,
    /// What is told to whoever watches it.
    told: Arc<dyn Fn(&str) + Send + Sync>,
    data: PathBuf,
    /// From its start on.
    listener: Option<UnixListener>,
    http: Http,
    /// Who was asked to end, and by when.
    asked: Vec<(Arc<str>, Instant)>,
    /// Who is started again, and when.
    restarts: Vec<(Arc<str>, Instant)>,
}

/// Writes down what a cluster tells that is nobody's run.
struct Words(Arc<dyn Fn(&str) + Send + Sync>);

impl Recorder for Words {
    fn record(&self, what: What) {
        if let What::NodePanicked { node, message, place } = what {
            (self.0)(&format!("{node} panicked at {place}: {message}"));
        }
    }

    fn now_us(&self) -> u64 {
        0
    }
}

impl Stack {
    /// One that is not started yet; on a runtime. `told` gets a sentence for whatever happens to it.
    ///
    /// # Errors
    /// Its ports are taken, or its folder cannot be used.
    pub fn new(
        wanted: &Wanted,
        told: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, ClusterError> {
        let Wanted { scenario, engines, binary, data, first_port } = wanted;
        let told: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(told);
        let push = first_port.saturating_add(wanted.ports() - 1);
        if !is_free(push) {
            let (taken, first, last) = (push, *first_port, push);
            return Err(ClusterError::PortTaken { taken, first, last });
        }
        let push = on_loopback(push);
        let outside =
            Outside { push: &push, tls: None, traces: None, interposed: &Interposed::NONE };
        let place = Place { data, first_port: Some(*first_port) };
        let program = (binary.as_path(), Processes::EachNode(*engines));
        let words = Arc::new(Words(told.clone()));
        let cluster = Cluster::new(program, scenario, place, outside, words.clone())?;
        let machine = machine("stack", 1, &Arc::default());
        let served = provider::serve(machine.clone(), push, words);
        machine.spawn("push provider", served);
        Ok(Self {
            parts: Parts::new(cluster.names().cloned()),
            cluster,
            told,
            data: data.clone(),
            listener: None,
            http: Http::new(machine),
            asked: Vec::new(),
            restarts: Vec::new(),
        })
    }

    /// Starts all of it, and waits until users are let in.
    ///
    /// # Errors
    /// A part does not start.
    pub async fn start(&mut self) -> Result<(), ClusterError> {
        self.cluster.start_all(&self.http).await?;
        for name in self.parts.those(&State::Starting) {
            self.parts.started(&name, None);
        }
        let cannot = |source| ClusterError::Io { what: "listen for orders".to_owned(), source };
        self.listener = Some(control::listen(&self.data).map_err(cannot)?);
        Ok(())
    }

    /// `host:port` to which users come.
    pub fn entrances(&self) -> &[String] {
        self.cluster.entrances()
    }

    /// `host:port` of every node's numbers.
    pub fn metrics(&self) -> &[String] {
        self.cluster.metrics()
    }

    /// What watches it.
    pub const fn monitoring(&self) -> Option<&Monitoring> {
        self.cluster.monitoring()
    }

    /// Obeys orders, and starts again what ends by itself; for ever.
    pub async fn serve(&mut self) {
        let (orders, mut ordered) = mpsc::channel::<Ordered>(1);
        let listener = self.listener.take().expect("a stack is served once, after its start");
        let door = control::serve(listener, orders);
        let inside = async {
            let (mut starts, mut tick) = (Starts::new(), interval(LOOK));
            loop {
                tokio::select! {
                    Some((order, answer)) = ordered.recv() => {
                        let answered = self.obey(&order, &mut starts).await;
                        // Whoever asked may have gone.
                        let _ = answer.send(answered);
                    }
                    Some(started) = starts.join_next(), if !starts.is_empty() => {
                        self.started(started).await;
                    }
                    _ = tick.tick() => self.look(&mut starts).await,
                }
            }
        };
        tokio::join!(door, inside);
    }

    /// Lets all of it drain and end, from the top down; whether all that ran ended well.
    ///
    /// # Errors
    /// A process does not take signals.
    pub async fn end(&mut self) -> Result<bool, ClusterError> {
        let paused = self.parts.those(&State::Paused);
        for name in &paused {
            self.cluster.resume(self.hold(name)).await?;
        }
        let ran = [paused, self.parts.those(&State::Running)].concat();
        let unwell = self.cluster.end().await?;
        Ok(!unwell.iter().any(|name| ran.contains(name)))
    }

    async fn obey(&mut self, order: &Order, starts: &mut Starts) -> Answer {
        let Some(action) = order.action else { return Ok(self.list()) };
        let names = self.parts.ordered(action, &order.parts)?;
        for name in &names {
            let done = self.apply(action, std::slice::from_ref(name), starts).await;
            done.map_err(|error| ports::with_causes(&error))?;
            self.parts.done(action, name);
            (self.told)(&format!("{name}: {}", self.parts.state(name)));
        }
        Ok(self.list())
    }

    async fn apply(
        &mut self,
        action: Action,
        names: &[Arc<str>],
        starts: &mut Starts,
    ) -> Result<(), ClusterError> {
        match action {
            Action::Kill => {
                self.asked.retain(|(asked, _)| !names.contains(asked));
                let starting = self.parts.those(&State::Starting);
                self.cluster.kill(names);
                self.cluster.gone().await;
                let cut_short = names.iter().filter(|name| starting.contains(name)).count();
                self.forget(names, cut_short, starts).await;
            }
            Action::Stop => {
                self.cluster.ask_to_end(names);
                let by = Instant::now() + DRAIN;
                self.asked.extend(names.iter().map(|name| (name.clone(), by)));
            }
            Action::Start => self.cluster.start_again(names, starts)?,
            Action::Pause => {
                for name in names {
                    let hold = self.hold(name);
                    if self.cluster.pause(std::slice::from_ref(name), hold).await? == 0 {
                        let what = format!("stop all processes of {name} within a second");
                        let source = std::io::ErrorKind::TimedOut.into();
                        self.cluster.resume(hold).await?;
                        return Err(ClusterError::Io { what, source });
                    }
                }
            }
            Action::Resume => {
                for name in names {
                    self.cluster.resume(self.hold(name)).await?;
                }
            }
        }
        Ok(())
    }

    /// So many starts of these were cut short: what they came to is nothing of the next ones.
    async fn forget(&mut self, names: &[Arc<str>], mut cut_short: usize, starts: &mut Starts) {
        while cut_short > 0
            && let Some(started) = starts.join_next().await
        {
            match &started {
                Ok((name, _)) if names.contains(name) => cut_short -= 1,
                _ => self.started(started).await,
            }
        }
    }

    /// Each part is held by a hold of its own.
    fn hold(&self, name: &str) -> u32 {
        self.cluster.names().position(|one| **one == *name).unwrap_or_default() as u32
    }

    async fn started(&mut self, started: Result<(Arc<str>, Begun), JoinError>) {
        let Ok((name, _)) = &started else { return };
        let name = name.clone();
        let failure = self.cluster.check_start(started).await.err();
        if failure.is_some() {
            // It may be there, and silent.
            self.cluster.kill(std::slice::from_ref(&name));
            self.cluster.gone().await;
        }
        self.start_came_to(&name, failure);
    }

    fn start_came_to(&mut self, name: &Arc<str>, failure: Option<ClusterError>) {
        let failure = failure.map(|error| ports::with_causes(&error));
        let how = failure.as_ref().map_or_else(String::new, |how| format!(" ({how})"));
        let again = self.parts.started(name, failure);
        self.restarts.extend(again.map(|wait| (name.clone(), Instant::now() + wait)));
        match again {
            Some(wait) => (self.told)(&format!("{name} did not start{how}: again in {wait:?}")),
            None => (self.told)(&format!("{name}: {}", self.parts.state(name))),
        }
    }

    /// Who has ended, as asked to or not; and who has not although it was asked to.
    async fn look(&mut self, starts: &mut Starts) {
        let now = Instant::now();
        let late: Vec<_> = self.asked.extract_if(.., |(_, by)| *by <= now).collect();
        for (name, _) in &late {
            if *self.parts.state(name) != State::Stopping {
                continue;
            }
            (self.told)(&format!("{name} has not ended in {DRAIN:?}: it is killed"));
            self.cluster.kill(std::slice::from_ref(name));
            self.cluster.gone().await;
            self.parts.done(Action::Kill, name);
        }
        let alive = [State::Running, State::Paused, State::Stopping];
        let alive: Vec<Arc<str>> = alive.iter().flat_map(|state| self.parts.those(state)).collect();
        for (name, how) in self.cluster.ended(&alive).await {
            if let Some(wait) = self.parts.ended(&name) {
                (self.told)(&format!("{name} ended by itself ({how}): again in {wait:?}"));
                self.restarts.push((name, now + wait));
            } else {
                self.asked.retain(|(asked, _)| *asked != name);
                (self.told)(&format!("{name}: stopped"));
            }
        }
        let due: Vec<_> = self.restarts.extract_if(.., |(_, at)| *at <= now).collect();
        for (name, _) in due {
            if !self.parts.restarts(&name) {
                continue;
            }
            if let Err(error) = self.cluster.start_again(std::slice::from_ref(&name), starts) {
                self.start_came_to(&name, Some(error));
            }
        }
    }

    fn list(&self) -> Vec<Part> {
        let part = |(name, process, log): (&Arc<str>, Option<u32>, String)| Part {
            name: name.to_string(),
            state: self.parts.state(name).clone(),
            process,
            log,
        };
        self.cluster.processes().map(part).collect()
    }
}
