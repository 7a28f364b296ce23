//! Every route, with right and wrong inputs, against fakes. Each response is also held against
//! `openapi.json`: status, media type and body.

mod bulk;
mod fakes;
mod measured;
mod refusals;
mod requests;
mod schema;
mod window;

use super::routes::ROUTES;
use super::{RestState, router};
use ::fakes::Memory;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use fakes::{FakeBroker, FakeOwner, PARTITIONS, PlainTokens};
use http_body_util::BodyExt;
use ports::entered;
use protocol::Partition;
use protocol::limits::GatewayLimits;
use schema::Document;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

/// A router over fakes.
struct World {
    owner: Arc<FakeOwner>,
    broker: Arc<FakeBroker>,
    ready: Arc<Mutex<Option<Vec<Partition>>>>,
    memory: Memory,
    router: Router,
    document: Document,
}

/// A response.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl World {
    fn new() -> Self {
        Self::with(GatewayLimits::default())
    }

    fn with(limits: GatewayLimits) -> Self {
        let memory = Memory::default();
        let (owner, broker) = (Arc::new(FakeOwner::default()), Arc::new(FakeBroker::default()));
        let ready = Arc::new(Mutex::new(Some(Vec::new())));
        let is_ready = ready.clone();
        let state = RestState {
            machine: memory.machine("gateway-1"),
            dead_letters: broker.clone(),
            depths: broker.clone(),
            conversations: owner.clone(),
            tokens: Arc::new(PlainTokens),
            metrics: Arc::new(|| "sessions 3\n".into()),
            ready: Arc::new(move || entered(is_ready.lock()).clone()),
            auth_address: "auth:80".into(),
            partitions_total: PARTITIONS,
            limits,
            proxies: super::Proxies::new(vec!["10.0.0.0/8".parse().expect("a network")]),
        };
        Self { owner, broker, ready, memory, router: router(state), document: Document::load() }
    }

    /// Sends a request with a JSON body, if there is one, as the bearer of a token, if there is one.
    async fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let method = request.method().as_str().to_lowercase();
        let path = request.uri().path().to_owned();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = || Value::from(String::from_utf8_lossy(&bytes).into_owned());
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| text())
        };
        let reply = Reply { status: head.status.as_u16(), headers: head.headers, body };
        // HEAD is GET without a body: the document says so once, for all of them.
        if method != "head" {
            self.is_described(&method, &path, &reply);
        }
        reply
    }

    /// The document knows this response.
    fn is_described(&self, method: &str, path: &str, reply: &Reply) {
        let Some(route) =
            ROUTES.iter().find(|route| route.method == method && fits(route.path, path))
        else {
            assert!(matches!(reply.status, 404 | 405 | 429), "{method} {path}: {reply:?}");
            return self.is_a_problem(reply);
        };
        let described = self.document.response(method, route.path, reply.status);
        let described =
            described.unwrap_or_else(|| panic!("undescribed: {method} {path} {reply:?}"));
        let Some(contents) = described["content"].as_object() else {
            assert_eq!(reply.body, Value::Null, "{method} {path}");
            return;
        };
        let kind = reply.headers[header::CONTENT_TYPE].to_str().unwrap();
        let kind = kind.split(';').next().unwrap();
        let media = contents.get(kind).unwrap_or_else(|| panic!("{method} {path} sends {kind}"));
        let faults = self.document.faults(&media["schema"], &reply.body);
        assert!(faults.is_empty(), "{method} {path}: {faults:?}");
    }

    fn is_a_problem(&self, reply: &Reply) {
        assert_eq!(reply.headers[header::CONTENT_TYPE], "application/problem+json");
        let schema = serde_json::json!({ "$ref": "#/components/schemas/Problem" });
        assert_eq!(self.document.faults(&schema, &reply.body), Vec::<String>::new());
        assert_eq!(reply.body["status"], reply.status);
    }
}

/// Whether a path is one of a route.
fn fits(route: &str, path: &str) -> bool {
    let (route, path) = (route.split('/'), path.split('/'));
    route.clone().count() == path.clone().count()
        && route.zip(path).all(|(pattern, part)| pattern.starts_with('{') || pattern == part)
}
