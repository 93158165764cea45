//! OAuth: a refresh token works once, and the access token before is over at once.

use panup_emulator::{Config, Emulator, Limits, Operation, REFRESH_TOKEN};
use serde_json::Value;

use crate::client::*;

fn ask(emulator: &Emulator, query: &str) -> Answer {
    let path = format!("/api/v1/oauth2/access_token?{query}");
    let ask = Ask::to("POST", &path).header("Authorization", "");
    ask.send(&emulator.api())
}

fn refresh(emulator: &Emulator, token: &str) -> Answer {
    let client = "client_id=emulator-client&client_secret=emulator-secret";
    let query = format!("{client}&grant_type=refresh_token&refresh_token={token}");
    ask(emulator, &query)
}

fn text(answer: &Answer, name: &str) -> String {
    answer.json()[name].as_str().expect("a text").to_owned()
}

fn code_under(emulator: &Emulator, token: &str) -> i64 {
    let ask = Ask::to("GET", DOMAIN).header("Authorization", &format!("Bearer {token}"));
    ask.send(&emulator.api()).code()
}

#[test]
fn a_refresh_token_works_once() {
    let emulator = Emulator::start(Config::default()).unwrap();
    let first = refresh(&emulator, REFRESH_TOKEN);
    assert_eq!(first.json()["code"], Value::Null, "no envelope");
    assert_eq!(first.json()["token_type"], "Bearer");
    assert_eq!(first.json()["expires_in"], 7200);
    let access = text(&first, "access_token");
    assert_eq!(code_under(&emulator, &access), 0);
    refresh(&emulator, REFRESH_TOKEN).refused("refresh_token");
    assert_eq!(code_under(&emulator, &access), 0, "a refusal ends nothing");
    let second = refresh(&emulator, &text(&first, "refresh_token"));
    assert_eq!(code_under(&emulator, &access), 401);
    assert_eq!(code_under(&emulator, &text(&second, "access_token")), 0);
    assert_eq!(code_under(&emulator, emulator.token()), 0);
    let tally = emulator.stats().of(Operation::OAuth);
    assert_eq!((tally.calls, tally.done, tally.refused), (3, 2, 1));
    emulator.allow_refresh_token("another");
    assert_eq!(refresh(&emulator, "another").status, 200);
}

#[test]
fn tokens_of_oauth_run_out() {
    let emulator = Emulator::start(Config::default()).unwrap();
    emulator.set_limits(Limits {
        oauth_seconds: 0,
        refresh_seconds: 0,
        ..Limits::default()
    });
    let first = refresh(&emulator, REFRESH_TOKEN);
    assert_eq!(code_under(&emulator, &text(&first, "access_token")), 401);
    refresh(&emulator, &text(&first, "refresh_token")).refused("refresh_token");
}

#[test]
fn a_code_is_another_grant() {
    let config = Config {
        oauth_codes: vec!["code".to_owned()],
        ..Config::default()
    };
    let emulator = Emulator::start(config).unwrap();
    refresh(&emulator, "code").refused("refresh_token");
    let query = "client_id=emulator-client&client_secret=emulator-secret&code=code\
                 &grant_type=authorization_code&redirect_uri=http%3A%2F%2Flocalhost";
    let given = ask(&emulator, query);
    assert_eq!(code_under(&emulator, &text(&given, "access_token")), 0);
    assert_eq!(ask(&emulator, query).code(), 1);
}

#[test]
fn every_rule_of_oauth_refuses() {
    let emulator = Emulator::start(Config::default()).unwrap();
    let secret = "client_id=emulator-client&client_secret=guess&grant_type=refresh_token";
    let refused = ask(
        &emulator,
        &format!("{secret}&refresh_token={REFRESH_TOKEN}"),
    );
    assert_eq!(refused.code(), 401);
    for (query, words) in [
        ("client_id=a&client_secret=b", "grant_type"),
        (
            "client_id=a&client_secret=b&grant_type=password",
            "grant_type",
        ),
        ("clientID=a", "there is no parameter clientID"),
        (
            "client_id=a&client_secret=b&grant_type=refresh_token&refresh_token=c&code=d",
            "code",
        ),
    ] {
        ask(&emulator, query).refused(words);
    }
    assert_eq!(
        refresh(&emulator, REFRESH_TOKEN).status,
        200,
        "it was not used up"
    );
}
