//! TLS handshakes that failed. In: rustls's error. Out: what it means to a user, and whether the next
//! handshake can end otherwise. Never: a connection.

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};
use time::OffsetDateTime;

/// Whether the server will answer the next greeting in the same way: it is no matter of the moment.
pub(super) fn is_hopeless(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(_) | Error::InvalidMessage(_) | Error::PeerIncompatible(_) => {
            true
        }
        Error::AlertReceived(alert) => is_refusal(*alert),
        _ => false,
    }
}

/// What went wrong, and what to do about it.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(why) => distrust(why),
        // A plain server answers a TLS greeting in plain HTTP.
        Error::InvalidMessage(_) => {
            "the server does not speak TLS; did you mean http://?".to_owned()
        }
        Error::PeerIncompatible(why) => format!("no TLS in common: {why:?}; {VERSIONS}"),
        Error::AlertReceived(alert) if is_refusal(*alert) => {
            format!("no TLS in common: the server says {alert:?}; {VERSIONS}")
        }
        other => format!("TLS: {other}"),
    }
}

fn is_refusal(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::ProtocolVersion
            | Alert::HandshakeFailure
            | Alert::InsufficientSecurity
            | Alert::UnrecognisedName
            | Alert::AccessDenied
            | Alert::CertificateRequired
    )
}

fn distrust(why: &CertificateError) -> String {
    match why {
        CertificateError::ExpiredContext { time, not_after } => {
            let (end, now) = (date(*not_after), date(*time));
            format!(
                "the server's certificate ended on {end}, or this machine's clock ({now}) is wrong"
            )
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let (start, now) = (date(*not_before), date(*time));
            format!(
                "the server's certificate begins on {start}, or this machine's clock ({now}) is wrong"
            )
        }
        CertificateError::Expired | CertificateError::NotValidYet => {
            format!(
                "the server's certificate is not valid now ({why:?}), or this machine's clock is wrong"
            )
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let names = some_of(presented);
            let asked = expected.to_str();
            format!("the server's certificate is for {names}, and not for {asked}")
        }
        CertificateError::UnknownIssuer => {
            "certificate not trusted: UnknownIssuer; a private CA is named in `Options::roots`"
                .to_owned()
        }
        // What the system's own verifier says, in its words.
        CertificateError::Other(why) => {
            format!("certificate not trusted: {why}; a private CA is named in `Options::roots`")
        }
        other => format!("certificate not trusted: {other}"),
    }
}

/// The first names of a certificate, which can have hundreds. They come from the server: as debug text.
fn some_of(presented: &[String]) -> String {
    let shown: Vec<String> = presented
        .iter()
        .take(NAMES)
        .map(|name| shown(name))
        .collect();
    match presented.len() {
        0 => "no name at all".to_owned(),
        1..=NAMES => shown.join(", "),
        more => format!("{} and {} more", shown.join(", "), more - NAMES),
    }
}

/// rustls writes `DnsName("a.b")`.
fn shown(name: &str) -> String {
    let bare = name.strip_prefix("DnsName(\"");
    let bare = bare.and_then(|name| name.strip_suffix("\")"));
    bare.unwrap_or(name)
        .escape_debug()
        .take(LONGEST_NAME)
        .collect()
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let read = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    read.map_or_else(
        || format!("{} s after 1970", time.as_secs()),
        |at| {
            let (date, hour, minute) = (at.date(), at.hour(), at.minute());
            format!("{date} {hour:02}:{minute:02} UTC")
        },
    )
}

const VERSIONS: &str = "panup speaks TLS 1.2 and 1.3";

/// Names of a certificate that an error shows.
const NAMES: usize = 3;

/// Characters of one of them: those of a name in DNS.
const LONGEST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::ServerName;

    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn said(why: CertificateError) -> String {
        words(&Error::InvalidCertificate(why))
    }

    #[test]
    fn times_are_dates_and_the_clock_is_named() {
        let ended = said(CertificateError::ExpiredContext {
            time: at(1_767_225_600),
            not_after: at(1_704_067_200),
        });
        assert!(ended.contains("ended on 2024-01-01 00:00 UTC"), "{ended}");
        assert!(ended.contains("clock (2026-01-01 00:00 UTC)"), "{ended}");
        let early = said(CertificateError::NotValidYetContext {
            time: at(0),
            not_before: at(1_704_067_200),
        });
        assert!(early.contains("begins on 2024-01-01"), "{early}");
        assert!(early.contains("clock (1970-01-01 00:00 UTC)"), "{early}");
        for words in [ended, early] {
            assert!(!words.contains("`Options::roots`"), "{words}");
        }
    }

    #[test]
    fn the_name_that_was_asked_for_is_named() {
        let wrong = said(CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("api.test").expect("a name"),
            presented: ["a", "b\u{1b}", "c", "d"]
                .map(|name| format!("DnsName(\"{name}\")"))
                .to_vec(),
        });
        assert!(wrong.contains("not for api.test"), "{wrong}");
        assert!(wrong.contains("for a, b\\u{1b}, c and 1 more"), "{wrong}");
        assert!(!wrong.contains("`Options::roots`"), "{wrong}");
        let unknown = said(CertificateError::UnknownIssuer);
        assert!(unknown.contains("`Options::roots`"), "{unknown}");
    }

    #[test]
    fn what_the_next_handshake_meets_again() {
        for alert in [
            AlertDescription::ProtocolVersion,
            AlertDescription::HandshakeFailure,
        ] {
            let error = Error::AlertReceived(alert);
            assert!(is_hopeless(&error) && words(&error).contains("TLS 1.2 and 1.3"));
        }
        for error in [
            Error::AlertReceived(AlertDescription::InternalError),
            Error::General("x".to_owned()),
        ] {
            assert!(!is_hopeless(&error), "{error}");
        }
    }
}
