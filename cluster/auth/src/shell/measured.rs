//! Requests in numbers: by what is asked for and the class of the answer's status, never by who asks.

use crate::core::request::Grant;
use crate::shell::service::Service;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::MethodRouter;
use link::measured::{Measured, Names};
use std::sync::Arc;

const NAMES: Names = Names { requests: "auth_requests_total", seconds: "auth_request_seconds" };

/// What a request turned out to ask for; an extension of its response.
#[derive(Clone, Copy, Debug)]
pub struct Operation(&'static str);

impl From<&Grant> for Operation {
    fn from(grant: &Grant) -> Self {
        Self(match grant {
            Grant::Password { .. } => "password",
            Grant::ClientCredentials => "client_credentials",
            Grant::RefreshToken { .. } => "refresh_token",
        })
    }
}

/// A route whose requests are counted as this operation, unless their response has another one.
pub fn measured(
    service: &Arc<Service>,
    operation: &'static str,
    route: MethodRouter<Arc<Service>>,
) -> MethodRouter<Arc<Service>> {
    route.layer(from_fn_with_state((Arc::clone(service), Operation(operation)), measure))
}

async fn measure(
    State((service, Operation(operation))): State<(Arc<Service>, Operation)>,
    request: Request,
    next: Next,
) -> Response {
    let mut measured = Measured::begin(service.telemetry(), NAMES, &[("operation", operation)]);
    let response = next.run(request).await;
    if let Some(Operation(operation)) = response.extensions().get() {
        measured.is(&[("operation", operation)]);
    }
    measured.answered(response.status().as_u16());
    response
}
