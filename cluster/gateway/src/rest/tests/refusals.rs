//! Requests that are refused: with which words, and when their body is too large or never comes.

use super::World;
use super::requests::{word, world};
use axum::body::Body;
use axum::http::{Request, header};
use bytes::Bytes;
use futures_util::stream;
use link::http_server::Peer;
use protocol::limits::{self, GatewayLimits};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn a_mistake_is_told_the_nearest_valid_word() {
    let world = world().await;
    for (method, path, body, nearest) in [
        ("GET", "/v1/conversation", "", json!("/v1/conversations")),
        ("POST", "/v1/conversations", r#"{"kind":"gruop","members":[2]}"#, json!("group")),
        ("POST", "/v1/conversations", r#"{"kind":"group","membres":[2]}"#, json!("members")),
        ("GET", "/v1/wss", "", json!("/v1/ws")),
        ("GET", "/zzz", "", Value::Null),
    ] {
        let reply = world.ask(method, path, "user-1", body).await;
        assert_eq!(reply.body["nearest"], nearest, "{reply:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_what_is_wrong() {
    let world = world().await;
    let long = format!(r#"{{"{}":1}}"#, "ä".repeat(1_000));
    for (method, path, token, body, detail) in [
        ("GET", "/v1/queues", "user-1", "", "one of the scopes admin, audit is needed"),
        ("GET", "/v1/dead-letters", "user-1", "", "the scope admin is needed"),
        ("GET", "/v1/conversations", "mute-1", "", "the scope chat is needed"),
        (
            "GET",
            "/v1/conversations?aftr=1",
            "user-1",
            "",
            "the query parameter \"aftr\" is unknown; there are after, limit, user",
        ),
        (
            "GET",
            "/v1/conversations?limit=1&limit=2",
            "user-1",
            "",
            "the query parameter \"limit\" stands twice",
        ),
        (
            "PUT",
            "/v1/conversations/7/receipts",
            "user-1",
            r#"{"delivered":1,"read":1,"read":1}"#,
            "the field \"read\" stands twice",
        ),
        (
            "GET",
            "/zzz",
            "user-1",
            "",
            "no such path; /openapi.json lists those of REST, and the WebSocket is at /v1/ws",
        ),
        (
            "PUT",
            "/v1/conversations/7/receipts",
            "user-1",
            r#"{"delivered":1,"raed":1}"#,
            "the field \"raed\" is unknown; there are delivered, read",
        ),
        (
            "PUT",
            "/v1/conversations/7/receipts",
            "user-1",
            &long,
            &format!("the field {:?} is unknown; there are delivered, read", "ä".repeat(64)),
        ),
    ] {
        let reply = world.ask(method, path, token, body).await;
        assert_eq!(reply.body["detail"], detail, "{reply:?}");
    }
}

/// As the bearer of a token, from an address.
async fn from(world: &World, address: &str, token: &str) -> u16 {
    let mut request = Request::get("/v1/conversations")
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    request.extensions_mut().insert(Peer(address.parse().unwrap()));
    world.send(request).await.status
}

#[tokio::test(start_paused = true)]
async fn an_address_of_forged_tokens_is_not_heard_for_a_while_and_others_are() {
    let world = world().await;
    let most = GatewayLimits::default().auth_failures_burst * 10;
    for _ in 0..most {
        assert_eq!(from(&world, "192.0.2.1", "forged").await, 401);
    }
    assert_eq!(from(&world, "192.0.2.1", "forged").await, 429);
    assert_eq!(from(&world, "192.0.2.1", "user-1").await, 429, "its signature is not checked");
    assert_eq!(from(&world, "192.0.2.2", "user-1").await, 200);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(from(&world, "192.0.2.1", "user-1").await, 200);
}

#[tokio::test(start_paused = true)]
async fn users_whose_tokens_have_run_out_are_heard_with_the_next_ones() {
    let world = world().await;
    // A crowd behind one address, whose tokens run out every minute.
    for _ in 0..5 {
        for user in 1..=1_000 {
            assert_eq!(from(&world, "192.0.2.1", "expired").await, 401);
            assert_eq!(from(&world, "192.0.2.1", &format!("user-{user}")).await, 200);
        }
        sleep(Duration::from_mins(1)).await;
    }
    // Whoever could not be judged has done nothing wrong, and good tokens count for nothing.
    for _ in 0..2 * GatewayLimits::default().auth_failures_burst * 10 {
        assert_eq!(from(&world, "192.0.2.1", "early").await, 503);
    }
}

#[tokio::test(start_paused = true)]
async fn where_there_is_get_there_is_head() {
    let world = world().await;
    for path in ["/health", "/v1/conversations", "/openapi.json"] {
        let reply = world.ask("HEAD", path, "user-1", "").await;
        assert_eq!((reply.status, &reply.body), (200, &Value::Null), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_bounded_and_must_be_json() {
    let world = world().await;
    let large = format!(r#"{{"kind":"{}"}}"#, "x".repeat(limits::MAX_REST_BODY_BYTES));
    let reply = world.ask("POST", "/v1/conversations", "user-1", &large).await;
    assert_eq!((reply.status, word(&reply)), (413, "too-large"));
    let request = Request::post("/v1/conversations")
        .header(header::AUTHORIZATION, "bearer user-1")
        .header(header::CONTENT_TYPE, "text/plain");
    let reply = world.send(request.body(Body::from("{}")).unwrap()).await;
    assert_eq!((reply.status, word(&reply)), (415, "unsupported-media-type"));
    let members: Vec<u64> = (1..=limits::MAX_MEMBERS as u64 + 1).collect();
    let body = json!({"kind": "group", "members": members}).to_string();
    let reply = world.ask("POST", "/v1/conversations", "user-1", &body).await;
    assert_eq!((reply.status, word(&reply)), (422, "unprocessable"));
    let body = json!({"kind": "group", "members": members[1..]}).to_string();
    assert_eq!(world.ask("POST", "/v1/conversations", "user-2", &body).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_given_up() {
    let world = World::new();
    for (path, kind) in [
        ("/v1/conversations", "application/json"),
        ("/oauth2/token", "application/x-www-form-urlencoded"),
    ] {
        let began = tokio::time::Instant::now();
        let reply = world.send(without_end(path, kind)).await;
        assert_eq!((reply.status, word(&reply)), (408, "body-timeout"), "{path}");
        assert_eq!(began.elapsed().as_secs(), 30, "{path}");
    }
}

/// A request whose body never comes.
fn without_end(path: &str, kind: &str) -> Request<Body> {
    let request = Request::post(path)
        .header(header::AUTHORIZATION, "bearer user-1")
        .header(header::CONTENT_TYPE, kind);
    let silence = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    request.body(silence).unwrap()
}

#[tokio::test(start_paused = true)]
async fn so_many_requests_are_served_at_once_and_an_incomplete_one_is_none() {
    let world = World::with(GatewayLimits { rest_requests: 2, ..GatewayLimits::default() });
    let ask = async || {
        let reply = world.ask("GET", "/v1/conversations", "user-2", "").await;
        (reply.status, word(&reply).to_owned())
    };
    let incomplete = || world.send(without_end("/v1/conversations", "application/json"));
    *world.owner.delay.lock().unwrap() = Duration::from_secs(1);
    let (first, second, third, fourth, later, _) = tokio::join!(
        incomplete(),
        ask(),
        ask(),
        ask(),
        async {
            sleep(Duration::from_secs(2)).await;
            ask().await
        },
        incomplete()
    );
    let (served, refused) = ((200, String::new()), (503, "unavailable".to_owned()));
    assert_eq!(first.status, 408);
    assert_eq!([second, third, fourth, later], [served.clone(), served.clone(), refused, served]);
}
