//! The fields of a request, from JSON or from a form. In come names and values, out go typed
//! values, each once; what is left over at the end is refused.

use std::collections::HashMap;

use hyper::http::request::Parts;
use serde_json::Value;

use crate::reply::{Failure, Refusal};
use crate::request_body::RequestBody;
use crate::store::Sum;

/// Named values that were not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Fields(HashMap<String, Raw>);

#[derive(Debug)]
enum Raw {
    Json(Value),
    /// From a form, where everything is text.
    Text(String),
}

/// The fields of a JSON body. Their names count in any case.
pub(crate) async fn json(head: &Parts, body: &mut RequestBody) -> Result<Fields, Failure> {
    let content_type = super::content_type(&head.headers);
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let said = format!("Content-Type has to be application/json, not {content_type:?}");
        return Err(Refusal::business(said).into());
    }
    let bytes = body.small().await?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Refusal::business(format!("the body is not JSON: {error}")))?;
    let Value::Object(object) = value else {
        return Err(Refusal::business("the body is not a JSON object").into());
    };
    let mut fields = Fields::default();
    for (name, value) in object {
        fields.insert(name.to_lowercase(), Raw::Json(value))?;
    }
    Ok(fields)
}

/// The parameters of a query, of which only those of `known` names may be there, spelled so.
pub(crate) fn query(head: &Parts, known: &[&str]) -> Result<Fields, Refusal> {
    let mut fields = Fields::default();
    let query = head.uri.query().unwrap_or_default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !known.contains(&name) {
            return Err(Refusal::business(format!("there is no parameter {name}")));
        }
        fields.text(name.to_owned(), decoded(value)?)?;
    }
    Ok(fields)
}

/// A value of a query without its percent signs.
fn decoded(value: &str) -> Result<String, Refusal> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let pair = digit().zip(digit());
                let (high, low) = pair.ok_or_else(|| not_decoded(value))?;
                (high * 16 + low) as u8
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).map_err(|_| not_decoded(value))
}

fn not_decoded(value: &str) -> Refusal {
    Refusal::business(format!(
        "the parameter {value:?} is not percent-encoded UTF-8"
    ))
}

impl Fields {
    /// Adds a text field of a form.
    pub(crate) fn text(&mut self, name: String, value: String) -> Result<(), Refusal> {
        self.insert(name.to_lowercase(), Raw::Text(value))
    }

    fn insert(&mut self, name: String, value: Raw) -> Result<(), Refusal> {
        let again = Refusal::business(format!("the field {name} is there twice"));
        match self.0.insert(name, value) {
            None => Ok(()),
            Some(_) => Err(again),
        }
    }

    /// A text.
    pub(crate) fn string(&mut self, name: &str) -> Result<String, Refusal> {
        match self.take(name) {
            Some(Raw::Text(text) | Raw::Json(Value::String(text))) => Ok(text),
            other => Err(wrong(name, "a string", other)),
        }
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&mut self, name: &str) -> Result<u64, Refusal> {
        match self.take(name) {
            None => Err(wrong(name, "a number", None)),
            Some(raw) => number(&raw).ok_or_else(|| wrong(name, "a number", Some(raw))),
        }
    }

    pub(crate) fn optional_number(&mut self, name: &str) -> Result<Option<u64>, Refusal> {
        if !self.0.contains_key(&name.to_lowercase()) {
            return Ok(None);
        }
        self.number(name).map(Some)
    }

    /// The id of a file or folder.
    pub(crate) fn id(&mut self, name: &str) -> Result<i64, Refusal> {
        let number = self.number(name)?;
        i64::try_from(number).map_err(|_| Refusal::business(format!("{name} {number} is no id")))
    }

    /// At least one id, and at most 100.
    pub(crate) fn ids(&mut self, name: &str) -> Result<Vec<i64>, Refusal> {
        let wanted = "an array of 1 to 100 ids";
        let found = match self.take(name) {
            Some(Raw::Json(Value::Array(values))) => values,
            other => return Err(wrong(name, wanted, other)),
        };
        let ids: Option<Vec<i64>> = found.iter().map(Value::as_i64).collect();
        match ids {
            Some(ids) if (1..=100).contains(&ids.len()) => Ok(ids),
            _ => Err(wrong(name, wanted, Some(Raw::Json(Value::Array(found))))),
        }
    }

    /// A text, if it is there.
    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.0.contains_key(&name.to_lowercase()) {
            true => self.string(name).map(Some),
            false => Ok(None),
        }
    }

    /// A truth value; false if it is not there.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Refusal> {
        match self.take(name) {
            None => Ok(false),
            Some(Raw::Json(Value::Bool(flag))) => Ok(flag),
            Some(Raw::Text(text)) if text == "true" => Ok(true),
            Some(Raw::Text(text)) if text == "false" => Ok(false),
            other => Err(wrong(name, "true or false", other)),
        }
    }

    /// An MD5 in lower-case hex.
    pub(crate) fn md5(&mut self, name: &str) -> Result<Sum, Refusal> {
        let text = self.string(name)?;
        sum(&text).ok_or_else(|| wrong(name, "an MD5 in lower-case hex", Some(Raw::Text(text))))
    }

    /// A text or number that may still be asked for properly.
    pub(crate) fn peek_string(&self, name: &str) -> Option<&str> {
        match self.0.get(&name.to_lowercase())? {
            Raw::Text(text) => Some(text),
            Raw::Json(value) => value.as_str(),
        }
    }

    pub(crate) fn peek_number(&self, name: &str) -> Option<u64> {
        number(self.0.get(&name.to_lowercase())?)
    }

    /// Refuses what was not taken.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        match self.0.keys().min() {
            None => Ok(()),
            Some(name) => Err(Refusal::business(format!("there is no field {name}"))),
        }
    }

    fn take(&mut self, name: &str) -> Option<Raw> {
        self.0.remove(&name.to_lowercase())
    }
}

fn number(raw: &Raw) -> Option<u64> {
    match raw {
        Raw::Json(value) => value.as_u64(),
        Raw::Text(text) => {
            let plain = text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten()
        }
    }
}

fn sum(text: &str) -> Option<Sum> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let bytes: &[u8; 32] = text.as_bytes().try_into().ok()?;
    let mut sum = [0; 16];
    for (to, pair) in sum.iter_mut().zip(bytes.chunks_exact(2)) {
        *to = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(sum)
}

fn wrong(name: &str, wanted: &str, found: Option<Raw>) -> Refusal {
    let found = match found {
        None => "missing".to_owned(),
        Some(Raw::Json(value)) => value.to_string(),
        Some(Raw::Text(text)) => format!("{text:?}"),
    };
    Refusal::business(format!("{name} has to be {wanted}, and is {found}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json_field(value: Value) -> Fields {
        let mut fields = Fields::default();
        fields.insert("x".into(), Raw::Json(value)).expect("first");
        fields
    }

    fn text_field(value: &str) -> Fields {
        let mut fields = Fields::default();
        fields.text("X".into(), value.into()).expect("first");
        fields
    }

    #[test]
    fn json_is_typed() {
        assert_eq!(json_field(json!(7)).number("x"), Ok(7));
        assert!(json_field(json!("7")).number("x").is_err());
        assert!(json_field(json!(-7)).number("x").is_err());
        assert!(json_field(json!(7.0)).number("x").is_err());
        assert_eq!(json_field(json!(true)).flag("x"), Ok(true));
        assert!(json_field(json!("true")).flag("x").is_err());
        assert!(json_field(json!(7)).string("x").is_err());
        assert!(json_field(json!(null)).string("x").is_err());
    }

    #[test]
    fn form_fields_are_text() {
        assert_eq!(text_field("7").number("x"), Ok(7));
        for wrong in ["+7", "-7", "7 ", "", "0x7", "99999999999999999999"] {
            assert!(text_field(wrong).number("x").is_err(), "{wrong}");
        }
        assert_eq!(text_field("false").flag("x"), Ok(false));
        assert!(text_field("True").flag("x").is_err());
    }

    #[test]
    fn md5s_are_lower_case() {
        let sum = text_field("d41d8cd98f00b204e9800998ecf8427e").md5("x");
        assert_eq!(sum.expect("an MD5")[..3], [0xd4, 0x1d, 0x8c]);
        assert!(
            text_field("D41D8CD98F00B204E9800998ECF8427E")
                .md5("x")
                .is_err()
        );
        assert!(
            text_field("d41d8cd98f00b204e9800998ecf8427")
                .md5("x")
                .is_err()
        );
        assert!(
            text_field("g41d8cd98f00b204e9800998ecf8427e")
                .md5("x")
                .is_err()
        );
    }

    #[test]
    fn values_of_a_query_are_decoded() {
        assert_eq!(decoded("a%20b+%E4%BD%A0"), Ok("a b 你".to_owned()));
        for wrong in ["%", "%4", "%zz", "%ff"] {
            assert!(decoded(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_are_one_to_a_hundred_numbers() {
        assert_eq!(json_field(json!([7, 8])).ids("x"), Ok(vec![7, 8]));
        let many = json!((0..101).collect::<Vec<u8>>());
        for wrong in [json!([]), json!(["7"]), json!(7), many] {
            assert!(json_field(wrong).ids("x").is_err());
        }
    }

    #[test]
    fn nothing_may_be_left_over_or_come_twice() {
        let refused = text_field("7").finish().expect_err("x is left");
        assert_eq!(refused.message, "there is no field x");
        let mut fields = text_field("7");
        assert!(fields.text("x".into(), "8".into()).is_err());
        assert_eq!(Fields::default().flag("x"), Ok(false));
        assert_eq!(Fields::default().optional_number("x"), Ok(None));
    }
}
