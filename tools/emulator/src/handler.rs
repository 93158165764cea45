//! The handler of every call, from its head to its answer. In comes a request, out goes a
//! response, or none where a fault wants it so; it finds the operation, applies faults, limits
//! and the network around the endpoint, and enters every call in the call log.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Version};

use crate::action::{Action, Cut, Page};
use crate::call_log::CallHead;
use crate::config::{Late, TooFast};
use crate::connection::Connection;
use crate::control;
use crate::endpoints::{Context, VERIFYING, serve};
use crate::fault_plan::{FaultPlan, altered};
use crate::network::Place;
use crate::operation::Operation;
use crate::queue::Queue;
use crate::reply::{Done, Failure, Refusal, Reply};
use crate::request_body::RequestBody;
use crate::response_body::ResponseBody;
use crate::routes;
use crate::state::{State, lock};
use crate::stats::{Framing, Http, Outcome};

/// Serves one request.
pub(crate) async fn answer(
    state: Arc<State>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, NoAnswer> {
    let (head, incoming) = request.into_parts();
    if connection.place == Place::Api && head.uri.path().starts_with(control::PREFIX) {
        let page = control::answer(&state, &head, incoming).await;
        return Ok(page.response(ResponseBody::whole));
    }
    let call = call(&head, &incoming, &connection);
    let plan = FaultPlan::pick(&state, call.operation, call.place);
    let record = state.call_log.begin(call);
    let mut body = RequestBody::new(incoming, record.reads.clone());
    let mut context = Context::new(Arc::clone(&state), state.limits(), record);
    context.repeat_cursor = plan.repeat_cursor;
    if let Some(Action::Queued { appears_after }) = plan.queued {
        context.queue = Some(Queue::new(appears_after));
    }

    let attempted = serve_with_faults(&mut context, &plan, &head, &mut body).await;
    let finished = match attempted {
        Ok(reply) => finish(&mut context, &plan, reply).await,
        Err(no_answer) => Err(no_answer),
    };
    if let Some(name) = plan.name() {
        context.record.call.outcome = Outcome::Faulted(name);
    }
    let reply = match finished {
        Ok(reply) => reply,
        Err(no_answer) => {
            if no_answer == NoAnswer::Cut {
                connection.cut();
            }
            return Err(no_answer);
        }
    };
    context.record.call.status = reply.status.as_u16();
    context.record.call.code = reply.code;
    let mut response = match plan.alter {
        Some(Action::Close(Cut::InAnswer)) => {
            let connection = Arc::clone(&connection);
            reply.response(|bytes| ResponseBody::truncated(bytes, connection))
        }
        _ => reply.response(ResponseBody::whole),
    };
    let calls = connection.calls.fetch_add(1, Ordering::Relaxed) + 1;
    let most = context.limits.calls_per_connection;
    if plan.last_call || most.is_some_and(|most| calls >= most) {
        end_connection(&connection, call.http, &mut response);
    }
    Ok(response)
}

/// Why a call gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Its client has gone.
    Lost,
    /// Its connection is to be closed.
    Cut,
    /// Its stream is to be reset.
    Reset,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer: {self:?}")
    }
}

impl std::error::Error for NoAnswer {}

fn call(head: &Parts, incoming: &Incoming, connection: &Connection) -> CallHead {
    let known = routes::find(head.uri.path());
    CallHead {
        operation: known.map_or(Operation::Unknown, |route| route.operation),
        place: connection.place,
        http: match head.version {
            Version::HTTP_2 => Http::Http2,
            _ => Http::Http1,
        },
        connection: connection.number,
        framing: match incoming.size_hint().exact() {
            None => Framing::Chunked,
            Some(0) => Framing::NoBody,
            Some(_) => Framing::ContentLength,
        },
    }
}

/// The answer before the network and the last faults, with all that it stands for done.
async fn serve_with_faults(
    context: &mut Context,
    plan: &FaultPlan,
    head: &Parts,
    body: &mut RequestBody,
) -> Result<Reply, NoAnswer> {
    let call = &context.record.call;
    if let Some(deadline) = context.limits.body_deadline
        && matches!(call.operation, Operation::Slice | Operation::Single)
    {
        body.expect_within(Duration::from_millis(deadline.millis));
    }
    if let Some((after, pause)) = plan.stall_reading {
        body.stall(after, pause);
    }
    if let Some(action) = &plan.instead {
        return replacement(context, action, body).await;
    }
    let refuse_chunked = context.limits.refuse_chunked || plan.refuse_chunked;
    if refuse_chunked && call.framing == Framing::Chunked {
        context.record.call.outcome = Outcome::Faulted("refuse_chunked".to_owned());
        return Ok(Reply::page(411, Page::Html, None));
    }
    let too_fast = {
        let mut rates = lock(&context.state.rates);
        rates.admit(call.operation, &context.limits, Instant::now())
    };
    let result = match too_fast {
        Some(TooFast::Code) => Err(Refusal::too_fast().into()),
        Some(TooFast::Http) => {
            context.record.call.outcome = Outcome::Faulted("rate".to_owned());
            read_rest(context, body).await?;
            return Ok(Reply::page(429, Page::Empty, Some("1".to_owned())));
        }
        None => match routes::check(call, head) {
            Ok(()) => serve(context, head, body).await,
            Err(refusal) => Err(refusal.into()),
        },
    };
    match result {
        Ok(done) => Ok(done_reply(context, done)),
        Err(Failure::Refused(refusal)) => match read_rest(context, body).await? {
            None => Ok(refused_reply(context, refusal)),
            Some(late) => Ok(late),
        },
        Err(Failure::Late) => Ok(late(context)),
        Err(Failure::Lost) => Err(NoAnswer::Lost),
    }
}

/// Does what a fault wants in place of everything else.
async fn replacement(
    context: &mut Context,
    action: &Action,
    body: &mut RequestBody,
) -> Result<Reply, NoAnswer> {
    let unread = matches!(
        action,
        Action::Close(Cut::BeforeBody)
            | Action::Http { unread: true, .. }
            | Action::Answer { unread: true, .. }
    );
    if let Action::Close(Cut::After(bytes)) = action {
        let _ = body.drain_to(*bytes).await;
    } else if !unread && let Some(late) = read_rest(context, body).await? {
        return Ok(late);
    }
    match action {
        Action::Http {
            status,
            page,
            retry_after,
            ..
        } => Ok(Reply::page(*status, *page, retry_after.clone())),
        Action::Answer {
            status,
            body,
            headers,
            ..
        } => Ok(Reply::answer(*status, body, headers)),
        Action::Code { code, message } => {
            let refusal = Refusal::code(*code, message.clone());
            Ok(Reply::refused(&refusal, &context.state.config.quirks))
        }
        Action::Reset => Err(NoAnswer::Reset),
        _ => Err(NoAnswer::Cut),
    }
}

/// Reads on to the end of the body, as the gateway does before it answers; its answer instead if
/// that takes too long.
async fn read_rest(
    context: &mut Context,
    body: &mut RequestBody,
) -> Result<Option<Reply>, NoAnswer> {
    match body.drain().await {
        Ok(()) => Ok(None),
        Err(Failure::Late) => Ok(Some(late(context))),
        Err(_) => Err(NoAnswer::Lost),
    }
}

fn late(context: &mut Context) -> Reply {
    context.record.call.outcome = Outcome::Faulted("body_deadline".to_owned());
    let answer = context.limits.body_deadline.map(|deadline| deadline.answer);
    let page = match answer.unwrap_or_default() {
        Late::IoTimeout => Page::IoTimeout,
        Late::Empty => Page::Empty,
    };
    Reply::page(500, page, None)
}

fn done_reply(context: &mut Context, done: Done) -> Reply {
    context.record.call.outcome = if done.reused {
        Outcome::Reused
    } else if done.data.get("completed") == Some(&false.into()) {
        Outcome::Pending
    } else {
        Outcome::Done
    };
    if context.record.call.operation == Operation::OAuth {
        return Reply::flat(&done.data);
    }
    Reply::done(done.data, &context.state.config.quirks)
}

fn refused_reply(context: &mut Context, mut refusal: Refusal) -> Reply {
    let quirks = &context.state.config.quirks;
    if refusal.code == 401 && quirks.http_401 {
        refusal.http = StatusCode::UNAUTHORIZED;
    }
    let reply = Reply::refused(&refusal, quirks);
    context.record.call.outcome = match (refusal.code, refusal.detail) {
        (VERIFYING, _) => Outcome::Pending,
        (429, _) => Outcome::Faulted("rate".to_owned()),
        (_, None) => Outcome::Refused(refusal.message),
        (_, Some(detail)) => Outcome::Refused(format!("{}: {detail}", refusal.message)),
    };
    reply
}

/// The answer under way: faults that let it wait or alter it, and the network's delay.
async fn finish(context: &mut Context, plan: &FaultPlan, reply: Reply) -> Result<Reply, NoAnswer> {
    let delay = context.state.network(context.record.call.place).delay();
    let wait = plan.stall_answer + delay;
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    match &plan.alter {
        None => Ok(reply),
        Some(Action::Close(Cut::AfterCommit)) => Err(NoAnswer::Cut),
        Some(action) => Ok(altered(action, reply, &context.state)),
    }
}

fn end_connection(connection: &Connection, http: Http, response: &mut Response<ResponseBody>) {
    match http {
        Http::Http1 => {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        Http::Http2 => connection.last_call(),
    }
}
