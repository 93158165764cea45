//! `list`. In come a folder and a cursor, or words to search for, out goes a page of at most 100
//! entries, what is in the trash included, and the cursor of the next.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Context;
use super::fields::Fields;
use crate::clock::local;
use crate::node::Listed;
use crate::reply::{CallResult, Done, Failure, Refusal};

/// The parameters of the query.
pub(super) const PARAMETERS: [&str; 5] = [
    "parentFileId",
    "limit",
    "lastFileId",
    "searchData",
    "searchMode",
];

pub(super) async fn serve(context: &mut Context, mut fields: Fields) -> CallResult {
    let folder = fields.id("parentFileId")?;
    let limit = fields.number("limit")?;
    let cursor = match fields.optional_number("lastFileId")? {
        None => None,
        Some(last) => Some(i64::try_from(last).map_err(|_| Refusal::business("no cursor"))?),
    };
    let words = fields.optional_string("searchData")?;
    let exact = match fields.optional_number("searchMode")? {
        None | Some(0) => false,
        Some(1) => true,
        Some(_) => return Err(Refusal::business("searchMode is 0 or 1").into()),
    };
    fields.finish()?;
    let limit = usize::try_from(limit).ok().filter(|n| PAGE.contains(n));
    let limit = limit.ok_or_else(|| Refusal::business("limit is 1 to 100"))?;
    let state = Arc::clone(&context.state);
    let after = cursor.unwrap_or(0);
    let look = move || match words.filter(|words| !words.is_empty()) {
        None => state.storage.page(folder, after, limit),
        // A search ignores the folder.
        Some(words) if exact => state.storage.search(|name| name == words, after, limit),
        Some(words) => state
            .storage
            .search(|name| name.contains(&words), after, limit),
    };
    let looked = tokio::task::spawn_blocking(look).await;
    let (page, more) = looked.map_err(std::io::Error::other)??;
    let next = match (cursor, page.last()) {
        (Some(cursor), _) if context.repeat_cursor => cursor,
        (_, Some(last)) if more => last.id,
        _ => LAST_PAGE,
    };
    let entries: Vec<Value> = page.iter().map(listed).collect();
    Ok(Done::with(json!({"lastFileId": next, "fileList": entries})))
}

/// `infos`: the entries of many ids. Those that are unknown are left out.
pub(super) async fn infos(context: &mut Context, mut fields: Fields) -> CallResult {
    let ids = fields.ids("fileIds")?;
    fields.finish()?;
    let entries = entries(context, ids).await?;
    let entries: Vec<Value> = entries.iter().map(listed).collect();
    Ok(Done::with(json!({"fileList": entries})))
}

/// `detail`: one entry, with fields of its own spelling.
pub(super) async fn detail(context: &mut Context, mut fields: Fields) -> CallResult {
    let id = fields.id("fileID")?;
    fields.finish()?;
    let entries = entries(context, vec![id]).await?;
    let Some(entry) = entries.first() else {
        return Err(Refusal::code(UNKNOWN_FILE, "文件不存在").into());
    };
    Ok(Done::with(json!({
        "fileID": entry.id,
        "filename": entry.name,
        "type": u8::from(entry.is_folder),
        "size": entry.size,
        "etag": entry.etag,
        "status": entry.status,
        "parentFileID": entry.parent,
        "createAt": local(entry.created),
        "trashed": u8::from(entry.trashed),
    })))
}

async fn entries(context: &Context, ids: Vec<i64>) -> Result<Vec<Listed>, Failure> {
    let state = Arc::clone(&context.state);
    let look = tokio::task::spawn_blocking(move || state.storage.entries(&ids));
    Ok(look.await.map_err(std::io::Error::other)??)
}

fn listed(entry: &Listed) -> Value {
    json!({
        "fileId": entry.id,
        "filename": entry.name,
        "type": u8::from(entry.is_folder),
        "size": entry.size,
        "etag": entry.etag,
        "status": entry.status,
        "parentFileId": entry.parent,
        "category": 0,
        "trashed": u8::from(entry.trashed),
        "createAt": local(entry.created),
        "updateAt": local(entry.updated),
    })
}

/// Entries that one page may have.
const PAGE: std::ops::RangeInclusive<usize> = 1..=100;

/// The cursor of the last page.
const LAST_PAGE: i64 = -1;

/// The documented code of an id that does not exist.
const UNKNOWN_FILE: i64 = 5066;
