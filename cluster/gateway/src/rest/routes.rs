//! The one table of routes.

use super::problem::{Kind, Problem};
use super::source::Source;
use super::{
    Rest, batch, conversations, dead_letters, entries, export, members, operations, proxy, receipts,
};
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::routing::{MethodRouter, delete, get, post, put};
use std::sync::Arc;

/// A method on a path.
pub struct Route {
    /// In lower case, as OpenAPI has it.
    pub method: &'static str,
    /// With `{parameters}`, as both OpenAPI and the router have them.
    pub path: &'static str,
    handler: fn() -> MethodRouter<Arc<Rest>>,
}

macro_rules! routes {
    ($($method:ident $path:literal => $handler:path,)*) => {
        &[$(Route { method: stringify!($method), path: $path, handler: || $method($handler) },)*]
    };
}

/// Every route there is.
pub const ROUTES: &[Route] = routes![
    post "/v1/conversations" => conversations::create,
    get "/v1/conversations" => conversations::list,
    post "/v1/conversations:batch" => batch::create,
    put "/v1/conversations/{id}" => conversations::create_with_id,
    get "/v1/conversations/{id}" => conversations::show,
    put "/v1/conversations/{id}/members/{user}" => members::add,
    delete "/v1/conversations/{id}/members/{user}" => members::remove,
    get "/v1/conversations/{id}/entries" => entries::list,
    put "/v1/conversations/{id}/receipts" => receipts::put,
    get "/v1/conversations/{id}/receipts" => receipts::list,
    get "/v1/dead-letters" => dead_letters::list,
    get "/v1/dead-letters/{id}" => dead_letters::show,
    post "/v1/dead-letters/{id}/requeue" => dead_letters::requeue,
    get "/v1/queues" => operations::queues,
    get "/v1/partitions" => operations::partitions,
    get "/v1/partitions/{partition}/export" => export::export,
    get "/health" => operations::health,
    get "/ready" => operations::ready,
    get "/metrics" => operations::metrics,
    get "/openapi.json" => operations::openapi,
    post "/oauth2/token" => proxy::auth,
    post "/oauth2/revoke" => proxy::auth,
    post "/oauth2/users/{id}/revoke" => proxy::auth,
    post "/oauth2/keys/rotate" => proxy::auth,
    get "/oauth2/jwks" => proxy::auth,
    get "/.well-known/oauth-authorization-server" => proxy::auth,
];

/// The router of the table, without its state.
pub fn router() -> Router<Arc<Rest>> {
    ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()))
}

/// What is said of a path that is not in the table.
const NO_SUCH_PATH: &str =
    "no such path; /openapi.json lists those of REST, and the WebSocket is at /v1/ws";
/// Not one of ours, but perhaps what somebody meant.
const WEBSOCKET: &str = "/v1/ws";

/// Answers a path that is not in the table.
pub async fn no_such_route(State(rest): State<Arc<Rest>>, source: Source, uri: Uri) -> Problem {
    if let Err(too_many) = rest.sources.take(source, rest.now_ms()) {
        return too_many;
    }
    Problem::new(Kind::NotFound, NO_SUCH_PATH)
        .nearest(uri.path(), ROUTES.iter().map(|route| route.path).chain([WEBSOCKET]))
}

/// Answers a method that its path does not have.
pub async fn no_such_method(uri: Uri) -> Problem {
    Problem::new(Kind::MethodNotAllowed, format!("{} has other methods", uri.path()))
}
