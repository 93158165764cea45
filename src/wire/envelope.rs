//! Replies: the HTTP status first, then the JSON, then the code. Most failures of the service come
//! as HTTP 200 with a code in the body; gateways answer with empty or HTML bodies.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::error::{Delivery, Error, Kind, Operation, Result};

/// Code of a complete that is still verifying; not in the documents, common in the field.
const VERIFYING: i64 = 20103;

/// The queue for instant uploads: wait at least this long.
const QUEUE_WAIT: Duration = Duration::from_secs(1);

/// A longer `Retry-After` is no reason to wait for less than the queue asks.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Characters of a foreign answer that a message repeats.
const EXCERPT: usize = 80;

/// Characters of the service's own words that a message repeats.
const LONGEST_WORDS: usize = 300;

/// Characters of a trace id.
const LONGEST_TRACE: usize = 128;

/// A reply as it came: nothing parsed.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a> {
    /// The call that was answered.
    pub operation: Operation,
    /// Who was asked, for the message.
    pub host: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// The `Location` header.
    pub location: Option<&'a str>,
    /// The `Retry-After` header, read.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: &'a [u8],
}

/// Opens the envelope `{code, message, data, x-traceID}`: `data` on success, which is code 0 alone.
///
/// # Errors
/// Everything else, with its kind, code, message and trace id.
pub fn open(raw: Raw<'_>) -> Result<Fields> {
    let text = raw.body.strip_prefix(BYTE_ORDER_MARK);
    let parsed = serde_json::from_slice::<Value>(text.unwrap_or(raw.body)).ok();
    let envelope = parsed.and_then(|value| Fields::envelope(raw.operation, value));
    match (raw.status, envelope) {
        (200..=299, Some((0, fields))) => Ok(fields.data()),
        (200..=299, Some((code, fields))) => Err(classify(&raw, code, &fields)),
        (status, envelope) => Err(by_status(&raw, status, envelope.as_ref())),
    }
}

/// Whether a call was answered with "still verifying", which is an answer and no failure.
#[must_use]
pub fn is_verifying(error: &Error) -> bool {
    error.code() == Some(VERIFYING)
        && matches!(error.operation(), Operation::Complete | Operation::Single)
}

/// Whether the service took the file into its queue for instant uploads and gave no id: the file
/// may appear by itself.
#[must_use]
pub fn is_queued(error: &Error) -> bool {
    error.code() == Some(1)
        && error.kind() == Kind::Throttled
        && error.delivery() == Delivery::Unknown
}

/// Whether a call that makes a file was refused in words that speak of a name that is taken. The
/// documents do not give them, so other words may mean the same.
#[must_use]
pub fn is_name_taken(error: &Error) -> bool {
    let makes = matches!(error.operation(), Operation::Create | Operation::Single);
    let words = ["存在", "同名", "重名", "重复", "exist"];
    let said = words.iter().any(|words| error.message().contains(words));
    makes && error.kind() == Kind::Rejected && error.code().is_some() && said
}

/// What a code of the body means.
fn classify(raw: &Raw<'_>, code: i64, envelope: &Fields) -> Error {
    let text = envelope.text("message").unwrap_or_default();
    let queued = text.contains("秒传队列");
    let busy = ["削峰", "请慢一点"].iter().any(|mark| text.contains(mark));
    let asked = raw.retry_after.filter(|&wait| wait <= LONGEST_WAIT);
    let queue_wait = asked.max(Some(QUEUE_WAIT));
    let new = |kind| {
        Error::new(kind, raw.operation, said(&text))
            .with_code(code)
            .with_trace_id(envelope.trace_id())
    };
    match code {
        401 => new(Kind::Auth).advice(refused(raw.operation)),
        429 => new(Kind::Throttled).with_retry_after(raw.retry_after),
        _ if text.contains("频繁") => new(Kind::Throttled).with_retry_after(raw.retry_after),
        1 if queued => {
            let taken = new(Kind::Throttled).with_retry_after(queue_wait);
            taken.with_delivery(Delivery::Unknown)
        }
        1 if busy => new(Kind::Throttled).with_retry_after(queue_wait),
        VERIFYING if matches!(raw.operation, Operation::Complete | Operation::Single) => {
            new(Kind::Throttled).with_delivery(Delivery::Unknown)
        }
        500..=599 => new(Kind::Throttled).with_delivery(Delivery::Unknown),
        1 if raw.operation == Operation::Complete && text.contains("文件上传失败") => {
            new(Kind::Integrity)
        }
        _ => new(business(raw.operation, &text)),
    }
}

/// What a 401 is about.
fn refused(operation: Operation) -> &'static str {
    match operation {
        Operation::Login => "the credentials were refused",
        _ => "the access token was refused",
    }
}

/// A business error about a preuploadID means that the service no longer takes it; about a name
/// or a parent it is final.
fn business(operation: Operation, text: &str) -> Kind {
    match operation {
        Operation::Slice if text.to_ascii_lowercase().contains("md5") => Kind::Integrity,
        Operation::Slice | Operation::Complete => Kind::Expired,
        Operation::Login => Kind::Auth,
        _ => Kind::Rejected,
    }
}

/// What is no success, or no envelope: the body may be empty, HTML or an envelope all the same.
fn by_status(raw: &Raw<'_>, status: u16, envelope: Option<&(i64, Fields)>) -> Error {
    let text = envelope.and_then(|(_, fields)| fields.text("message"));
    let message = text.as_deref().map_or_else(
        || format!("HTTP status {status}{}", excerpt(raw.body)),
        said,
    );
    let new = |kind| {
        let error = Error::new(kind, raw.operation, message.clone())
            .with_status(status)
            .with_retry_after(raw.retry_after);
        match envelope {
            Some((_, fields)) => error.with_trace_id(fields.trace_id()),
            None => error,
        }
    };
    match (status, envelope) {
        (401, _) => new(Kind::Auth).advice(refused(raw.operation)),
        (429, _) => new(Kind::Throttled),
        (408, _) => new(Kind::Throttled).timed_out(),
        (500..=599, _) if is_deadline(raw) => new(Kind::Throttled)
            .timed_out()
            .with_delivery(Delivery::Unknown),
        (500..=599, _) => new(Kind::Throttled).with_delivery(Delivery::Unknown),
        (_, Some((0, _))) => new(Kind::Rejected).with_code(0),
        (_, Some((code, fields))) => classify(raw, *code, fields).with_status(status),
        (_, None) => foreign(raw),
    }
}

/// The gateway's 60 s: HTTP 500 with an empty body or `i/o timeout`, on calls that carry content.
fn is_deadline(raw: &Raw<'_>) -> bool {
    let carries = matches!(raw.operation, Operation::Slice | Operation::Single);
    let text = String::from_utf8_lossy(raw.body);
    carries && (text.trim().is_empty() || text.contains("i/o timeout"))
}

/// Without the envelope it is not the service that answers. A redirect and a 4xx say that the
/// request went no further; behind a page that claims success it may have been carried out.
fn foreign(raw: &Raw<'_>) -> Error {
    let (host, status) = (raw.host, raw.status);
    let success = (200..=299).contains(&status);
    let details = match raw.location.filter(|_| !success) {
        Some(to) => format!(", redirects to {}", printable(to, EXCERPT)),
        // Half an answer has a token in it.
        None if success && raw.operation == Operation::Login => String::new(),
        None => excerpt(raw.body),
    };
    let message = if success && !is_markup(raw.body) {
        format!("the reply of {host} is not the service's JSON (HTTP {status}{details})")
    } else {
        format!("a login page or firewall answers for {host} (HTTP {status}{details})")
    };
    let error = Error::new(Kind::Protocol, raw.operation, message)
        .with_status(status)
        .with_retry_after(raw.retry_after)
        .foreign();
    match status {
        200..=299 => error.with_delivery(Delivery::Unknown),
        // A limit on bodies that this server's gateway has; waiting does not raise it.
        413 => error.lasting(),
        _ => error,
    }
}

fn is_markup(body: &[u8]) -> bool {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    first.is_some_and(|&byte| byte == b'<') || body.starts_with(BYTE_ORDER_MARK)
}

pub(super) fn said(text: &str) -> String {
    if text.is_empty() {
        "the service gave no reason".to_owned()
    } else {
        format!("the service said: {}", printable(text, LONGEST_WORDS))
    }
}

/// The first words of a body that is not the service's, for the message.
fn excerpt(body: &[u8]) -> String {
    // A character has four bytes at most, and white space is not repeated.
    let text = String::from_utf8_lossy(&body[..body.len().min(8 * EXCERPT)]);
    match printable(&text, EXCERPT).as_str() {
        "" => ", empty body".to_owned(),
        words => format!(": {words}"),
    }
}

/// `most` characters of a foreign text, on one line and with nothing in it that a
/// terminal would act on.
fn printable(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut room = most;
    for word in text.split_whitespace() {
        let space = usize::from(!out.is_empty());
        if room <= space {
            break;
        }
        out.extend(std::iter::repeat_n(' ', space));
        room -= space;
        for c in word.chars() {
            let shown = match c {
                '"' | '\'' | '\\' => c.to_string(),
                c => c.escape_debug().to_string(),
            };
            let width = shown.chars().count();
            if width > room {
                return out;
            }
            room -= width;
            out.push_str(&shown);
        }
    }
    out
}

/// A JSON object read leniently, as the field demands: keys in any case, numbers as strings.
#[derive(Debug, Clone)]
pub struct Fields {
    operation: Operation,
    trace_id: String,
    value: Value,
}

impl Fields {
    /// The code, and everything that came with it; `None` where there is no code.
    fn envelope(operation: Operation, value: Value) -> Option<(i64, Fields)> {
        let fields = Fields {
            operation,
            trace_id: String::new(),
            value,
        };
        let code = fields.find("code").and_then(as_number)?;
        let trace_id = fields.text("x-traceID").unwrap_or_default();
        let trace_id = printable(&trace_id, LONGEST_TRACE);
        Some((code, Fields { trace_id, ..fields }))
    }

    pub(super) fn data(self) -> Fields {
        let value = self.find("data").cloned().unwrap_or(Value::Null);
        Fields { value, ..self }
    }

    /// The answer's trace id; empty where none was given.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// An object without an envelope; `None` where it is none.
    pub(super) fn flat(operation: Operation, body: &[u8]) -> Option<Fields> {
        let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let value = serde_json::from_slice::<Value>(text).ok()?;
        value.is_object().then(|| Fields {
            operation,
            trace_id: String::new(),
            value,
        })
    }

    fn find(&self, name: &str) -> Option<&Value> {
        let map: &Map<String, Value> = self.value.as_object()?;
        map.get(name).or_else(|| {
            map.iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        })
    }

    /// The field as a number, also where it came as a string.
    ///
    /// # Errors
    /// [`Kind::Protocol`] where it is missing or no whole number of 64 bits.
    pub fn number(&self, name: &str) -> Result<i64> {
        let found = self.find(name);
        found
            .and_then(as_number)
            .ok_or_else(|| self.missing(name, "a whole number"))
    }

    /// The field as an id; `None` where it is absent, null or 0, which is no id.
    ///
    /// # Errors
    /// [`Kind::Protocol`] where it is there and no number.
    pub fn id(&self, name: &str) -> Result<Option<i64>> {
        match self.find(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => Ok(Some(self.number(name)?).filter(|&id| id != 0)),
        }
    }

    /// The field as text; a number is given in digits.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        match self.find(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => {
                let digits = as_number(self.find(name)?).map(|number| number.to_string());
                Some(digits.unwrap_or_else(|| number.to_string()))
            }
            _ => None,
        }
    }

    /// The field as text that must be there and not empty.
    ///
    /// # Errors
    /// [`Kind::Protocol`] where it is not.
    pub fn required_text(&self, name: &str) -> Result<String> {
        self.text(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| self.missing(name, "a text"))
    }

    /// The field as a flag; missing is `false`, and `1`, `"true"` count.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        match self.find(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true") || text == "1",
            Some(value) => as_number(value) == Some(1),
            None => false,
        }
    }

    /// The same, of `most` bytes at most and without control characters: it is said again.
    ///
    /// # Errors
    /// [`Kind::Protocol`] where it is not such a text.
    pub fn bounded_text(&self, name: &str, most: usize) -> Result<String> {
        let text = self.required_text(name)?;
        let wanted = if text.len() > most {
            format!("a text of {most} bytes at most (it has {})", text.len())
        } else if text.chars().any(char::is_control) {
            "a text without control characters".to_owned()
        } else {
            return Ok(text);
        };
        Err(self.missing(name, &wanted))
    }

    /// The server names in the list `name`, or in the data itself where it is the list: the first
    /// [`MOST_NAMES`] of those that are no longer than a name can be.
    #[must_use]
    pub fn names(&self, name: Option<&str>) -> Vec<String> {
        let list = name
            .map_or(Some(&self.value), |name| self.find(name))
            .and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|name| name.len() <= LONGEST_NAME)
            .take(MOST_NAMES)
            .map(str::to_owned)
            .collect()
    }

    /// The objects of the list `name`; none where there is no list.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<Fields> {
        let list = self.find(name).and_then(Value::as_array);
        let fields = |value: &Value| Fields {
            operation: self.operation,
            trace_id: self.trace_id.clone(),
            value: value.clone(),
        };
        list.into_iter().flatten().map(fields).collect()
    }

    /// An error about field `name`. The call was answered, so it may have been carried out.
    #[must_use]
    pub fn missing(&self, name: &str, wanted: &str) -> Error {
        let message = format!("the reply has no {name} that is {wanted}");
        Error::new(Kind::Protocol, self.operation, message)
            .with_trace_id(self.trace_id())
            .with_delivery(Delivery::Unknown)
    }
}

/// Server names taken from one reply. One is published; a thousand are more than bodies in flight.
const MOST_NAMES: usize = 1_024;

/// Bytes of a server's name at most: a host of 253, a scheme, a port, and room for a path.
const LONGEST_NAME: usize = 512;

fn as_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            let whole = || whole(text.parse().ok()?);
            text.parse().ok().or_else(whole)
        }
        _ => None,
    }
}

/// What a gateway wrote in floating point that computes in nothing else. Beyond 53 bits it has lost
/// digits, and an id with other digits is another file's.
#[allow(
    clippy::cast_possible_truncation,
    reason = "it is whole and small enough"
)]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

/// 2^53: smaller whole numbers are exact in floating point.
const EXACT: f64 = 9_007_199_254_740_992.0;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_gateways_write_them() {
        let body = r#"{"code":0.0,"data":{"a":16777216.0,"b":1.6777216E7,"c":"16777216","d":" 16777216.0 ","e":1.5,
            "f":9007199254740993.0,"g":1e300,"h":"0x10","i":-0.0,"flag":1.0}}"#;
        let marked = format!("\u{feff}{body}");
        for body in [body, &marked] {
            let fields = raw(Operation::Create, 200, body).expect("an envelope");
            for name in ["a", "b", "c", "d"] {
                assert_eq!(fields.number(name), Ok(16_777_216), "{name}");
            }
            for name in ["e", "f", "g", "h"] {
                assert!(fields.number(name).is_err(), "{name}");
            }
            assert_eq!(fields.id("i"), Ok(None));
            assert_eq!(fields.text("b").as_deref(), Some("16777216"));
            assert!(fields.flag("flag"));
        }
        let refused = raw(Operation::Create, 200, r#"{"code":401.0,"message":"x"}"#);
        assert_eq!(refused.expect_err("no").kind(), Kind::Auth);
    }

    fn raw(operation: Operation, status: u16, body: &str) -> Result<Fields> {
        open(Raw {
            operation,
            host: "https://up.example",
            status,
            location: (status / 100 == 3).then_some("http://portal/?\u{1b}[31m"),
            retry_after: None,
            body: body.as_bytes(),
        })
    }

    #[test]
    fn every_row_of_the_code_table() {
        let rows = [
            (
                Operation::Slice,
                200,
                r#"{"code":1,"message":"请慢一点"}"#,
                Kind::Throttled,
                Delivery::NotDone,
            ),
            (
                Operation::Create,
                200,
                r#"{"code":1,"message":"任务队列削峰中"}"#,
                Kind::Throttled,
                Delivery::NotDone,
            ),
            (
                Operation::Create,
                200,
                r#"{"code":1,"message":"该任务已成功进入秒传队列,任务队列削峰中,未直接获取到文件ID,请慢一点"}"#,
                Kind::Throttled,
                Delivery::Unknown,
            ),
            (
                Operation::Complete,
                400,
                r#"{"code":"1","message":"该任务已成功进入秒传队列"}"#,
                Kind::Throttled,
                Delivery::Unknown,
            ),
            (
                Operation::Create,
                200,
                r#"{"code":1,"message":"文件名重复"}"#,
                Kind::Rejected,
                Delivery::NotDone,
            ),
            (
                Operation::Complete,
                200,
                r#"{"code":1,"message":"文件上传失败"}"#,
                Kind::Integrity,
                Delivery::NotDone,
            ),
            (
                Operation::Complete,
                200,
                r#"{"code":20103,"message":"文件正在校验中"}"#,
                Kind::Throttled,
                Delivery::Unknown,
            ),
            (
                Operation::Slice,
                200,
                r#"{"code":1,"message":"preuploadID 不存在"}"#,
                Kind::Expired,
                Delivery::NotDone,
            ),
            (
                Operation::Slice,
                200,
                r#"{"code":1,"message":"分片MD5不一致"}"#,
                Kind::Integrity,
                Delivery::NotDone,
            ),
            (
                Operation::Slice,
                200,
                r#"{"code":401,"message":"token"}"#,
                Kind::Auth,
                Delivery::NotDone,
            ),
            (
                Operation::Slice,
                200,
                r#"{"code":"429","message":"请求太频繁"}"#,
                Kind::Throttled,
                Delivery::NotDone,
            ),
            (
                Operation::Create,
                200,
                r#"{"code":2,"message":"操作频繁"}"#,
                Kind::Throttled,
                Delivery::NotDone,
            ),
            (Operation::Create, 401, "", Kind::Auth, Delivery::NotDone),
            (
                Operation::Create,
                429,
                "<html>",
                Kind::Throttled,
                Delivery::NotDone,
            ),
            (
                Operation::Create,
                502,
                "<html>bad gateway",
                Kind::Throttled,
                Delivery::Unknown,
            ),
            (
                Operation::Create,
                200,
                "<html>",
                Kind::Protocol,
                Delivery::Unknown,
            ),
            (
                Operation::Create,
                200,
                r#"{"message":"no code"}"#,
                Kind::Protocol,
                Delivery::Unknown,
            ),
            (
                Operation::Create,
                404,
                "",
                Kind::Protocol,
                Delivery::NotDone,
            ),
            (
                Operation::Create,
                404,
                r#"{"code":404,"message":"no Route matched"}"#,
                Kind::Rejected,
                Delivery::NotDone,
            ),
            (
                Operation::Single,
                200,
                r#"{"code":"ok"}"#,
                Kind::Protocol,
                Delivery::Unknown,
            ),
            (
                Operation::Create,
                400,
                r#"{"code":401,"message":"x"}"#,
                Kind::Auth,
                Delivery::NotDone,
            ),
        ];
        for (operation, status, body, kind, delivery) in rows {
            let error = raw(operation, status, body).expect_err(body);
            assert_eq!(
                (error.kind(), error.delivery()),
                (kind, delivery),
                "{operation:?} {status} {body}"
            );
        }
    }

    #[test]
    fn the_gateways_deadline_is_a_timeout_only_for_content() {
        assert!(
            raw(Operation::Slice, 500, "")
                .expect_err("500")
                .is_timeout()
        );
        assert!(
            raw(Operation::Single, 500, "i/o timeout")
                .expect_err("500")
                .is_timeout()
        );
        assert!(
            !raw(Operation::Create, 500, "")
                .expect_err("500")
                .is_timeout()
        );
        assert!(
            !raw(Operation::Slice, 502, "<html>")
                .expect_err("502")
                .is_timeout()
        );
    }

    #[test]
    fn trace_id_and_words_are_kept() {
        let error = raw(
            Operation::Create,
            200,
            r#"{"code":1,"message":"名称重复","x-traceID":"t9"}"#,
        )
        .expect_err("1");
        assert_eq!(error.trace_id(), Some("t9"));
        assert_eq!(
            error.to_string(),
            "create: the service said: 名称重复 (code 1, trace id t9)"
        );
    }

    /// Redirects, refusals and pages on every call: not the service's word, whoever wrote them.
    #[test]
    fn what_has_no_envelope_is_foreign_and_says_who_answers_for_whom() {
        let operations = [
            Operation::Create,
            Operation::Slice,
            Operation::Complete,
            Operation::Domain,
            Operation::Single,
            Operation::Login,
        ];
        for operation in operations {
            for status in [200, 204, 302, 307, 308, 400, 403, 404, 405, 407, 413, 451] {
                for body in ["", "<html>blocked", r#"{"message":"x"}"#, "[0]", "null"] {
                    let error = raw(operation, status, body).expect_err(body);
                    assert_eq!(
                        error.kind(),
                        Kind::Protocol,
                        "{operation:?} {status} {body}"
                    );
                    assert!(error.is_foreign() && error.is_lasting() == (status == 413));
                }
            }
            let own = raw(operation, 400, r#"{"code":1,"message":"x"}"#).expect_err("own");
            assert!(!own.is_foreign());
        }
        let said = |status, body: &str| {
            raw(Operation::Slice, status, body)
                .expect_err("x")
                .to_string()
        };
        assert_eq!(
            said(302, "<html>moved"),
            "slice: a login page or firewall answers for https://up.example \
             (HTTP 302, redirects to http://portal/?\\u{1b}[31m)"
        );
        let blocked = "<html>\r\n\t<b class=\"x\">blocked\u{1b}[2J\u{202e}</b>";
        assert_eq!(
            said(403, blocked),
            "slice: a login page or firewall answers for https://up.example \
             (HTTP 403: <html> <b class=\"x\">blocked\\u{1b}[2J\\u{202e}</b>)"
        );
        let long = "é".repeat(1 << 20);
        assert!(said(403, &long).len() < 100 + 2 * 80);
        assert!(said(200, "<!doctype html>").contains("a login page or firewall"));
        assert!(said(200, r#"{"co"#).contains("not the service's JSON (HTTP 200: {\"co)"));
    }

    #[test]
    fn the_services_own_words_are_bounded_too() {
        let words = "很".repeat(200_000);
        let body = format!(r#"{{"code":1,"message":"{words}","x-traceID":"{words}"}}"#);
        let said = raw(Operation::Create, 200, &body)
            .expect_err("1")
            .to_string();
        assert!(said.chars().count() < 500, "{}", said.len());
    }

    #[test]
    fn lenient_fields() {
        let fields = raw(
            Operation::Create,
            200,
            r#"{"code":"0","data":{"fileId":"12","Reuse":"true","n":null}}"#,
        )
        .expect("ok");
        assert_eq!(fields.number("fileID").expect("number"), 12);
        assert!(fields.flag("reuse"));
        assert_eq!(fields.id("n").expect("null"), None);
        assert!(fields.number("absent").is_err());
    }
}
