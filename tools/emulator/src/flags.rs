//! The parsers of the flags' values. In come texts as they are typed, out go the types that tests
//! use.

use serde::Deserialize;
use serde::de::value::{Error as ValueError, StrDeserializer};

use crate::action::{Action, Cut, Page};
use crate::config::{Pending, Rate, TooFast};
use crate::fault::{Fault, When};
use crate::network::{NetworkConditions, Place, Service};
use crate::operation::Operation;

/// Differences in spelling that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Quirk {
    NoScheme,
    TrailingSlash,
    FileId,
    NumbersAsStrings,
    ExtraFields,
    NoData,
    ReuseWithoutId,
    NoReuse,
    NoDirId,
    #[value(name = "http-401")]
    Http401,
}

/// Network conditions for one place, or for all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Conditions {
    pub(crate) place: Option<Place>,
    pub(crate) conditions: NetworkConditions,
}

/// `16M`, `5000011`, `12.5M`; K, M and G are powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim_end_matches("iB").trim_end_matches('B');
    let (digits, factor) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1024.0),
        Some((at, 'm' | 'M')) => (&text[..at], 1024.0 * 1024.0),
        Some((at, 'g' | 'G')) => (&text[..at], 1024.0 * 1024.0 * 1024.0),
        _ => (text, 1.0),
    };
    let number: f64 = digits.parse().map_err(|_| format!("no size: {text}"))?;
    if !(number.is_finite() && number >= 0.0) {
        return Err(format!("no size: {text}"));
    }
    Ok((number * factor) as u64)
}

/// `20103`, `not-completed` or `in-turn`.
pub(crate) fn pending(text: &str) -> Result<Pending, String> {
    match text {
        "20103" | "verifying" => Ok(Pending::Verifying),
        "not-completed" => Ok(Pending::NotCompleted),
        "in-turn" => Ok(Pending::InTurn),
        _ => Err("20103, not-completed or in-turn".to_owned()),
    }
}

/// `create=5` or `create=5/http`.
pub(crate) fn rate(text: &str) -> Result<(Operation, Rate), String> {
    let (name, rest) = text.split_once('=').ok_or("OPERATION=CALLS_PER_SECOND")?;
    let (number, answer) = match rest.split_once('/') {
        None => (rest, TooFast::Code),
        Some((number, "code")) => (number, TooFast::Code),
        Some((number, "http")) => (number, TooFast::Http),
        Some(_) => return Err("after the slash: code or http".to_owned()),
    };
    let per_second = number.parse().map_err(|_| format!("no number: {number}"))?;
    let rate = Rate {
        per_second,
        burst: 1.0,
        answer,
    };
    Ok((operation(name)?, rate))
}

/// `[PLACE:]bandwidth=12.5M,latency=20`.
pub(crate) fn conditions(text: &str) -> Result<Conditions, String> {
    let (place, settings) = match text.split_once(':') {
        None => (None, text),
        Some(("api", rest)) => (Some(Place::Api), rest),
        Some((server, rest)) => {
            let server = server.parse().map_err(|_| "PLACE is api or a number")?;
            (Some(Place::Server(server)), rest)
        }
    };
    let mut conditions = NetworkConditions::default();
    for setting in settings.split(',') {
        let (name, value) = setting.split_once('=').ok_or("NAME=VALUE, by comma")?;
        let millis = || {
            value
                .parse()
                .map_err(|_| format!("no milliseconds: {value}"))
        };
        match name {
            "bandwidth" => conditions.bandwidth = Some(size(value)?),
            "latency" => conditions.latency_ms = millis()?,
            "jitter" => conditions.jitter_ms = millis()?,
            "service" => {
                conditions.service = match value {
                    "up" => Service::Up,
                    "dead" => Service::Dead,
                    "black-hole" => Service::BlackHole,
                    _ => return Err("service is up, dead or black-hole".to_owned()),
                }
            }
            _ => return Err(format!("there is no network condition {name}")),
        }
    }
    Ok(Conditions { place, conditions })
}

/// `slice@1:3=close-after:4096` and the like; whole JSON objects are taken too.
///
/// Ordinals: `3` the third, `-3` the first three, `3-` from the third on, `%3` every third.
pub(crate) fn fault(text: &str) -> Result<Fault, String> {
    if text.starts_with('{') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    let (target, what) = text.split_once('=').ok_or(FAULT)?;
    let (target, when) = match target.split_once(':') {
        None => (target, When::Always),
        Some((target, ordinal)) => (target, ordinal_of(ordinal)?),
    };
    let (name, server) = match target.split_once('@') {
        None => (target, None),
        Some((name, server)) => {
            let server = server.parse().map_err(|_| "after @: a server's number")?;
            (name, Some(server))
        }
    };
    Ok(Fault {
        operation: match name {
            "any" => None,
            name => Some(operation(name)?),
        },
        server,
        when,
        action: action(what)?,
    })
}

fn ordinal_of(text: &str) -> Result<When, String> {
    let number = |text: &str| text.parse().map_err(|_| format!("no ordinal: {text}"));
    if let Some(every) = text.strip_prefix('%') {
        return number(every).map(When::Every);
    }
    if let Some(first) = text.strip_prefix('-') {
        return number(first).map(When::First);
    }
    match text.strip_suffix('-') {
        Some(from) => number(from).map(When::From),
        None => number(text).map(When::Nth),
    }
}

fn action(text: &str) -> Result<Action, String> {
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    let number = || {
        value
            .parse()
            .map_err(|_| format!("{name} needs a number, not {value:?}"))
    };
    Ok(match name {
        "http" => return http(value),
        "code" => {
            let (code, message) = value.split_once(':').unwrap_or((value, "emulated"));
            let code = code.parse().map_err(|_| format!("no code: {code}"))?;
            let message = message.to_owned();
            Action::Code { code, message }
        }
        "answer" => {
            let (status, body) = value.split_once(':').unwrap_or((value, ""));
            let status = status.parse().map_err(|_| format!("no status: {status}"))?;
            Action::answer(status, body)
        }
        "redirect" => {
            let (status, to) = value.split_once(':').ok_or("redirect:STATUS:LOCATION")?;
            let status = status.parse().map_err(|_| format!("no status: {status}"))?;
            Action::redirect(status, to)
        }
        "queue-full" => Action::queue_full(),
        "queued" => queued(value)?,
        "too-fast" => Action::too_fast(),
        "close-before-body" => Action::Close(Cut::BeforeBody),
        "close-after" => Action::Close(Cut::After(number()?)),
        "close-after-body" => Action::Close(Cut::AfterBody),
        "close-after-commit" => Action::Close(Cut::AfterCommit),
        "close-in-answer" => Action::Close(Cut::InAnswer),
        "reset" => Action::Reset,
        "stall-reading" => Action::StallReading {
            after: 0,
            millis: number()?,
        },
        "stall-answer" => Action::StallAnswer { millis: number()? },
        "truncated-json" => Action::TruncatedJson,
        "wrong-json" => Action::WrongJson,
        "no-file-id" => Action::NoFileId,
        "not-completed" => Action::NotCompleted,
        "last-call" => Action::LastCall,
        "repeat-cursor" => Action::RepeatCursor,
        "refuse-chunked" => Action::RefuseChunked,
        "expire-tokens" => Action::ExpireTokens,
        "forget-uploads" => Action::ForgetUploads,
        "kill" => Action::Kill {
            server: usize::try_from(number()?).map_err(|error| error.to_string())?,
        },
        "revive" => Action::Revive {
            server: usize::try_from(number()?).map_err(|error| error.to_string())?,
        },
        _ => return Err(format!("there is no action {name}; there are {ACTIONS}")),
    })
}

/// `never`, or after how many seconds a file that was taken into the queue appears by itself.
pub(crate) fn queued(value: &str) -> Result<Action, String> {
    let appears_after = match value {
        "" | "never" => None,
        seconds => {
            let seconds: f64 = seconds.parse().map_err(|_| "never, or SECONDS")?;
            if !(seconds.is_finite() && seconds >= 0.0) {
                return Err("never, or SECONDS".to_owned());
            }
            Some((seconds * 1000.0) as u64)
        }
    };
    Ok(Action::Queued { appears_after })
}

/// `503`, `503:html`, `429:empty:5` (with `Retry-After`).
fn http(value: &str) -> Result<Action, String> {
    let mut parts = value.splitn(3, ':');
    let status = parts.next().unwrap_or_default();
    let status = status.parse().map_err(|_| format!("no status: {status}"))?;
    let page = match parts.next() {
        None | Some("empty") => Page::Empty,
        Some("html") => Page::Html,
        Some("json") => Page::Json,
        Some("io-timeout") => Page::IoTimeout,
        Some(other) => return Err(format!("there is no page {other}")),
    };
    Ok(Action::Http {
        status,
        page,
        retry_after: parts.next().map(str::to_owned),
        unread: false,
    })
}

fn operation(name: &str) -> Result<Operation, String> {
    let spelled = name.replace('-', "_");
    let text: StrDeserializer<'_, ValueError> =
        serde::de::IntoDeserializer::into_deserializer(&*spelled);
    Operation::deserialize(text).map_err(|_| format!("there is no operation {name}"))
}

const FAULT: &str = "OPERATION[@SERVER][:ORDINAL]=ACTION";

/// What an action may be called, with what follows the name.
const ACTIONS: &str = "http:STATUS, code:CODE[:MESSAGE], answer:STATUS[:BODY], redirect:STATUS:LOCATION, queue-full, \
    queued:SECONDS|never, too-fast, close-before-body, close-after:BYTES, close-after-body, close-after-commit, \
    close-in-answer, reset, stall-reading:MILLIS, stall-answer:MILLIS, truncated-json, wrong-json, no-file-id, \
    not-completed, last-call, repeat-cursor, refuse-chunked, expire-tokens, forget-uploads, kill:SERVER, revive:SERVER";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_as_people_type_them() {
        let third = Fault::on(Operation::Slice, Action::Close(Cut::After(4096)));
        assert_eq!(fault("slice@1:3=close-after:4096"), Ok(third.at(1).nth(3)));
        let all = Fault::on(Operation::AccessToken, Action::page(503, Page::Html));
        assert_eq!(fault("access-token=http:503:html"), Ok(all));
        let every = Fault::on(Operation::Create, Action::too_fast()).every(10);
        assert_eq!(fault("create:%10=too-fast"), Ok(every));
        let first = Fault::on(Operation::Single, Action::Kill { server: 2 }).first(2);
        assert_eq!(fault("single:-2=kill:2"), Ok(first));
        let from = Fault::on(Operation::Domain, Action::StallAnswer { millis: 5 }).from(2);
        assert_eq!(fault("domain:2-=stall-answer:5"), Ok(from));
        assert_eq!(
            fault(r#"{"action":"reset"}"#).map(|f| f.operation),
            Ok(None)
        );
        let queued = |appears_after| Action::Queued { appears_after };
        let single = |action| Ok(Fault::on(Operation::Single, action));
        assert_eq!(fault("single=queued:1.5"), single(queued(Some(1500))));
        assert_eq!(fault("single=queued"), single(queued(None)));
        let portal = Action::redirect(302, "http://portal:80/");
        assert_eq!(
            fault("single=redirect:302:http://portal:80/"),
            single(portal)
        );
        let json = r#"{"operation":"single","action":{"answer":{"status":403,"body":"<b>"}}}"#;
        assert_eq!(fault(json), single(Action::answer(403, "<b>")));
        assert_eq!(fault("any=reset").map(|f| f.operation), Ok(None));
        for wrong in [
            "slice",
            "slice=",
            "slize=reset",
            "slice:x=reset",
            "slice=http:x",
        ] {
            assert!(fault(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn network_conditions_as_people_type_them() {
        let given = conditions("1:bandwidth=12.5M,latency=20,service=black-hole");
        let wanted = NetworkConditions {
            bandwidth: Some(13_107_200),
            latency_ms: 20,
            jitter_ms: 0,
            service: Service::BlackHole,
        };
        let place = Some(Place::Server(1));
        let wanted = Conditions {
            place,
            conditions: wanted,
        };
        assert_eq!(given, Ok(wanted));
        assert_eq!(conditions("latency=5").map(|f| f.place), Ok(None));
        assert!(conditions("api:rain=1").is_err());
    }

    #[test]
    fn sizes_and_rates() {
        assert_eq!(size("16M"), Ok(16 << 20));
        assert_eq!(size("5000011"), Ok(5_000_011));
        assert_eq!(size("1.5KiB"), Ok(1536));
        assert!(size("x").is_err() && size("-1").is_err());
        let (operation, rate) = rate("complete=20/http").expect("a rate");
        assert_eq!(
            (operation, rate.answer),
            (Operation::Complete, TooFast::Http)
        );
        assert_eq!(rate.per_second, 20.0);
    }
}
