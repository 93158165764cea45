//! `oauth2/access_token`. In comes a refresh token or a code, each of which works once, out go new
//! tokens in flat JSON; the access token before is over at once.

use std::time::SystemTime;

use serde_json::json;

use super::Context;
use super::fields::Fields;
use crate::reply::{CallResult, Done, Refusal};
use crate::state::lock;
use crate::tokens::Grant;

/// The parameters of the query.
pub(super) const PARAMETERS: [&str; 6] = [
    "client_id",
    "client_secret",
    "grant_type",
    "refresh_token",
    "code",
    "redirect_uri",
];

pub(super) fn serve(context: &mut Context, mut fields: Fields) -> CallResult {
    let id = fields.string("client_id")?;
    let secret = fields.string("client_secret")?;
    let grant = match fields.string("grant_type")?.as_str() {
        "refresh_token" => (Grant::RefreshToken, fields.string("refresh_token")?),
        "authorization_code" => {
            fields.string("redirect_uri")?;
            (Grant::AuthorizationCode, fields.string("code")?)
        }
        other => return Err(Refusal::business(format!("there is no grant_type {other}")).into()),
    };
    fields.finish()?;
    let config = &context.state.config;
    if id != config.client_id || secret != config.client_secret {
        return Err(Refusal::code(401, "client_id或client_secret错误").into());
    }
    let mut tokens = lock(&context.state.tokens);
    let granted = tokens.refresh(grant, &context.limits, SystemTime::now());
    let granted = granted.map_err(|_| {
        Refusal::business("refresh_token无效").because("it is unknown, used, or has run out")
    })?;
    Ok(Done::with(json!({
        "token_type": "Bearer",
        "access_token": granted.access,
        "refresh_token": granted.refresh,
        "expires_in": context.limits.oauth_seconds,
        "scope": "user:base,file:all:read,file:all:write",
    })))
}
