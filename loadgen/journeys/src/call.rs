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

/// Of a request that was never answered.
const NO_ANSWER: u16 = 0;
/// The token is not honoured (any more).
const UNAUTHORISED: u16 = 401;

/// What to ask.
pub struct Call {
    pub request: Request,
    pub method: GooseMethod,
    /// Path and query.
    pub path: String,
    /// `Authorization`, if it needs any.
    pub bearer: Option<String>,
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
        let began = Instant::now();
        let (status, answer) = match self.answer(user, goose, context).await {
            Ok(answer) => answer,
            Err(error) => {
                note_own_failure(&*error, context);
                (NO_ANSWER, Bytes::new())
            }
        };
        let took_us = began.elapsed().as_micros() as u64;
        context.record(What::Requested { user: user.id, request, status, took_us });
        if status == UNAUTHORISED {
            user.token = None;
        }
        if !(200..300).contains(&status) {
            user.gateway += 1;
            return None;
        }
        let document = serde_json::from_slice(&answer);
        document.inspect_err(|error| tracing::warn!(%error, ?request, "an unknown document")).ok()
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
            builder = builder.bearer_auth(bearer);
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
