//! `access_token`. In come a client id and its secret, out go a new token and when it runs out.

use std::time::SystemTime;

use serde_json::json;

use super::Context;
use super::fields::Fields;
use crate::clock::rfc3339;
use crate::reply::{CallResult, Done, Refusal};
use crate::state::lock;

pub(super) fn serve(context: &mut Context, mut fields: Fields) -> CallResult {
    let id = fields.string("clientID")?;
    let secret = fields.string("clientSecret")?;
    fields.finish()?;
    let state = &context.state;
    if id != state.config.client_id || secret != state.config.client_secret {
        return Err(Refusal::code(401, "clientID或clientSecret错误").into());
    }
    let login = lock(&state.tokens).login(&context.limits, SystemTime::now());
    let (token, expires) =
        login.map_err(|_| Refusal::code(401, "tokens number has exceeded the limit"))?;
    state.call_log.login();
    Ok(Done::with(json!({
        "accessToken": token,
        "expiredAt": rfc3339(expires),
    })))
}
