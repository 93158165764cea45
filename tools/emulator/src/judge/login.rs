//! `access_token`. In come a client id and its secret, out go a new token and when it runs out.

use std::time::SystemTime;

use serde_json::json;

use super::Errand;
use super::fields::Fields;
use crate::clock::rfc3339;
use crate::reply::{Done, Judged, Refusal};
use crate::state::lock;

pub(super) fn judge(errand: &mut Errand, mut fields: Fields) -> Judged {
    let id = fields.string("clientID")?;
    let secret = fields.string("clientSecret")?;
    fields.finish()?;
    let state = &errand.state;
    if id != state.config.client_id || secret != state.config.client_secret {
        return Err(Refusal::code(401, "clientID或clientSecret错误").into());
    }
    let login = lock(&state.tokens).login(&errand.limits, SystemTime::now());
    let (token, expires) =
        login.map_err(|_| Refusal::code(401, "tokens number has exceeded the limit"))?;
    state.ledger.login();
    Ok(Done::with(json!({
        "accessToken": token,
        "expiredAt": rfc3339(expires),
    })))
}
