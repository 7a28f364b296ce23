//! A queue in memory with the broker's manners, and a provider that answers by script.

use ::fakes::Memory;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use link::http_server::{HttpOptions, serve_http};
use ports::broker::{
    BrokerUnavailable, Confirms, ConsumerLost, Job, JobConsumer, JobDelivery, JobSettlement, Jobs,
};
use ports::{BoxFuture, Shutdown};
use protocol::limits;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// A message of the queue.
#[derive(Clone)]
struct Message {
    id: u64,
    bytes: Bytes,
    /// How often it was handed out.
    handed: u32,
    /// How often a consumer gave it back: what the broker's delivery limit counts.
    attempts: u32,
    visible: Instant,
}

/// One queue.
#[derive(Default)]
pub struct FakeBroker {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    queue: Mutex<VecDeque<Message>>,
    unsettled: Mutex<BTreeMap<u64, Message>>,
    pub dead: Mutex<Vec<(u64, String)>>,
    done: Mutex<Vec<u64>>,
    /// Rises when the connection is lost: earlier consumers are dead.
    life: Mutex<u64>,
    away: Mutex<bool>,
    changed: Notify,
}

impl FakeBroker {
    pub fn put(&self, id: u64, bytes: Bytes) {
        let message = Message { id, bytes, handed: 0, attempts: 0, visible: Instant::now() };
        self.inner.queue.lock().unwrap().push_back(message);
        self.inner.changed.notify_waiters();
    }

    /// The connection is lost: what was unsettled goes back.
    pub fn lose_connection(&self) {
        *self.inner.life.lock().unwrap() += 1;
        self.inner.give_back();
        self.inner.changed.notify_waiters();
    }

    pub fn be_away(&self, away: bool) {
        *self.inner.away.lock().unwrap() = away;
    }

    pub fn done(&self) -> Vec<u64> {
        self.inner.done.lock().unwrap().clone()
    }

    pub fn dead(&self) -> Vec<(u64, String)> {
        self.inner.dead.lock().unwrap().clone()
    }

    /// What the delivery limit has counted against the messages that are still there.
    pub fn attempts(&self) -> Vec<u32> {
        let queue = self.inner.queue.lock().unwrap();
        let unsettled = self.inner.unsettled.lock().unwrap();
        unsettled.values().chain(queue.iter()).map(|message| message.attempts).collect()
    }

    /// Messages that are neither handed out nor settled.
    pub fn waiting(&self) -> usize {
        self.inner.queue.lock().unwrap().len()
    }
}

impl Inner {
    /// When the next delayed message is due. What is visible already waits for room, and room is made
    /// by a settlement.
    fn next_due(&self) -> Instant {
        let now = Instant::now();
        let queue = self.queue.lock().unwrap();
        let due = queue.iter().map(|message| message.visible).filter(|due| *due > now).min();
        due.unwrap_or_else(|| now + Duration::from_hours(9))
    }

    fn give_back(&self) {
        let unsettled = std::mem::take(&mut *self.unsettled.lock().unwrap());
        let mut queue = self.queue.lock().unwrap();
        for (_, message) in unsettled.into_iter().rev() {
            queue.push_front(message);
        }
    }

    fn settle(&self, settlement: JobSettlement) {
        let take = |tag: u64| self.unsettled.lock().unwrap().remove(&tag).expect("settled once");
        match settlement {
            JobSettlement::Done { tag } => {
                let message = take(tag);
                self.done.lock().unwrap().push(message.id);
            }
            JobSettlement::Retry { tag, after } => {
                let message = take(tag);
                let attempts = message.attempts + 1;
                if attempts >= limits::DELIVERY_LIMIT {
                    self.dead.lock().unwrap().push((message.id, "delivery limit".into()));
                } else {
                    let visible = Instant::now() + after;
                    let message = Message { attempts, visible, ..message };
                    self.queue.lock().unwrap().push_back(message);
                }
            }
            JobSettlement::DeadLetter { tag, reason } => {
                let message = take(tag);
                self.dead.lock().unwrap().push((message.id, reason));
            }
        }
    }
}

struct FakeConsumer {
    inner: Arc<Inner>,
    life: u64,
    prefetch: usize,
    next_tag: u64,
}

impl FakeConsumer {
    fn ready(&mut self) -> Vec<JobDelivery> {
        let now = Instant::now();
        let mut queue = self.inner.queue.lock().unwrap();
        let mut unsettled = self.inner.unsettled.lock().unwrap();
        let mut deliveries = Vec::new();
        while unsettled.len() < self.prefetch {
            let Some(place) = queue.iter().position(|message| message.visible <= now) else {
                break;
            };
            let mut message = queue.remove(place).unwrap();
            self.next_tag += 1;
            deliveries.push(JobDelivery {
                tag: self.next_tag,
                redelivered: message.handed,
                message: message.bytes.clone(),
            });
            message.handed += 1;
            unsettled.insert(self.next_tag, message);
        }
        deliveries
    }
}

impl JobConsumer for FakeConsumer {
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<JobDelivery>, ConsumerLost>> {
        Box::pin(async move {
            let inner = Arc::clone(&self.inner);
            loop {
                let changed = inner.changed.notified();
                if *inner.life.lock().unwrap() != self.life {
                    return Err(ConsumerLost);
                }
                let ready = self.ready();
                if !ready.is_empty() {
                    return Ok(ready);
                }
                let later = inner.next_due();
                tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep_until(later) => {}
                }
            }
        })
    }
    fn settle(&mut self, settlements: Vec<JobSettlement>) {
        if *self.inner.life.lock().unwrap() != self.life {
            return;
        }
        for settlement in settlements {
            self.inner.settle(settlement);
        }
        self.inner.changed.notify_waiters();
    }
}

impl Drop for FakeConsumer {
    fn drop(&mut self) {
        if *self.inner.life.lock().unwrap() == self.life {
            self.inner.give_back();
        }
    }
}

impl Jobs for FakeBroker {
    fn publish(&self, _: Vec<Job>) -> BoxFuture<'static, Confirms> {
        unreachable!("a notifier publishes nothing")
    }
    fn consume(
        &self,
        queue: u16,
        prefetch: u32,
    ) -> BoxFuture<'static, Result<Box<dyn JobConsumer>, BrokerUnavailable>> {
        assert_eq!(queue, 4);
        let inner = Arc::clone(&self.inner);
        if *inner.away.lock().unwrap() {
            return Box::pin(ready(Err(BrokerUnavailable)));
        }
        let life = *inner.life.lock().unwrap();
        let prefetch = prefetch as usize;
        let consumer = FakeConsumer { inner, life, prefetch, next_tag: life * 1_000 };
        Box::pin(ready(Ok(Box::new(consumer) as Box<dyn JobConsumer>)))
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
