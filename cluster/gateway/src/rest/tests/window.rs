//! The window to the auth service, against a scripted one.

use super::World;
use crate::rest::proxy::AT_ONCE;
use axum::Router;
use axum::body::Body;
use axum::extract::Request as AxumRequest;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use http_body_util::BodyExt;
use link::http_server::{HttpOptions, Peer, serve_http};
use ports::Shutdown;
use protocol::limits::GatewayLimits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// Answers with what it was asked, in the members that the document knows.
async fn mirror(request: AxumRequest) -> Response {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let credentials = head.headers.get(header::AUTHORIZATION).map_or("", |v| v.to_str().unwrap());
    let cookie = head.headers.contains_key(header::COOKIE);
    let said = format!("{} {} {credentials} {cookie} {body:?}", head.method, head.uri);
    let answer = serde_json::json!({ "error": "mirror", "error_description": said });
    let headers = [
        (header::WWW_AUTHENTICATE, "Basic realm=\"fracas\""),
        (header::CACHE_CONTROL, "no-store"),
        (header::SET_COOKIE, "a=b"),
    ];
    (StatusCode::UNAUTHORIZED, headers, axum::Json(answer)).into_response()
}

async fn world_with_auth() -> World {
    world_with(Router::new().fallback(mirror)).await
}

/// A gateway beside an auth service of these routes.
async fn world_with(auth: Router) -> World {
    let world = World::new();
    let machine = world.memory.machine("auth-1");
    let listener = machine.network.bind("auth:80").await.unwrap();
    let serving = machine.clone();
    machine.spawn("auth", async move {
        let (_trigger, shutdown) = Shutdown::new();
        serve_http(&serving, listener, auth, HttpOptions::default(), shutdown).await.unwrap();
    });
    world
}

fn token_request(body: String) -> Request<Body> {
    Request::post("/oauth2/token?x=1")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, "Basic b3BzOnM=")
        .header(header::COOKIE, "secret")
        .body(Body::from(body))
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_to_the_auth_service_and_its_answer_comes_back() {
    let reply = world_with_auth().await.send(token_request("grant_type=x".into())).await;
    assert_eq!(reply.status, 401);
    assert_eq!(
        reply.body["error_description"],
        "POST /oauth2/token?x=1 Basic b3BzOnM= false b\"grant_type=x\""
    );
    assert_eq!(reply.headers[header::WWW_AUTHENTICATE], "Basic realm=\"fracas\"");
    assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store");
    assert!(!reply.headers.contains_key(header::SET_COOKIE));
}

#[tokio::test(start_paused = true)]
async fn an_auth_service_that_is_away_is_unavailable() {
    let world = World::new();
    for (method, path) in [
        ("POST", "/oauth2/token"),
        ("POST", "/oauth2/revoke"),
        ("POST", "/oauth2/users/7/revoke"),
        ("POST", "/oauth2/keys/rotate"),
        ("GET", "/oauth2/jwks"),
        ("GET", "/.well-known/oauth-authorization-server"),
    ] {
        let reply = world.ask(method, path, "", "").await;
        assert_eq!(reply.status, 503, "{method} {path}");
        assert_eq!(reply.headers[header::RETRY_AFTER], "1");
    }
}

#[tokio::test(start_paused = true)]
async fn an_auth_service_that_is_silent_leaves_the_outcome_open() {
    let world = World::new();
    let _listener = world.memory.machine("auth-1").network.bind("auth:80").await.unwrap();
    assert_eq!(world.send(token_request(String::new())).await.status, 504);
}

#[tokio::test(start_paused = true)]
async fn a_large_form_is_not_passed_on() {
    let world = world_with_auth().await;
    assert_eq!(world.send(token_request("x".repeat(9_000))).await.status, 413);
    assert_eq!(world.memory.network.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_fails_too_often_is_not_heard_for_a_while_and_others_are() {
    let world = world_with_auth().await;
    let from = |address: &str| {
        let mut request = token_request("grant_type=x".into());
        request.extensions_mut().insert(Peer(address.parse().unwrap()));
        request
    };
    let limits = GatewayLimits::default();
    for _ in 0..limits.auth_failures_burst {
        assert_eq!(world.send(from("10.0.0.1")).await.status, 401);
    }
    let refused = world.send(from("10.0.0.1")).await;
    assert_eq!(
        (refused.status, &refused.headers[header::RETRY_AFTER]),
        (429, &"1".parse().unwrap())
    );
    assert_eq!(world.send(from("10.0.0.2")).await.status, 401);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.send(from("10.0.0.1")).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn clients_of_a_trusted_proxy_are_limited_each_alone() {
    let world = world_with_auth().await;
    let from = |proxy: &str, client: &str| {
        let mut request = token_request("grant_type=x".into());
        request.extensions_mut().insert(Peer(proxy.parse().unwrap()));
        request.headers_mut().insert("x-forwarded-for", client.parse().unwrap());
        request
    };
    let burst = GatewayLimits::default().auth_failures_burst;
    for _ in 0..burst {
        assert_eq!(world.send(from("10.0.0.1", "198.51.100.7")).await.status, 401);
    }
    assert_eq!(world.send(from("10.0.0.1", "198.51.100.7")).await.status, 429);
    assert_eq!(world.send(from("10.0.0.1", "198.51.100.8")).await.status, 401);
    // Whoever is not trusted cannot have another address for each attempt.
    for client in 0..burst {
        let client = format!("198.51.{}.{}", client / 256, client % 256);
        assert_eq!(world.send(from("192.0.2.1", &client)).await.status, 401);
    }
    assert_eq!(world.send(from("192.0.2.1", "198.51.100.99")).await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_good_logins_from_one_address_is_not_held_up() {
    let world = world_with(Router::new().fallback(async || StatusCode::OK)).await;
    // A logout is answered without a document.
    let logout = || Request::post("/oauth2/revoke").body(Body::empty()).unwrap();
    for _ in 0..2 * GatewayLimits::default().auth_failures_burst {
        assert_eq!(world.send(logout()).await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn logouts_of_nobody_are_failures_of_their_address() {
    let futile = async || (StatusCode::OK, [("fracas-revoked", "nothing")]);
    let world = world_with(Router::new().fallback(futile)).await;
    let logout = || Request::post("/oauth2/revoke").body(Body::from("token=rubbish")).unwrap();
    for _ in 0..GatewayLimits::default().auth_failures_burst {
        let reply = world.send(logout()).await;
        assert_eq!((reply.status, reply.headers.get("fracas-revoked")), (200, None));
    }
    assert_eq!(world.send(logout()).await.status, 429);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.send(logout()).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_requests_are_passed_on_at_a_time() {
    let now = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let counted = now.clone();
    let auth = async move || {
        let (under_way, most) = &*counted;
        most.fetch_max(under_way.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        sleep(Duration::from_secs(1)).await;
        under_way.fetch_sub(1, Ordering::Relaxed);
        StatusCode::OK
    };
    let world = world_with(Router::new().fallback(auth)).await;
    let logout = || world.send(Request::post("/oauth2/revoke").body(Body::empty()).unwrap());
    let replies = join_all((0..3 * AT_ONCE).map(|_| logout())).await;
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    assert_eq!(now.1.load(Ordering::Relaxed), AT_ONCE);
}

#[tokio::test(start_paused = true)]
async fn what_needs_no_token_is_limited_by_address() {
    let world = World::new();
    let burst = GatewayLimits::default().open_burst;
    for path in ["/metrics", "/openapi.json", "/.well-known/oauth-authorization-server", "/zzz"] {
        sleep(Duration::from_mins(1)).await;
        for _ in 0..burst {
            assert_ne!(world.ask("GET", path, "", "").await.status, 429);
        }
        let refused = world.ask("GET", path, "", "").await;
        assert_eq!(
            (refused.status, &refused.headers[header::RETRY_AFTER]),
            (429, &"1".parse().unwrap())
        );
    }
    assert_eq!(world.ask("GET", "/ready", "", "").await.status, 200, "for load balancers");
}

#[tokio::test(start_paused = true)]
async fn what_verifiers_poll_is_not_behind_the_window() {
    assert_eq!(world_with_auth().await.ask("GET", "/oauth2/revocations", "", "").await.status, 404);
}
