//! `mkdir` and `trash`: the two calls that change the tree without a file's bytes. In come a name
//! or ids, out goes the new folder's id or nothing.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Context;
use super::fields::Fields;
use super::name;
use crate::reply::{CallResult, Done};

/// Makes one folder.
pub(super) fn mkdir(context: &mut Context, mut fields: Fields) -> CallResult {
    let parent = fields.id("parentID")?;
    let text = fields.string("name")?;
    fields.finish()?;
    let (_, name) = name::split(&text, false)?;
    let id = context.state.storage.mkdir(parent, &name)?;
    if context.state.config.quirks.no_dir_id {
        return Ok(Done::with(json!({})));
    }
    Ok(Done::with(json!({"dirID": id})))
}

/// Puts files and folders to the trash: all of them, or none where one is not there.
pub(super) async fn trash(context: &mut Context, mut fields: Fields) -> CallResult {
    let ids = fields.ids("fileIDs")?;
    fields.finish()?;
    let state = Arc::clone(&context.state);
    let work = tokio::task::spawn_blocking(move || state.storage.trash(&ids));
    work.await.map_err(std::io::Error::other)??;
    Ok(Done::with(Value::Null))
}
