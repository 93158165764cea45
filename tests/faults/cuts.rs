//! Connections that are cut, answers that are lost, and silence.

use std::time::Duration;

use panup::{Conflict, Kind};
use panup_emulator::{Action, Cut, Fault, Operation, Tls};

use crate::row::{FOUR_TIMES, ONCE_MORE, Row};

const CUTS: [Action; 4] = [
    Action::Close(Cut::BeforeBody),
    Action::Close(Cut::After(1)),
    Action::Close(Cut::AfterBody),
    Action::Reset,
];

#[test]
fn a_connection_is_cut_before_anything_is_done() {
    for tls in [Tls::Off, Tls::Both] {
        for action in CUTS {
            for (operation, calls) in ONCE_MORE {
                let bare = operation == Operation::Domain;
                if bare && matches!(action, Action::Close(Cut::After(_))) {
                    continue;
                }
                Row::meeting(format!("{action:?} on {operation} {tls:?}"), operation)
                    .config(|config| config.tls = tls)
                    .fault(Fault::on(operation, action.clone()).first(1))
                    .calls(calls)
                    .check();
            }
        }
    }
}

#[test]
fn connections_are_cut_for_ever() {
    for (operation, calls) in FOUR_TIMES {
        Row::meeting(format!("every {operation} is cut"), operation)
            .fault(Fault::on(operation, Action::Close(Cut::AfterBody)))
            .fails(Kind::Transport)
            .says("after 4 attempts")
            .calls(calls)
            .check();
    }
}

#[test]
fn a_slice_is_cut_in_the_middle() {
    for after in [0, 4096, 65_000] {
        for nth in 1..=3 {
            Row::new(format!("slice {nth} after {after} bytes"))
                .fault(Fault::on(Operation::Slice, Action::Close(Cut::After(after))).nth(nth))
                .calls("create 1, slice 4, complete 1")
                .check();
        }
    }
}

/// What was done and not answered: repeated where that is safe, reported where it is not.
#[test]
fn an_answer_is_lost() {
    for cut in [Cut::AfterCommit, Cut::InAnswer] {
        let row = |operation, conflict| {
            Row::meeting(format!("{cut:?} on {operation} {conflict:?}"), operation)
                .conflict(conflict)
                .fault(Fault::on(operation, Action::Close(cut)).first(1))
        };
        for conflict in [Conflict::Fail, Conflict::Overwrite] {
            row(Operation::Create, conflict)
                .calls("create 2, slice 3, complete 1")
                .check();
        }
        for conflict in [Conflict::Fail, Conflict::Overwrite, Conflict::KeepBoth] {
            row(Operation::Slice, conflict)
                .calls("create 1, slice 2, complete 1")
                .check();
            row(Operation::Complete, conflict)
                .calls("create 1, slice 3, complete 2")
                .check();
            row(Operation::Domain, conflict)
                .calls("domain 2, single 1")
                .check();
            row(Operation::AccessToken, conflict)
                .calls("create 1, slice 3, complete 1, access_token 2")
                .check();
        }
        row(Operation::Single, Conflict::Overwrite)
            .calls("domain 1, single 2")
            .check();
        row(Operation::Single, Conflict::Fail)
            .fails(Kind::Rejected)
            .says("may be this file")
            .calls("domain 1, single 2")
            .check();
        row(Operation::Single, Conflict::KeepBoth)
            .fails(Kind::Transport)
            .says("may have arrived")
            .calls("domain 1, single 1")
            .check();
        row(Operation::Create, Conflict::KeepBoth)
            .fails(Kind::Transport)
            .says("may have arrived")
            .calls("create 1")
            .check();
    }
}

/// Under keep-both what cannot have been done is repeated, what may have been done is not.
#[test]
fn keep_both_repeats_only_what_cannot_have_been_done() {
    let status = |status| Action::status(status);
    let rows = [
        (Operation::Create, status(429), true),
        (Operation::Single, status(429), true),
        (Operation::Create, Action::too_fast(), true),
        (Operation::Single, Action::too_fast(), true),
        (Operation::Create, status(502), false),
        (Operation::Single, status(502), false),
        (Operation::Create, Action::TruncatedJson, false),
        (Operation::Single, Action::TruncatedJson, false),
        (Operation::Create, Action::Close(Cut::AfterBody), false),
        (Operation::Single, Action::Close(Cut::AfterBody), false),
    ];
    for (operation, action, repeated) in rows {
        let row = Row::meeting(format!("{action:?} on {operation}"), operation)
            .conflict(Conflict::KeepBoth)
            .fault(Fault::on(operation, action.clone()).first(1));
        let kind = match action {
            Action::TruncatedJson => Kind::Protocol,
            Action::Close(_) => Kind::Transport,
            _ => Kind::Throttled,
        };
        match (operation, repeated) {
            (Operation::Create, true) => row.calls("create 2, slice 3, complete 1").check(),
            (Operation::Create, false) => row.fails(kind).calls("create 1").check(),
            (_, true) => row.calls("domain 1, single 2").check(),
            (_, false) => row.fails(kind).calls("domain 1, single 1").check(),
        }
    }
}

/// The upload ends, its answer is lost, and its preuploadID is forgotten.
#[test]
fn a_preupload_id_is_gone_after_a_lost_answer() {
    let row = |conflict| {
        Row::new(format!("{conflict:?}"))
            .one_slice()
            .conflict(conflict)
            .fault(Fault::on(Operation::Complete, Action::Close(Cut::AfterCommit)).first(1))
            .fault(Fault::on(Operation::Complete, Action::ForgetUploads).nth(2))
    };
    row(Conflict::Overwrite)
        .ends(crate::row::Ends::Reused)
        .calls("create 2, slice 1, complete 2")
        .check();
    row(Conflict::Fail)
        .fails(Kind::Rejected)
        .says("may be this file")
        .calls("create 2, slice 1, complete 2")
        .check();
    row(Conflict::KeepBoth)
        .fails(Kind::Rejected)
        .says("the file may be there")
        .calls("create 1, slice 1, complete 2")
        .check();
}

#[test]
fn nobody_answers() {
    let rows = [
        (Operation::Create, "create 2, slice 1, complete 1"),
        (Operation::Slice, "create 1, slice 2, complete 1"),
        (Operation::Complete, "create 1, slice 1, complete 2"),
        (Operation::Domain, "domain 2, single 1"),
        (Operation::Single, "domain 1, single 2"),
        (
            Operation::AccessToken,
            "create 1, slice 1, complete 1, access_token 2",
        ),
    ];
    for tls in [Tls::Off, Tls::Both] {
        for (operation, calls) in rows {
            Row::meeting(format!("{operation} {tls:?}"), operation)
                .config(|config| config.tls = tls)
                .one_slice()
                .conflict(Conflict::Overwrite)
                .patience(PATIENCE)
                .fault(Fault::on(operation, Action::StallAnswer { millis: LONG }).first(1))
                .calls(calls)
                .check();
        }
    }
    Row::new("for ever")
        .one_slice()
        .patience(PATIENCE)
        .fault(Fault::on(
            Operation::Slice,
            Action::StallAnswer { millis: LONG },
        ))
        .fails(Kind::Transport)
        .says("no answer within")
        .calls("create 1, slice 4")
        .check();
}

/// Larger than what sockets buffer, so that the sender sees that nothing moves.
#[test]
fn nobody_reads() {
    for tls in [Tls::Off, Tls::Both] {
        let stall = Action::StallReading {
            after: 100_000,
            millis: 4_000,
        };
        Row::new(format!("{tls:?}"))
            .config(|config| config.tls = tls)
            .slice_size(12 << 20)
            .patience(4 * PATIENCE)
            .fault(Fault::on(Operation::Slice, stall).nth(2))
            .calls("create 1, slice 4, complete 1")
            .check();
    }
}

/// Short for a test, long for loopback even on a busy machine.
const PATIENCE: Duration = Duration::from_millis(500);

/// In milliseconds, far longer than anybody's patience.
const LONG: u64 = 50_000;
