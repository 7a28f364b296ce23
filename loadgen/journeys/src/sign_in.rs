//! A user signs in with its password.

use crate::call::Call;
use crate::context::Context;
use crate::user::{RestUser, Token};
use goose::goose::{GooseMethod, GooseUser};
use verify::history::event::Request;
use workload::rest::api::TOKEN;
use workload::rest::tokens::{Granted, password_form};

/// Gets a token; whether there is one.
pub async fn sign_in(user: &mut RestUser, goose: &mut GooseUser, context: &Context) -> bool {
    let form = password_form(user.id, &context.targets.password);
    let call = Call {
        request: Request::SignIn,
        method: GooseMethod::Post,
        path: TOKEN.to_owned(),
        bearer: None,
        body: Some(("application/x-www-form-urlencoded", form)),
    };
    let Some(granted) = call.ask::<Granted>(user, goose, context).await else { return false };
    let until = granted.until();
    user.token = Some(Token { secret: granted.access_token, until });
    true
}
