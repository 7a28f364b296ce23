//! The broker, over a connection that can be lost, and a provider that answers by script.

use ::fakes::Memory;
use broker::{BrokerConfig, BrokerEngine, EmbeddedBroker};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use link::http_server::{HttpOptions, serve_http};
use ports::broker::{
    BrokerUnavailable, Brokers, Confirms, ConsumerLost, DeadLetters, Depths, Job, JobConsumer,
    JobDelivery, JobSettlement, Jobs,
};
use ports::{BoxFuture, Shutdown};
use protocol::records::PushJob;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// The queue that is consumed.
const QUEUE: u16 = 4;

/// A broker in memory, as a notifier reaches it, and what the notifier has said of its jobs.
pub struct Reached {
    broker: Arc<EmbeddedBroker>,
    /// Whether the broker can be reached; consumers from before a change are lost.
    is_up: watch::Sender<bool>,
    said: Arc<Mutex<Said>>,
}

#[derive(Default)]
struct Said {
    done: Vec<u64>,
}

impl Reached {
    pub async fn open(memory: &Memory) -> Arc<Self> {
        let config = BrokerConfig { engine: BrokerEngine::Memory, ..BrokerConfig::default() };
        let broker = EmbeddedBroker::open(memory.machine("broker-1"), config).await.unwrap();
        let (is_up, _) = watch::channel(true);
        Arc::new(Self { broker, is_up, said: Arc::default() })
    }

    pub async fn put(&self, message: Bytes) {
        let job = Job { queue: QUEUE, message };
        assert_eq!(Jobs::publish(&*self.broker, vec![job]).await, [Ok(())]);
    }

    /// The connection is lost: what was unsettled goes back.
    pub fn lose_connection(&self) {
        self.is_up.send_modify(|_| {});
    }

    pub fn be_away(&self, away: bool) {
        self.is_up.send_replace(!away);
    }

    /// The users of the jobs that are settled, in their order: done, or put among the dead letters.
    pub fn done(&self) -> Vec<u64> {
        self.said.lock().unwrap().done.clone()
    }

    /// The users and the reasons of the jobs that cannot be done; 0: it is no job.
    pub async fn dead(&self) -> Vec<(u64, String)> {
        let dead = self.broker.list(0, 100).await.unwrap();
        dead.into_iter().map(|dead| (user(&dead.message), dead.reason)).collect()
    }

    /// As a notifier reaches it.
    pub fn brokers(self: &Arc<Self>) -> Brokers {
        Brokers { jobs: self.clone(), ..Brokers::one(self.broker.clone()) }
    }

    /// Jobs that are not settled.
    pub async fn waiting(&self) -> u64 {
        self.broker.depths().await.unwrap().into_iter().map(|(_, messages)| messages).sum()
    }
}

/// The only user, or the number of users.
fn user(message: &Bytes) -> u64 {
    PushJob::decode(message).map_or(0, |job| match job.users[..] {
        [user] => user.0,
        _ => job.users.len() as u64,
    })
}

impl Jobs for Reached {
    fn publish(&self, _: Vec<Job>) -> BoxFuture<'static, Confirms> {
        unreachable!("a notifier publishes nothing")
    }

    fn consume(
        &self,
        queue: u16,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn JobConsumer>, BrokerUnavailable>> {
        assert_eq!(queue, QUEUE);
        let is_up = self.is_up.subscribe();
        if !*is_up.borrow() {
            return Box::pin(ready(Err(BrokerUnavailable)));
        }
        let (consumer, said) = (Jobs::consume(&*self.broker, queue, prefetch), self.said.clone());
        Box::pin(async move {
            let inner = Some(consumer.await?);
            let consumer = Consumer { inner, is_up, said, handed: BTreeMap::new() };
            Ok(Box::new(consumer) as Box<dyn JobConsumer>)
        })
    }
}

struct Consumer {
    /// `None` after the connection was lost.
    inner: Option<Box<dyn JobConsumer>>,
    is_up: watch::Receiver<bool>,
    said: Arc<Mutex<Said>>,
    /// The users of the jobs that are not settled, by tag.
    handed: BTreeMap<u64, u64>,
}

impl JobConsumer for Consumer {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<JobDelivery>, ConsumerLost>> {
        Box::pin(async move {
            let consumer = self.inner.as_mut().ok_or(ConsumerLost)?;
            let deliveries = tokio::select! {
                biased;
                _ = self.is_up.changed() => Err(ConsumerLost),
                deliveries = consumer.next() => deliveries,
            };
            match &deliveries {
                Ok(deliveries) => {
                    let users = deliveries.iter().map(|job| (job.tag, user(&job.message)));
                    self.handed.extend(users);
                }
                Err(ConsumerLost) => self.inner = None,
            }
            deliveries
        })
    }

    fn settle(&mut self, settlements: Vec<JobSettlement>) {
        if self.is_up.has_changed().unwrap() {
            self.inner = None;
        }
        let Some(consumer) = &mut self.inner else { return };
        let mut said = self.said.lock().unwrap();
        for settlement in &settlements {
            match settlement {
                JobSettlement::Done { tag } => said.done.push(self.handed[tag]),
                JobSettlement::DeadLetter { .. } => {}
            }
        }
        consumer.settle(settlements);
    }
}

/// What the provider does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    Status(u16),
    /// A status, with `Retry-After` in seconds.
    Later(u16, u64),
    /// Nothing, ever.
    Silence,
    /// 204 after this long.
    Slow(Duration),
}

/// A provider; without a script it takes everything.
#[derive(Clone, Default)]
pub struct FakeProvider {
    pub script: Arc<Mutex<VecDeque<Answer>>>,
    /// What users' pushes get, whatever the script says.
    pub by_user: Arc<Mutex<BTreeMap<u64, Answer>>>,
    /// What it is shown by way of authorization.
    pub shown: Arc<Mutex<Vec<String>>>,
    /// When, and the idempotency key.
    pub asked: Arc<Mutex<Vec<(Instant, String)>>>,
    pub most_at_once: Arc<Mutex<(usize, usize)>>,
}

impl FakeProvider {
    pub async fn start(memory: &Memory) -> Self {
        let provider = Self::default();
        provider.listen(memory).await;
        provider
    }

    pub async fn listen(&self, memory: &Memory) {
        let machine = memory.machine("provider");
        let listener = machine.network.bind("provider:80").await.unwrap();
        let (provider, serving) = (self.clone(), machine.clone());
        machine.spawn("provider", async move {
            let service = tower::service_fn(move |request| provider.clone().answer(request));
            let (_trigger, shutdown) = Shutdown::new();
            let options = HttpOptions::default();
            serve_http(&serving, listener, service, options, shutdown).await.unwrap();
        });
    }

    pub fn keys(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(_, key)| key.clone()).collect()
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body: serde_json::Value =
            serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
        assert_eq!((head.method.as_str(), head.uri.path()), ("POST", "/push"));
        let key = head.headers["idempotency-key"].to_str().unwrap().to_owned();
        assert_eq!(body["idempotency_key"], key.as_str());
        let shown = head.headers.get("authorization").map(|value| value.to_str().unwrap());
        self.shown.lock().unwrap().extend(shown.map(str::to_owned));
        let (user, conversation, sequence) =
            (&body["user"], &body["conversation"], &body["sequence"]);
        assert_eq!(format!("{user}-{conversation}-{sequence}"), key);
        self.asked.lock().unwrap().push((Instant::now(), key));
        let for_user = self.by_user.lock().unwrap().get(&user.as_u64().unwrap()).cloned();
        let scripted = for_user.or_else(|| self.script.lock().unwrap().pop_front());
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        match scripted.unwrap_or(Answer::Status(204)) {
            Answer::Status(status) => {
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
            }
            Answer::Later(status, seconds) => {
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                response.headers_mut().insert("retry-after", seconds.into());
            }
            Answer::Silence => std::future::pending().await,
            Answer::Slow(time) => {
                self.count_in();
                sleep(time).await;
                self.most_at_once.lock().unwrap().0 -= 1;
            }
        }
        Ok(response)
    }

    fn count_in(&self) {
        let mut at_once = self.most_at_once.lock().unwrap();
        at_once.0 += 1;
        at_once.1 = at_once.1.max(at_once.0);
    }
}
