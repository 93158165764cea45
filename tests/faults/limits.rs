//! What the service restricts: how long an id lives, how long a body may take, how many calls a
//! connection or a second may see.

use panup::{Item, Kind, Status};
use panup_emulator::{
    Action, Config, Deadline, Emulator, Fault, Framing, Late, Limits, Operation, Rate, TooFast,
};

use crate::row::{self, Row};

#[test]
fn a_preupload_id_is_forgotten() {
    Row::new("at the slice")
        .one_slice()
        .fault(Fault::on(Operation::Slice, Action::ForgetUploads).first(1))
        .calls("create 2, slice 2, complete 1")
        .check();
    Row::new("at the last slice")
        .fault(Fault::on(Operation::Slice, Action::ForgetUploads).nth(3))
        .calls("create 2, slice 6, complete 1")
        .check();
    Row::new("at complete")
        .fault(Fault::on(Operation::Complete, Action::ForgetUploads).first(1))
        .calls("create 2, slice 6, complete 2")
        .check();
    Row::new("again and again")
        .one_slice()
        .fault(Fault::on(Operation::Slice, Action::ForgetUploads))
        .fails(Kind::Rejected)
        .says("also after beginning again")
        .calls("create 2, slice 2")
        .check();
}

#[test]
fn a_body_is_too_late_for_the_gateway() {
    for answer in [Late::IoTimeout, Late::Empty] {
        let deadline = Deadline {
            millis: 300,
            answer,
        };
        for (operation, calls) in [
            (Operation::Slice, "create 1, slice 2, complete 1"),
            (Operation::Single, "domain 1, single 2"),
        ] {
            let late = Action::StallReading {
                after: 1000,
                millis: 600,
            };
            Row::meeting(format!("{answer:?} on {operation}"), operation)
                .limits(Limits {
                    body_deadline: Some(deadline),
                    ..Limits::default()
                })
                .fault(Fault::on(operation, late).first(1))
                .calls(calls)
                .check();
        }
    }
}

#[test]
fn connections_that_carry_one_call_cost_no_call() {
    for tls in [panup_emulator::Tls::Off, panup_emulator::Tls::Both] {
        for calls in [1, 2] {
            Row::new(format!("{calls} a connection, {tls:?}"))
                .config(|config| config.tls = tls)
                .limits(Limits {
                    calls_per_connection: Some(calls),
                    ..Limits::default()
                })
                .calls("create 1, slice 3, complete 1")
                .check();
        }
        for operation in [Operation::Create, Operation::Slice, Operation::Complete] {
            Row::new(format!("last call {operation}, {tls:?}"))
                .config(|config| config.tls = tls)
                .fault(Fault::on(operation, Action::LastCall))
                .calls("create 1, slice 3, complete 1")
                .check();
        }
    }
}

#[test]
fn nothing_is_chunked() {
    let strict = || Limits {
        refuse_chunked: true,
        ..Limits::default()
    };
    for tls in [panup_emulator::Tls::Off, panup_emulator::Tls::Both] {
        let row = Row::new(format!("{tls:?}"))
            .config(|config| config.tls = tls)
            .limits(strict())
            .calls("create 1, slice 3, complete 1");
        let ran = row.run();
        let framings = ran.scene.emulator.stats().framings;
        assert!(framings.get(&Framing::ContentLength) >= Some(&5));
        assert_eq!(framings.get(&Framing::Chunked), None);
        row.check();
    }
    Row::new("single")
        .single()
        .client()
        .limits(strict())
        .calls("domain 1, single 1, access_token 1")
        .check();
}

#[test]
fn retry_after_is_honoured_where_it_is_sane() {
    for (asked, sane) in [("1", true), ("86400", false), ("soon", false)] {
        let slow = Action::Http {
            status: 429,
            page: panup_emulator::Page::Empty,
            retry_after: Some(asked.to_owned()),
            unread: false,
        };
        for (operation, calls) in [
            (Operation::Create, "create 2, slice 3, complete 1"),
            (Operation::Slice, "create 1, slice 2, complete 1"),
        ] {
            let row = Row::meeting(format!("{asked} on {operation}"), operation)
                .fault(Fault::on(operation, slow.clone()).first(1))
                .calls(calls);
            let ran = row.run();
            let stats = ran.scene.emulator.stats();
            let times: Vec<u64> = stats.calls_of(operation).map(|call| call.at_ms).collect();
            // Nothing else in a row waits for as long as a second.
            assert_eq!(
                times[1] - times[0] >= 1000,
                sane,
                "{asked} on {operation}: {times:?}"
            );
            row.check();
        }
    }
}

/// Many files at a rate above what the service grants: it slows down and all of them arrive.
#[test]
fn a_call_rate_is_found() {
    for answer in [TooFast::Code, TooFast::Http] {
        let limit = Rate {
            per_second: 40.0,
            burst: 4.0,
            answer,
        };
        let emulator = Emulator::start(Config {
            limits: Limits {
                rates: [(Operation::Single, limit)].into(),
                ..Limits::default()
            },
            ..Config::default()
        })
        .expect("an emulator");
        let folder = tempfile::tempdir().expect("a folder");
        let items: Vec<Item> = (0..60)
            .map(|number| {
                let path = folder.path().join(format!("{number}.txt"));
                std::fs::write(&path, format!("file {number}")).expect("written");
                Item::new(path)
            })
            .collect();
        let mut options = row::quick(&emulator);
        options.call_rates.single = Some(60.0);
        options.retry = panup::Retry::default();
        let client = panup::Client::new(options).expect("sensible");
        let outcomes = row::run(&client, items);
        let uploaded = outcomes
            .iter()
            .filter(|outcome| matches!(outcome.status, Status::Uploaded(_)))
            .count();
        assert_eq!(uploaded, 60, "{outcomes:?}");
        let tally = emulator.stats().of(Operation::Single);
        assert_eq!(tally.done, 60);
        assert!(
            tally.calls <= 90,
            "{} calls for 60 files: it did not slow down",
            tally.calls
        );
    }
}
