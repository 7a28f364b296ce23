//! REST requests in numbers: by route and class of status, never by what stands in their paths.

use super::Rest;
use super::routes::ROUTES;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use link::measured::{Measured, Names};
use ports::telemetry::Label;
use std::sync::Arc;

const NAMES: Names = Names { requests: "gateway_rest_requests", seconds: "gateway_rest_seconds" };

/// What is in no table: a client could ask for any number of those.
const OTHER: [Label; 2] = [("method", "other"), ("route", "other")];

/// Lets a request through, and counts it.
pub async fn measure(State(rest): State<Arc<Rest>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let labels = labels(request.method(), path);
    let measured = Measured::begin(Arc::clone(&rest.state.machine.telemetry), NAMES, &labels);
    let response = next.run(request).await;
    measured.answered(response.status().as_u16());
    response
}

fn labels(method: &Method, path: Option<&str>) -> [Label; 2] {
    // What answers GET answers HEAD.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let is_meant = |route: &&super::routes::Route| {
        Some(route.path) == path && route.method.eq_ignore_ascii_case(method.as_str())
    };
    let route = ROUTES.iter().find(is_meant);
    route.map_or(OTHER, |route| [("method", upper(route.method)), ("route", route.path)])
}

/// As HTTP has it.
fn upper(method: &str) -> &'static str {
    match method {
        "get" => "GET",
        "put" => "PUT",
        "post" => "POST",
        "delete" => "DELETE",
        other => unreachable!("no route has the method {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_labels_of_its_own_and_nothing_else_has_any() {
        let mut all = std::collections::BTreeSet::new();
        for route in ROUTES {
            let method: Method = route.method.to_uppercase().parse().unwrap();
            let labels = labels(&method, Some(route.path));
            assert_eq!(labels, [("method", method.as_str()), ("route", route.path)]);
            all.insert(format!("{labels:?}"));
        }
        assert_eq!(all.len(), ROUTES.len());
        assert_eq!(labels(&Method::HEAD, Some("/health")), labels(&Method::GET, Some("/health")));
        assert_eq!(labels(&Method::PUT, Some("/health")), OTHER);
        assert_eq!(labels(&Method::GET, Some("/v1/conversations/7")), OTHER);
        assert_eq!(labels(&Method::GET, None), OTHER);
    }
}
