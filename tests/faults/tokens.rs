//! Tokens that run out, credentials that are refused.

use panup::Kind;
use panup_emulator::{Action, Fault, Limits, Operation};

use crate::row::{NOT_REPEATED, Row};

#[test]
fn a_pasted_token_that_is_refused_ends_it() {
    let pasted = NOT_REPEATED.into_iter();
    for (operation, calls) in pasted.filter(|row| row.0 != Operation::AccessToken) {
        for action in refusals() {
            Row::meeting(format!("{action:?} on {operation}"), operation)
                .fault(Fault::on(operation, action))
                .fails(Kind::Auth)
                .says("pasted")
                .calls(calls)
                .check();
        }
    }
}

#[test]
fn a_fetched_token_is_renewed_once() {
    let once = [
        (
            Operation::Create,
            "create 2, slice 3, complete 1, access_token 2",
        ),
        (
            Operation::Slice,
            "create 1, slice 2, complete 1, access_token 2",
        ),
        (
            Operation::Complete,
            "create 1, slice 3, complete 2, access_token 2",
        ),
        (Operation::Domain, "domain 2, single 1, access_token 2"),
        (Operation::Single, "domain 1, single 2, access_token 2"),
    ];
    let always = [
        (Operation::Create, "create 2, access_token 2"),
        (Operation::Slice, "create 1, slice 2, access_token 2"),
        (
            Operation::Complete,
            "create 1, slice 3, complete 2, access_token 2",
        ),
        (Operation::Domain, "domain 2, access_token 2"),
        (Operation::Single, "domain 1, single 2, access_token 2"),
    ];
    for action in refusals() {
        for (operation, calls) in once {
            Row::meeting(format!("{action:?} on one {operation}"), operation)
                .client()
                .fault(Fault::on(operation, action.clone()).first(1))
                .calls(calls)
                .check();
        }
        for (operation, calls) in always {
            Row::meeting(format!("{action:?} on every {operation}"), operation)
                .client()
                .fault(Fault::on(operation, action.clone()))
                .fails(Kind::Auth)
                .calls(calls)
                .check();
        }
    }
}

#[test]
fn tokens_run_out_in_the_middle() {
    Row::new("at the last slice")
        .client()
        .fault(Fault::on(Operation::Slice, Action::ExpireTokens).nth(3))
        .calls("create 1, slice 4, complete 1, access_token 2")
        .check();
    Row::new("pasted")
        .fault(Fault::on(Operation::Slice, Action::ExpireTokens).nth(3))
        .fails(Kind::Auth)
        .calls("create 1, slice 3")
        .check();
    Row::new("after four calls")
        .client()
        .limits(Limits {
            calls_per_token: Some(4),
            ..Limits::default()
        })
        .calls("create 1, slice 3, complete 2, access_token 2")
        .check();
}

#[test]
fn refused_credentials_are_not_tried_again() {
    for action in refusals() {
        Row::new(format!("{action:?}"))
            .client()
            .fault(Fault::on(Operation::AccessToken, action))
            .fails(Kind::Auth)
            .calls("access_token 1")
            .check();
    }
    Row::new("too many tokens")
        .client()
        .limits(Limits {
            logins: Some(0),
            ..Limits::default()
        })
        .fails(Kind::Auth)
        .says("exceeded")
        .calls("access_token 1")
        .check();
}

fn refusals() -> [Action; 2] {
    let code = Action::Code {
        code: 401,
        message: "token is expired".to_owned(),
    };
    [code, Action::status(401)]
}
