//! Answers that are not what was asked for: HTTP statuses with every kind of page, body codes,
//! JSON that cannot be read, success that is none.

use panup::{Conflict, Kind};
use panup_emulator::{Action, Fault, Operation, Page};

use crate::row::{Ends, FOUR_TIMES, NOT_REPEATED, ONCE_MORE, Row};

#[test]
fn an_http_status_is_met_once() {
    for status in [429, 500, 502, 503] {
        for page in [Page::Empty, Page::Html, Page::Json] {
            for (operation, calls) in ONCE_MORE {
                let fault = Fault::on(operation, Action::page(status, page)).first(1);
                Row::meeting(format!("{status} {page:?} on {operation}"), operation)
                    .fault(fault)
                    .calls(calls)
                    .check();
            }
        }
    }
}

#[test]
fn an_http_status_is_met_for_ever() {
    for status in [429, 503] {
        for (operation, calls) in FOUR_TIMES {
            Row::meeting(format!("{status} on every {operation}"), operation)
                .fault(Fault::on(operation, Action::page(status, Page::Html)))
                .fails(Kind::Throttled)
                .says("after 4 attempts")
                .calls(calls)
                .check();
        }
    }
}

#[test]
fn an_answer_before_the_body_is_read() {
    for (operation, calls) in ONCE_MORE {
        let action = Action::Http {
            status: 503,
            page: Page::Html,
            retry_after: None,
            unread: true,
        };
        Row::meeting(format!("unread 503 on {operation}"), operation)
            .fault(Fault::on(operation, action).first(1))
            .calls(calls)
            .check();
    }
}

/// Without the envelope it is not the service that says no.
#[test]
fn a_page_that_says_no_is_met_once_and_for_ever() {
    let page = || Action::page(403, Page::Html);
    for (operation, calls) in ONCE_MORE {
        Row::meeting(format!("403 page on {operation}"), operation)
            .fault(Fault::on(operation, page()).first(1))
            .calls(calls)
            .check();
    }
    for (operation, calls) in FOUR_TIMES {
        Row::meeting(format!("403 page on every {operation}"), operation)
            .fault(Fault::on(operation, page()))
            .fails(Kind::Protocol)
            .says("403")
            .calls(calls)
            .check();
    }
}

#[test]
fn a_status_that_says_no_is_final() {
    let no = r#"{"code":403,"message":"forbidden","data":null}"#;
    for (operation, calls) in NOT_REPEATED {
        let (kind, calls) = match operation {
            // For a preuploadID: once more from create.
            Operation::Slice => (Kind::Rejected, "create 2, slice 2"),
            Operation::Complete => (Kind::Rejected, "create 2, slice 6, complete 2"),
            Operation::AccessToken => (Kind::Auth, calls),
            _ => (Kind::Rejected, calls),
        };
        Row::meeting(format!("403 on {operation}"), operation)
            .fault(Fault::on(operation, Action::answer(403, no)))
            .fails(kind)
            .says("403")
            .calls(calls)
            .check();
    }
}

#[test]
fn too_fast_and_out_of_order_as_body_codes() {
    let failing = |code: i64, message: &str| Action::Code {
        code,
        message: message.to_owned(),
    };
    for (operation, calls) in ONCE_MORE {
        for action in [
            Action::too_fast(),
            failing(7, "请求频繁"),
            failing(503, "服务不可用"),
        ] {
            Row::meeting(format!("{action:?} on {operation}"), operation)
                .fault(Fault::on(operation, action).first(1))
                .calls(calls)
                .check();
        }
    }
    for (operation, calls) in FOUR_TIMES {
        Row::meeting(format!("429 on every {operation}"), operation)
            .fault(Fault::on(operation, Action::too_fast()))
            .fails(Kind::Throttled)
            .says("频繁")
            .calls(calls)
            .check();
    }
}

/// Code 1 with the queue's text asks for a second; code 1 with any other text says no.
#[test]
fn the_full_queue_passes() {
    for (operation, calls) in [ONCE_MORE[0], ONCE_MORE[4]] {
        let ran = Row::meeting(format!("queue on {operation}"), operation)
            .fault(Fault::on(operation, Action::queue_full()).first(1))
            .calls(calls);
        ran.check();
    }
    let row = Row::new("queue").fault(Fault::on(Operation::Create, Action::queue_full()).first(1));
    let stats = row.run().scene.emulator.stats();
    let times: Vec<u64> = stats
        .calls_of(Operation::Create)
        .map(|call| call.at_ms)
        .collect();
    assert_eq!(times.len(), 2);
    assert!(times[1] - times[0] >= 1000, "not a second apart: {times:?}");
}

#[test]
fn a_business_error_is_final() {
    let no = || Action::Code {
        code: 1,
        message: "目录不存在".to_owned(),
    };
    let rows = [
        (Operation::Create, Kind::Rejected, "create 1"),
        (Operation::Domain, Kind::Rejected, "domain 1"),
        (Operation::Single, Kind::Rejected, "domain 1, single 1"),
        (Operation::AccessToken, Kind::Auth, "access_token 1"),
        // For a preuploadID: once more from create.
        (Operation::Slice, Kind::Rejected, "create 2, slice 2"),
        (
            Operation::Complete,
            Kind::Rejected,
            "create 2, slice 6, complete 2",
        ),
    ];
    for (operation, kind, calls) in rows {
        Row::meeting(format!("code 1 on every {operation}"), operation)
            .fault(Fault::on(operation, no()))
            .fails(kind)
            .says("目录不存在")
            .calls(calls)
            .check();
    }
    let once = [
        (Operation::Slice, "create 2, slice 2, complete 1"),
        (Operation::Complete, "create 2, slice 6, complete 2"),
    ];
    for (operation, calls) in once {
        Row::meeting(format!("code 1 on one {operation}"), operation)
            .fault(Fault::on(operation, no()).first(1))
            .calls(calls)
            .check();
    }
}

#[test]
fn a_whole_file_that_is_refused_is_sent_once_more() {
    let refused = || Action::Code {
        code: 1,
        message: "文件上传失败".to_owned(),
    };
    Row::new("refused once")
        .fault(Fault::on(Operation::Complete, refused()).first(1))
        .calls("create 2, slice 6, complete 2")
        .check();
    Row::new("refused always")
        .fault(Fault::on(Operation::Complete, refused()))
        .fails(Kind::Integrity)
        .calls("create 2, slice 6, complete 2")
        .check();
}

#[test]
fn a_slice_whose_md5_is_refused_is_hashed_again_once() {
    let refused = || Action::Code {
        code: 1,
        message: "分片md5校验失败".to_owned(),
    };
    Row::new("refused once")
        .fault(Fault::on(Operation::Slice, refused()).nth(2))
        .calls("create 1, slice 4, complete 1")
        .check();
    Row::new("refused always")
        .one_slice()
        .fault(Fault::on(Operation::Slice, refused()))
        .fails(Kind::Source)
        .says("refused twice")
        .calls("create 1, slice 2")
        .check();
}

#[test]
fn still_verifying_is_asked_again() {
    let verifying = Action::Code {
        code: 20103,
        message: "文件正在校验中,请间隔1秒后再试".to_owned(),
    };
    for (name, action) in [
        ("20103", verifying.clone()),
        ("not completed", Action::NotCompleted),
        ("no id", Action::NoFileId),
    ] {
        Row::new(name)
            .fault(Fault::on(Operation::Complete, action).first(1))
            .calls("create 1, slice 3, complete 2")
            .check();
    }
    Row::new("20103 from single, under overwrite")
        .single()
        .conflict(Conflict::Overwrite)
        .fault(
            Fault::on(
                Operation::Single,
                Action::DoneBut {
                    code: 20103,
                    message: "文件正在校验中".to_owned(),
                },
            )
            .first(1),
        )
        .ends(Ends::Reused)
        .calls("create 1, domain 1, single 1")
        .check();
}

/// single/create that did not finish has no id to ask for: create tells.
#[test]
fn a_single_that_did_not_finish() {
    for action in [Action::NotCompleted, Action::NoFileId] {
        let row = |conflict| {
            Row::new(format!("{action:?} {conflict:?}"))
                .single()
                .conflict(conflict)
                .fault(Fault::on(Operation::Single, action.clone()).first(1))
        };
        row(Conflict::Overwrite)
            .ends(Ends::Reused)
            .calls("create 1, domain 1, single 1")
            .check();
        row(Conflict::Fail)
            .fails(Kind::Rejected)
            .says("may be this file")
            .calls("create 1, domain 1, single 1")
            .check();
        row(Conflict::KeepBoth)
            .fails(Kind::Protocol)
            .says("check whether the file exists")
            .calls("domain 1, single 1")
            .check();
    }
}

#[test]
fn json_that_cannot_be_read_is_asked_for_again() {
    for action in [Action::TruncatedJson, Action::WrongJson] {
        for (operation, calls) in ONCE_MORE {
            Row::meeting(format!("{action:?} on one {operation}"), operation)
                .conflict(Conflict::Overwrite)
                .fault(Fault::on(operation, action.clone()).first(1))
                .calls(calls)
                .check();
        }
        for (operation, calls) in FOUR_TIMES {
            Row::meeting(format!("{action:?} on every {operation}"), operation)
                .conflict(Conflict::Overwrite)
                .fault(Fault::on(operation, action.clone()))
                .fails(Kind::Protocol)
                .calls(calls)
                .check();
        }
    }
}

#[test]
fn a_create_that_says_too_little_is_unreadable() {
    Row::new("no slice size")
        .fault(Fault::on(Operation::Create, Action::NoFileId).first(1))
        .calls("create 2, slice 3, complete 1")
        .check();
}
