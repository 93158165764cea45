//! The endpoints, one file each. In come heads and bodies, out go data or a refusal with its
//! reason; every rule of the documents is checked here, and nothing is excused.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::http::request::Parts;

use crate::call_log::CallRecord;
use crate::config::Limits;
use crate::operation::Operation;
use crate::queue::Queue;
use crate::reply::{CallResult, Done, Failure, Refusal};
use crate::request_body::RequestBody;
use crate::state::{State, lock};
use crate::tree::FolderPath;

pub(crate) use complete::VERIFYING;

mod complete;
mod create;
mod fields;
mod file_request;
mod folder;
mod list;
mod login;
mod name;
mod oauth;
mod single;
mod slice;

/// One call on its way through its endpoint.
pub(crate) struct Context {
    pub(crate) state: Arc<State>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) record: CallRecord,
    /// Takes a file that passed all checks, instead of its being stored.
    pub(crate) queue: Option<Queue>,
    /// The answer to a cursor is the same cursor.
    pub(crate) repeat_cursor: bool,
    /// When it began, as [`State::moment`] counts.
    began: u64,
    /// The folders that it made.
    made: Vec<i64>,
}

impl Context {
    pub(crate) fn new(state: Arc<State>, limits: Arc<Limits>, record: CallRecord) -> Self {
        Self {
            began: state.moment(),
            state,
            limits,
            record,
            queue: None,
            repeat_cursor: false,
            made: Vec::new(),
        }
    }

    /// The folder `path` below `parent`. The folders that this makes count as being made until
    /// the call is answered.
    fn ensure_folder(&mut self, parent: i64, path: &[String]) -> Result<i64, Refusal> {
        let FolderPath {
            folder,
            made,
            raced,
        } = self.state.storage.ensure_folder(parent, path, self.began)?;
        self.made.extend(made);
        if raced {
            self.state.call_log.folder_race();
            if self.limits.refuse_folder_races {
                return Err(Refusal::business(format!(
                    "目录创建冲突: {} is just being made by another call",
                    path.join("/")
                )));
            }
        }
        Ok(folder)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if !self.made.is_empty() {
            let answered = self.state.moment();
            self.state.storage.settle(&self.made, answered);
        }
    }
}

/// Serves a call that came in at the right place.
pub(crate) async fn serve(
    context: &mut Context,
    head: &Parts,
    body: &mut RequestBody,
) -> CallResult {
    check_platform(&head.headers)?;
    let operation = context.record.call.operation;
    if !matches!(operation, Operation::AccessToken | Operation::OAuth) {
        check_token(context, &head.headers)?;
    }
    match operation {
        Operation::Create => create::serve(context, fields::json(head, body).await?).await,
        Operation::Complete => complete::serve(context, fields::json(head, body).await?).await,
        Operation::AccessToken => login::serve(context, fields::json(head, body).await?),
        Operation::OAuth => {
            no_body(body).await?;
            oauth::serve(context, fields::query(head, &oauth::PARAMETERS)?)
        }
        Operation::List => {
            no_body(body).await?;
            list::serve(context, fields::query(head, &list::PARAMETERS)?).await
        }
        Operation::Detail => {
            no_body(body).await?;
            list::detail(context, fields::query(head, &["fileID"])?).await
        }
        Operation::Infos => list::infos(context, fields::json(head, body).await?).await,
        Operation::Mkdir => folder::mkdir(context, fields::json(head, body).await?),
        Operation::Trash => folder::trash(context, fields::json(head, body).await?).await,
        Operation::Domain => {
            no_body(body).await?;
            Ok(Done::with(serde_json::json!(context.state.servers)))
        }
        Operation::Slice => slice::serve(context, content_type(&head.headers), body).await,
        Operation::Single => single::serve(context, content_type(&head.headers), body).await,
        Operation::Unknown => unreachable!("the handler answers these itself"),
    }
}

async fn no_body(body: &mut RequestBody) -> Result<(), Failure> {
    if body.frame().await?.is_some_and(|bytes| !bytes.is_empty()) {
        return Err(Refusal::business("this call takes no body").into());
    }
    Ok(())
}

fn check_platform(headers: &HeaderMap) -> Result<(), Refusal> {
    match text(headers, "platform") {
        Some("open_platform") => Ok(()),
        other => Err(Refusal::business(format!(
            "the header Platform has to be open_platform, not {other:?}"
        ))),
    }
}

fn check_token(context: &Context, headers: &HeaderMap) -> Result<(), Refusal> {
    let token =
        text(headers, AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    let now = std::time::SystemTime::now();
    let admitted = token.is_some_and(|token| {
        let mut tokens = lock(&context.state.tokens);
        tokens.admit(token, &context.limits, now).is_ok()
    });
    if admitted {
        return Ok(());
    }
    let why = match token {
        None => "the header Authorization is not \"Bearer TOKEN\"",
        Some(_) => "this token is unknown or has run out",
    };
    Err(Refusal::code(401, "access_token校验失败或已过期").because(why))
}

fn content_type(headers: &HeaderMap) -> &str {
    text(headers, CONTENT_TYPE.as_str()).unwrap_or_default()
}

/// The only value of a header. Two of them are as bad as none.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let only = values.next()?;
    if values.next().is_some() {
        return None;
    }
    only.to_str().ok()
}
