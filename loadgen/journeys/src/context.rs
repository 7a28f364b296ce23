//! What the users of the REST interface share.

use crate::call::Bearer;
use crate::user::RestUser;
use loadgen::Limits;
use loadgen::journeys::{Start, Trust};
use ports::entered;
use protocol::UserId;
use reqwest::{Client, ClientBuilder};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use verify::history::event::{Phase, What};
use workload::measure::Lateness;
use workload::plan::Journeys;
use workload::recorder::Recorder;
use workload::rest::Api;
use workload::targets::Targets;

/// Deadline of one request, connecting included: that of the other users.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// What they share.
pub struct Context {
    /// Where they go.
    pub plan: Arc<Journeys>,
    /// The cluster.
    pub targets: Arc<Targets>,
    /// The service's token, and what is made up for when they are gone.
    pub api: Api,
    /// Whom to trust, if the cluster is not in plaintext.
    trust: Option<Trust>,
    recorder: Arc<dyn Recorder>,
    pub limits: Arc<Limits>,
    phase: watch::Receiver<Phase>,
    began: Instant,
    users: Mutex<Vec<Arc<Mine>>>,
    lateness: Mutex<Lateness>,
    service_refused: AtomicBool,
}

/// A user: nobody but its own task of goose waits for the lock while they are driven.
pub type Mine = tokio::sync::Mutex<RestUser>;

impl Context {
    /// At the beginning of the load; `None`: the plan has no such users.
    pub fn new(start: Start) -> Option<Self> {
        let Start { plan, targets, machine, trust, recorder, limits, phase } = start;
        Some(Self {
            plan: plan.journeys()?.clone(),
            api: Api::new(machine, targets.clone()),
            targets,
            trust,
            recorder,
            limits,
            phase,
            began: Instant::now(),
            users: Mutex::default(),
            lateness: Mutex::default(),
            service_refused: AtomicBool::new(false),
        })
    }

    /// The address of a gateway.
    pub fn base_url(&self, gateway: usize) -> String {
        let scheme = if self.trust.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.gateway(gateway))
    }

    /// What a user's requests go out by, if goose's own client will not do: it trusts those whom the system
    /// trusts.
    pub fn client(&self) -> Option<ClientBuilder> {
        let trust = self.trust.as_ref()?;
        let client = Client::builder().timeout(DEADLINE).no_gzip();
        Some(client.tls_backend_preconfigured(trust.client_config()))
    }

    /// Something happened.
    pub fn record(&self, what: What) {
        self.recorder.record(what);
    }

    /// Whether nobody begins anything any more.
    pub fn is_over(&self) -> bool {
        *self.phase.borrow() >= Phase::Settle || self.phase.has_changed().is_err()
    }

    /// Ends when that is so.
    pub async fn over(&self) {
        // A channel that closes is the end.
        let _ = self.phase.clone().wait_for(|phase| *phase >= Phase::Settle).await;
    }

    /// The next user who has not begun; `None`: all have.
    pub fn next_user(&self) -> Option<Arc<Mine>> {
        let mut users = entered(self.users.lock());
        let number = users.len() as u32;
        if number >= self.plan.count() {
            return None;
        }
        let id: UserId = self.plan.users().nth(number as usize)?;
        let user = Arc::new(Mine::new(RestUser::new(id, &self.plan)));
        users.push(user.clone());
        Some(user)
    }

    /// All users who have begun.
    pub fn users(&self) -> Vec<Arc<Mine>> {
        entered(self.users.lock()).clone()
    }

    /// The address of a gateway, by a number of the user's choice.
    pub fn gateway(&self, number: usize) -> &str {
        let gateways = &self.targets.gateways;
        &gateways[number % gateways.len()]
    }

    /// The service's token, from a gateway if there is none; `None`: there is none to be had now.
    pub async fn service(&self, gateway: usize) -> Option<Bearer> {
        let is_refused = self.service_refused.swap(false, Ordering::Relaxed);
        let token = self.api.tokens().of_service(is_refused, self.gateway(gateway)).await;
        let token = token.inspect_err(|error| {
            tracing::debug!(%error, "no token of the service");
            self.service_refused.fetch_or(is_refused, Ordering::Relaxed);
        });
        Some(Bearer::Service(token.ok()?.expose().to_owned()))
    }

    /// The service's token is not honoured: whoever needs it next gets another one.
    pub fn service_is_refused(&self) {
        self.service_refused.store(true, Ordering::Relaxed);
    }

    /// A journey begins so long after the time to think.
    pub fn note_late(&self, late: Duration) {
        entered(self.lateness.lock()).note(self.began.elapsed(), late);
    }

    /// How late all journeys began.
    pub fn lateness(&self) -> Lateness {
        entered(self.lateness.lock()).clone()
    }
}
