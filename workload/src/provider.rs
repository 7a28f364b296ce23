//! A scripted push provider: the webhook that notifiers call in a run.
//!
//! It takes every notification, but answers the first attempt at every tenth with 503, so that the
//! notifier's retries are part of every run. What it took is written into the history.

use crate::{Recorder, body};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use link::http_server::{HttpOptions, serve_http};
use ports::{Listener, Machine, Shutdown, entered};
use protocol::{ConversationId, Sequence, UserId};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use verify::history::What;

/// Where the provider of a simulated run listens.
pub const PORT: u16 = 7900;

/// Largest notification.
const BODY_MAX: usize = 64 * 1024;

/// Refused notifications that are remembered; beyond this, the provider refuses no more.
const REFUSED_MAX: usize = 100_000;

/// What a notification must say at least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Notification {
    #[serde(default)]
    idempotency_key: String,
    user: UserId,
    conversation: ConversationId,
    sequence: Sequence,
}

#[derive(Default)]
struct State {
    seen: u64,
    refused: BTreeSet<Notification>,
}

/// Serves at `host:port` until the machine dies; nobody is told but the log if that cannot be had.
pub async fn serve(machine: Machine, address: String, recorder: Arc<dyn Recorder>) {
    match machine.network.bind(&address).await {
        Ok(listener) => serve_on(machine, listener, recorder).await,
        Err(error) => tracing::error!(%error, address, "no push provider"),
    }
}

/// Serves whoever comes to a socket until the machine dies.
pub async fn serve_on(machine: Machine, listener: Box<dyn Listener>, recorder: Arc<dyn Recorder>) {
    let state = Arc::new(Mutex::new(State::default()));
    let service = tower::service_fn(move |request| {
        let (state, recorder) = (state.clone(), recorder.clone());
        async move { Ok::<_, Infallible>(take(request, &state, &*recorder).await) }
    });
    // Nobody asks a provider to end: it ends with the run.
    let (_trigger, shutdown) = Shutdown::new();
    if let Err(error) =
        serve_http(&machine, listener, service, HttpOptions::default(), shutdown).await
    {
        tracing::error!(%error, "the push provider ended");
    }
}

async fn take(
    request: Request<Incoming>,
    state: &Mutex<State>,
    recorder: &dyn Recorder,
) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        return answer(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Ok(body) = Limited::new(request.into_body(), BODY_MAX).collect().await else {
        return answer(StatusCode::BAD_REQUEST);
    };
    let Ok(notification) = serde_json::from_slice::<Notification>(&body.to_bytes()) else {
        return answer(StatusCode::BAD_REQUEST);
    };
    let Notification { user, conversation, sequence, .. } = notification;
    let key = match notification.idempotency_key.as_str() {
        "" => 0,
        key => body::hash(key).max(1),
    };
    let taken = !entered(state.lock()).refuses(notification);
    recorder.record(What::Pushed { user, conversation, sequence, key, taken });
    answer(if taken { StatusCode::NO_CONTENT } else { StatusCode::SERVICE_UNAVAILABLE })
}

impl State {
    /// Whether this attempt is refused: the first one of every tenth notification.
    fn refuses(&mut self, notification: Notification) -> bool {
        if self.refused.contains(&notification) {
            return false;
        }
        self.seen += 1;
        let refuse = self.seen.is_multiple_of(10) && self.refused.len() < REFUSED_MAX;
        if refuse {
            self.refused.insert(notification);
        }
        refuse
    }
}

fn answer(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// A recorder that only logs what was pushed: for a cluster that nobody judges.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Recorder for Log {
    fn record(&self, what: What) {
        if let What::Pushed { user, conversation, sequence, taken: true, .. } = what {
            tracing::info!(%user, %conversation, %sequence, "notification taken");
        }
    }

    fn now_us(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_notification_is_taken_the_second_time() {
        let mut state = State::default();
        let notification = |n| Notification {
            idempotency_key: format!("{n}-1-1"),
            user: UserId(n),
            conversation: ConversationId(1),
            sequence: Sequence(1),
        };
        let refused: Vec<u64> = (1..=20).filter(|n| state.refuses(notification(*n))).collect();
        assert_eq!(refused, [10, 20]);
        assert!(!state.refuses(notification(10)));
    }
}
