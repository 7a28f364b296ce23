//! Requests are counted by route and class of status, whatever stands in their paths.

use super::World;
use super::requests::world;
use axum::body::Body;
use axum::http::{Request, header};
use bytes::Bytes;
use futures_util::stream;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::timeout;
use tower::ServiceExt;

fn counted(world: &World, method: &'static str, route: &'static str, status: &'static str) -> u64 {
    let labels = [("method", method), ("route", route), ("status", status)];
    world.memory.telemetry.counted_of("gateway_rest_requests", &labels)
}

#[tokio::test(start_paused = true)]
async fn a_request_is_counted_by_its_route_and_the_class_of_its_status() {
    let world = world().await;
    for (method, path, token) in [
        ("GET", "/v1/conversations/7", "user-1"),
        ("GET", "/v1/conversations/9", "user-1"),
        ("GET", "/v1/conversations/7", "nobody"),
        ("GET", "/v1/conversations/x", "user-1"),
        ("HEAD", "/health", ""),
        ("PATCH", "/v1/conversations/7", "user-1"),
        ("GET", "/zzz/7", "user-1"),
    ] {
        world.ask(method, path, token, "").await;
    }
    let show = "/v1/conversations/{id}";
    assert_eq!(counted(&world, "GET", show, "2xx"), 1);
    assert_eq!(counted(&world, "GET", show, "4xx"), 3);
    assert_eq!(counted(&world, "GET", "/health", "2xx"), 1);
    assert_eq!(counted(&world, "other", "other", "4xx"), 2);
    let timed = [("method", "GET"), ("route", show)];
    assert_eq!(world.memory.telemetry.counted_of("gateway_rest_seconds", &timed), 4);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_client_does_not_wait_is_counted_and_not_timed() {
    let world = world().await;
    let (put, receipts) = ("PUT", "/v1/conversations/{id}/receipts");
    let request = || {
        Request::put("/v1/conversations/7/receipts")
            .header(header::AUTHORIZATION, "Bearer user-1")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()))
            .unwrap()
    };
    let given_up = world.router.clone().oneshot(request());
    assert!(timeout(Duration::from_secs(1), given_up).await.is_err());
    assert_eq!(counted(&world, put, receipts, "gone"), 1);
    let timed = [("method", put), ("route", receipts)];
    let timed = || world.memory.telemetry.counted_of("gateway_rest_seconds", &timed);
    assert_eq!(timed(), 0);
    // The gateway gives this one up itself.
    let answer = world.router.clone().oneshot(request()).await.unwrap();
    assert_eq!(answer.status(), 408);
    assert_eq!((counted(&world, put, receipts, "4xx"), timed()), (1, 1));
    assert!(world.memory.telemetry.took("gateway_rest_seconds") >= Duration::from_secs(1));
}
