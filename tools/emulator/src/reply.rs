//! Answers, with the service's envelope and a trace id. In come the data of a call that was done,
//! or why it was not, and the quirks; out goes an HTTP response. Nothing is decided here.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::action::{Page, TOO_FAST};
use crate::config::Quirks;
use crate::tokens::random;

/// What an endpoint ends in.
pub(crate) type CallResult = Result<Done, Failure>;

/// A call that was done.
#[derive(Debug)]
pub(crate) struct Done {
    /// `data` of the envelope.
    pub(crate) data: Value,
    /// Whether this is the end of a file by reuse.
    pub(crate) reused: bool,
}

impl Done {
    pub(crate) fn with(data: Value) -> Self {
        Self {
            data,
            reused: false,
        }
    }
}

/// Why a call was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A rule refuses it.
    Refused(Refusal),
    /// The client went away in the middle of its body.
    Lost,
    /// The body did not arrive in the gateway's time.
    Late,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Refusal> for std::io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::other(refusal.message)
    }
}

impl From<Failure> for std::io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            other => Self::other(format!("{other:?}")),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Refused(Refusal {
            http: StatusCode::INTERNAL_SERVER_ERROR,
            code: 500,
            message: format!("the emulator cannot store: {error}"),
            detail: None,
        })
    }
}

/// An answer that says no.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) http: StatusCode,
    pub(crate) code: i64,
    pub(crate) message: String,
    /// For people and statistics; the service itself says no more than the message.
    pub(crate) detail: Option<String>,
}

impl Refusal {
    /// Body code `code` under HTTP 200, as the service says nearly everything.
    pub(crate) fn code(code: i64, message: impl Into<String>) -> Self {
        Self {
            http: StatusCode::OK,
            code,
            message: message.into(),
            detail: None,
        }
    }

    /// Body code 1: final for this file.
    pub(crate) fn business(message: impl Into<String>) -> Self {
        Self::code(1, message)
    }

    pub(crate) fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn http(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            http: status,
            code: i64::from(status.as_u16()),
            message: message.into(),
            detail: None,
        }
    }

    pub(crate) fn too_fast() -> Self {
        Self::code(429, TOO_FAST)
    }
}

/// An answer before it becomes a response.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// `code` of the envelope, where there is one.
    pub(crate) code: Option<i64>,
    pub(crate) body: Vec<u8>,
    kind: Option<&'static str>,
    retry_after: Option<String>,
    headers: BTreeMap<String, String>,
    trace: String,
}

impl Reply {
    pub(crate) fn done(data: Value, quirks: &Quirks) -> Self {
        let refusal = Refusal::code(0, "ok");
        Self::envelope(&refusal, quirks.apply(data), quirks)
    }

    /// The data as they are, without an envelope: OAuth's answers.
    pub(crate) fn flat(data: &Value) -> Self {
        Self {
            body: data.to_string().into_bytes(),
            kind: Some("application/json; charset=utf-8"),
            ..Self::page(200, Page::Empty, None)
        }
    }

    pub(crate) fn refused(refusal: &Refusal, quirks: &Quirks) -> Self {
        Self::envelope(refusal, Value::Null, quirks)
    }

    fn envelope(said: &Refusal, data: Value, quirks: &Quirks) -> Self {
        let trace = trace_id();
        let mut envelope = Map::new();
        envelope.insert("code".to_owned(), json!(said.code));
        envelope.insert("message".to_owned(), json!(said.message));
        if !(data.is_null() && quirks.no_data) {
            envelope.insert("data".to_owned(), data);
        }
        if quirks.extra_fields {
            envelope.insert("requestCost".to_owned(), json!(3.5));
        }
        envelope.insert("x-traceID".to_owned(), json!(trace));
        Self {
            status: said.http,
            code: Some(said.code),
            body: Value::Object(envelope).to_string().into_bytes(),
            kind: Some("application/json; charset=utf-8"),
            retry_after: None,
            headers: BTreeMap::new(),
            trace,
        }
    }

    /// An answer that is not the service's own.
    pub(crate) fn page(status: u16, page: Page, retry_after: Option<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (kind, body) = match page {
            Page::Empty => (None, String::new()),
            Page::Html => (Some("text/html"), html(status)),
            Page::Json => {
                let text = json!({"message": "An unexpected error occurred", "request_id": "1"});
                (Some("application/json"), text.to_string())
            }
            Page::IoTimeout => (Some("text/plain"), "i/o timeout".to_owned()),
        };
        Self {
            status,
            code: None,
            body: body.into_bytes(),
            kind,
            retry_after,
            headers: BTreeMap::new(),
            trace: trace_id(),
        }
    }

    /// Another server's answer, with headers of its own.
    pub(crate) fn answer(status: u16, body: &str, headers: &BTreeMap<String, String>) -> Self {
        Self {
            body: body.as_bytes().to_vec(),
            kind: (!body.is_empty()).then_some("text/html"),
            headers: headers.clone(),
            ..Self::page(status, Page::Empty, None)
        }
    }

    /// The same answer with other bytes and no code that a client could read.
    pub(crate) fn altered(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self.code = None;
        self
    }

    /// An answer of the control page.
    pub(crate) fn control(status: u16, body: Vec<u8>) -> Self {
        let kind = Some(if status == 200 {
            "application/json"
        } else {
            "text/plain"
        });
        Self {
            body,
            kind,
            ..Self::page(status, Page::Empty, None)
        }
    }

    pub(crate) fn response<B>(self, body: impl FnOnce(Bytes) -> B) -> Response<B> {
        let mut response = Response::new(body(Bytes::from(self.body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(kind) = self.kind {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if let Some(Ok(after)) = self.retry_after.map(TryInto::try_into) {
            headers.insert(RETRY_AFTER, after);
        }
        for (name, value) in self.headers {
            let (name, value) = (HeaderName::try_from(name), HeaderValue::try_from(value));
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.insert(name, value);
            }
        }
        if let Ok(trace) = self.trace.try_into() {
            headers.insert("x-traceid", trace);
        }
        response
    }
}

impl Quirks {
    /// `data` as this service spells it.
    fn apply(&self, data: Value) -> Value {
        match data {
            Value::Object(fields) => {
                let mut applied: Map<String, Value> = fields
                    .into_iter()
                    .map(|(name, value)| (self.field_name(name), self.apply(value)))
                    .collect();
                if self.extra_fields {
                    applied.insert("storageNode".to_owned(), json!({"id": "m16", "w": [1, 2]}));
                }
                Value::Object(applied)
            }
            Value::Array(values) => values.into_iter().map(|value| self.apply(value)).collect(),
            Value::Number(number) if self.numbers_as_strings => Value::String(number.to_string()),
            other => other,
        }
    }

    fn field_name(&self, name: String) -> String {
        match name.as_str() {
            "fileID" if self.file_id_spelling => "fileId".to_owned(),
            "fileId" if self.file_id_spelling => "fileID".to_owned(),
            "parentFileID" if self.file_id_spelling => "parentFileId".to_owned(),
            "parentFileId" if self.file_id_spelling => "parentFileID".to_owned(),
            _ => name,
        }
    }
}

fn html(status: StatusCode) -> String {
    let title = format!(
        "{} {}",
        status.as_u16(),
        status.canonical_reason().unwrap_or("Error")
    );
    format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>openresty</center>\r\n</body>\r\n</html>\r\n"
    )
}

/// Different for any two calls.
fn trace_id() -> String {
    format!("{}-{}_emulator", random(0), random(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(reply: &Reply) -> Value {
        serde_json::from_slice(&reply.body).expect("JSON")
    }

    #[test]
    fn the_envelope_is_the_documents() {
        let reply = Reply::done(json!({"fileID": 7}), &Quirks::default());
        let envelope = text(&reply);
        let keys: Vec<&String> = envelope.as_object().expect("object").keys().collect();
        assert_eq!(keys.len(), 4);
        assert_eq!(envelope["code"], 0);
        assert_eq!(envelope["message"], "ok");
        assert_eq!(envelope["data"], json!({"fileID": 7}));
        assert_eq!(envelope["x-traceID"], json!(reply.trace));
    }

    #[test]
    fn every_quirk_shows() {
        let quirks = Quirks {
            file_id_spelling: true,
            numbers_as_strings: true,
            extra_fields: true,
            no_data: true,
            ..Quirks::default()
        };
        let envelope = text(&Reply::done(json!({"fileID": 7, "reuse": true}), &quirks));
        assert_eq!(envelope["data"]["fileId"], "7");
        assert_eq!(envelope["data"]["reuse"], true);
        assert_eq!(envelope["data"]["storageNode"]["id"], "m16");
        assert_eq!(envelope["requestCost"], 3.5);
        let envelope = text(&Reply::done(Value::Null, &quirks));
        assert!(envelope.get("data").is_none());
    }
}
