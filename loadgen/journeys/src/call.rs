//! One request, made by goose and measured here: from its beginning until its whole answer is there.

use crate::context::Context;
use crate::user::RestUser;
use bytes::Bytes;
use goose::goose::{GooseMethod, GooseRequest, GooseUser};
use serde::de::DeserializeOwned;
use std::error::Error;
use std::io;
use tokio::time::Instant;
use verify::history::event::{Request, What};

/// Of a request that was never answered, or that was done and not told of in a document.
const NO_ANSWER: u16 = 0;
/// The token is not honoured (any more).
const UNAUTHORISED: u16 = 401;

/// Whose token a request carries.
pub enum Bearer {
    /// The user's own.
    User(String),
    /// The service's, which all users share.
    Service(String),
}

/// What to ask.
pub struct Call {
    pub request: Request,
    pub method: GooseMethod,
    /// Path and query.
    pub path: String,
    /// `Authorization`, if it needs any.
    pub bearer: Option<Bearer>,
    /// Its type and its content, if it has any.
    pub body: Option<(&'static str, String)>,
}

impl Call {
    /// Asks; the document of a good answer. Whatever comes instead is in the history, and the user goes to
    /// another gateway the next time.
    pub async fn ask<T: DeserializeOwned>(
        self,
        user: &mut RestUser,
        goose: &mut GooseUser,
        context: &Context,
    ) -> Option<T> {
        let request = self.request;
        let is_services = matches!(self.bearer, Some(Bearer::Service(_)));
        let began = Instant::now();
        let (mut status, answer) = match self.answer(user, goose, context).await {
            Ok(answer) => answer,
            Err(error) => {
                note_own_failure(&*error, context);
                (NO_ANSWER, Bytes::new())
            }
        };
        let took_us = began.elapsed().as_micros() as u64;
        let is_good = (200..300).contains(&status);
        let document = is_good.then(|| serde_json::from_slice(&answer));
        if let Some(Err(error)) = &document {
            tracing::warn!(%error, ?request, status, "an unknown document");
            status = NO_ANSWER;
        }
        context.record(What::Requested { user: user.id, request, status, took_us });
        if status == UNAUTHORISED && is_services {
            context.service_is_refused();
        } else if status == UNAUTHORISED {
            user.token = None;
        }
        let document = document.and_then(Result::ok);
        user.gateway += usize::from(document.is_none());
        document
    }

    async fn answer(
        self,
        user: &RestUser,
        goose: &mut GooseUser,
        context: &Context,
    ) -> Result<(u16, Bytes), Box<dyn Error + Send + Sync>> {
        let url = context.base_url(user.gateway) + &self.path;
        let mut builder = goose.get_request_builder(&self.method, &url)?;
        if let Some(bearer) = self.bearer {
            let (Bearer::User(token) | Bearer::Service(token)) = bearer;
            builder = builder.bearer_auth(token);
        }
        if let Some((content_type, body)) = self.body {
            builder = builder.header("content-type", content_type).body(body);
        }
        let request =
            GooseRequest::builder().name(self.request.words()).set_request_builder(builder).build();
        let response = goose.request(request).await?.response?;
        let status = response.status().as_u16();
        Ok((status, response.bytes().await?))
    }
}

/// Tells the limits what failed for a reason of this machine, which says nothing about the cluster.
fn note_own_failure(error: &(dyn Error + 'static), context: &Context) {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            context.limits.failed(error);
        }
        cause = error.source();
    }
}
