//! Tokens, rates and connections: what the service restricts.

use panup_emulator::{Config, Deadline, Emulator, Late, Limits, Operation, Quirks, Rate, TooFast};
use serde_json::json;

use crate::client::*;

fn with(limits: Limits) -> Emulator {
    let config = Config {
        limits,
        ..Config::default()
    };
    Emulator::start(config).unwrap()
}

fn login(emulator: &Emulator) -> Answer {
    let body = json!({"clientID": "emulator-client", "clientSecret": "emulator-secret"});
    Ask::json(TOKEN, &body)
        .header("Authorization", "")
        .send(&emulator.api())
}

fn fetched(emulator: &Emulator) -> String {
    let data = login(emulator).data();
    data["accessToken"].as_str().unwrap().to_owned()
}

fn code_under(emulator: &Emulator, token: &str) -> i64 {
    let ask = Ask::to("GET", DOMAIN).header("Authorization", &format!("Bearer {token}"));
    ask.send(&emulator.api()).code()
}

#[test]
fn logins_give_distinct_tokens_and_a_fourth_kicks_out_the_first() {
    let emulator = with(Limits::default());
    let data = login(&emulator).data();
    let expires = data["expiredAt"].as_str().unwrap();
    assert!(
        expires.ends_with("+08:00") && expires.len() == 25,
        "{expires}"
    );
    let first = data["accessToken"].as_str().unwrap();
    let others = [(); 2].map(|()| fetched(&emulator));
    assert_eq!(code_under(&emulator, first), 0);
    let fourth = fetched(&emulator);
    let codes = [first, &others[0], &others[1], &fourth].map(|t| code_under(&emulator, t));
    assert_eq!(codes, [401, 0, 0, 0]);
    assert_eq!(emulator.stats().logins, 4);
    let wrong = json!({"clientID": "emulator-client", "clientSecret": "guess"});
    let refused = Ask::json(TOKEN, &wrong).send(&emulator.api());
    assert_eq!(refused.code(), 401);
    let platform = Ask::json(TOKEN, &wrong).header("Platform", "");
    platform.send(&emulator.api()).refused("Platform");
    assert_eq!(emulator.stats().logins, 4);
}

#[test]
fn tokens_run_out() {
    let emulator = with(Limits {
        calls_per_token: Some(2),
        logins: Some(2),
        ..Limits::default()
    });
    let token = fetched(&emulator);
    let codes = [(); 3].map(|()| code_under(&emulator, &token));
    assert_eq!(codes, [0, 0, 401]);
    assert_eq!(code_under(&emulator, emulator.token()), 0);
    let second = fetched(&emulator);
    emulator.expire_tokens();
    assert_eq!(code_under(&emulator, &second), 401);
    assert_eq!(code_under(&emulator, emulator.token()), 401);
    emulator.allow_token("another");
    assert_eq!(code_under(&emulator, "another"), 0);
    let capped = login(&emulator);
    assert_eq!(capped.code(), 401);
    assert_eq!(capped.message(), "tokens number has exceeded the limit");
}

#[test]
fn a_token_of_no_lifetime_is_refused_and_http_401_is_a_switch() {
    let config = Config {
        limits: Limits {
            token_seconds: 0,
            ..Limits::default()
        },
        quirks: Quirks {
            http_401: true,
            ..Quirks::default()
        },
        ..Config::default()
    };
    let emulator = Emulator::start(config).unwrap();
    let token = fetched(&emulator);
    let ask = Ask::to("GET", DOMAIN).header("Authorization", &format!("Bearer {token}"));
    let answer = ask.send(&emulator.api());
    assert_eq!((answer.status, answer.code()), (401, 401));
}

#[test]
fn calls_over_the_rate_are_refused() {
    let slow = |answer| Rate {
        per_second: 0.001,
        burst: 2.0,
        answer,
    };
    let emulator = with(Limits {
        rates: [
            (Operation::Create, slow(TooFast::Code)),
            (Operation::Domain, slow(TooFast::Http)),
        ]
        .into(),
        ..Limits::default()
    });
    let answers = [1, 2, 3].map(|n| create(&emulator, &format!("f{n}"), b"x"));
    assert_eq!(answers.each_ref().map(Answer::code), [0, 0, 429]);
    assert!(answers[2].message().contains("频繁"));
    let answers = [(); 3].map(|()| Ask::to("GET", DOMAIN).send(&emulator.api()));
    assert_eq!(
        answers.each_ref().map(|answer| answer.status),
        [200, 200, 429]
    );
    assert_eq!(answers[2].header("retry-after"), Some("1"));
    assert_eq!(emulator.stats().of(Operation::Domain).faulted, 1);
    assert_eq!(emulator.stats().of(Operation::Create).faulted, 1);
}

#[test]
fn connections_end_after_so_many_calls() {
    let emulator = with(Limits {
        calls_per_connection: Some(3),
        ..Limits::default()
    });
    let ask = Ask::to("GET", DOMAIN);
    let mut wire = Wire::open(&emulator.api()).unwrap();
    let answers = [(); 3].map(|()| wire.ask(&ask).unwrap());
    let said = answers
        .each_ref()
        .map(|answer| answer.header("connection").map(str::to_owned));
    assert_eq!(said, [None, None, Some("close".to_owned())]);
    assert!(wire.ask(&ask).is_err());
    assert_eq!(ask.send(&emulator.api()).code(), 0);
    assert_eq!(emulator.stats().places[0].connections, 2);
}

#[test]
fn chunked_bodies_are_refused_on_demand() {
    let emulator = with(Limits {
        refuse_chunked: true,
        ..Limits::default()
    });
    let server = &emulator.servers()[0];
    let answer = single("f", &bytes(100_000)).chunked().send(server);
    assert_eq!(answer.status, 411);
    assert_eq!(single("f", b"x").send(server).code(), 0);
}

#[test]
fn bodies_have_to_arrive_in_time() {
    for (late, text) in [(Late::IoTimeout, "i/o timeout"), (Late::Empty, "")] {
        let emulator = with(Limits {
            body_deadline: Some(Deadline {
                millis: 50,
                answer: late,
            }),
            ..Limits::default()
        });
        let half = single("f", &bytes(100_000)).bytes()[..50_000].to_vec();
        let mut wire = Wire::open(&emulator.servers()[1]).unwrap();
        std::io::Write::write_all(&mut wire.0, &half).unwrap();
        let answer = wire.answer().unwrap();
        assert_eq!(answer.status, 500);
        assert_eq!(answer.body, text.as_bytes());
        // Calls without such a body have time.
        assert_eq!(Ask::to("GET", DOMAIN).send(&emulator.api()).code(), 0);
    }
}

#[test]
fn overlapping_calls_over_a_missing_folder_are_found_and_refused_on_demand() {
    for refuse in [false, true] {
        let emulator = with(Limits {
            refuse_folder_races: refuse,
            ..Limits::default()
        });
        let server = emulator.servers()[0].clone();
        let ask = |name: &str| {
            let mut parts = single_parts(&format!("new/{name}"), b"x");
            parts.push(text("containDir", true));
            Ask::form(SINGLE, &parts)
        };
        // The first has begun when the second is answered, and ends after it.
        let first = ask("a").bytes();
        let (head, tail) = first.split_at(first.len() - 10);
        let mut wire = Wire::open(&server).unwrap();
        std::io::Write::write_all(&mut wire.0, head).unwrap();
        while emulator.stats().of(Operation::Single).in_flight == 0 {
            std::thread::yield_now();
        }
        assert_eq!(ask("b").send(&server).code(), 0);
        std::io::Write::write_all(&mut wire.0, tail).unwrap();
        let answer = wire.answer().unwrap();
        assert_eq!(answer.code(), i64::from(refuse));
        assert_eq!(emulator.stats().folder_races, 1);
        // One after the other is no race.
        assert_eq!(ask("c").send(&server).code(), 0);
        assert_eq!(emulator.stats().folder_races, 1);
    }
}
