//! Whatever a server or a gateway answers: a value or an error, never a panic; and success is
//! code 0 alone.
#![no_main]

use libfuzzer_sys::fuzz_target;
use panup::internals::wire::{self, Fields, Raw};
use panup::{Kind, Operation};

fuzz_target!(|data: &[u8]| {
    let Some((&[first, second], body)) = data.split_first_chunk::<2>() else {
        return;
    };
    let operation = OPERATIONS[usize::from(first) % OPERATIONS.len()];
    let status = 100 + u16::from(second) * 2;
    let opened = wire::open(Raw {
        operation,
        host: "up.example",
        status,
        location: std::str::from_utf8(body).ok(),
        retry_after: None,
        body,
    });
    match opened {
        Ok(fields) => {
            assert!((200..300).contains(&status), "success of HTTP {status}");
            read(&fields);
        }
        Err(error) => {
            assert_eq!(error.operation(), operation);
            assert!(!matches!(error.kind(), Kind::Source | Kind::State | Kind::Cancelled));
            assert!(error.to_string().len() < 4_000);
            let _ = wire::is_verifying(&error);
        }
    }
});

/// Every reply may be read as any other; what is read makes sense.
fn read(fields: &Fields) {
    if let Ok(wire::CreateReply::Created(created)) = wire::create_reply(fields) {
        assert!(created.slice_size > 0 && !created.servers.is_empty());
        assert!(!created.preupload_id.is_empty());
    }
    if let Ok(wire::Completed::Done(made)) = wire::complete_reply(fields) {
        assert_ne!(made.id, 0);
    }
    if let Ok(page) = wire::list_reply(fields) {
        assert!(page.entries.iter().all(|entry| entry.id != 0 && !entry.name.is_empty()));
    }
    let _ = wire::detail_reply(fields);
    let _ = wire::mkdir_reply(fields);
    let _ = wire::single_reply(fields);
    if let Ok(servers) = wire::domain_reply(fields) {
        assert!(!servers.is_empty());
    }
    if let Ok(login) = wire::login_reply(fields) {
        assert!(!login.token.is_empty());
    }
}

const OPERATIONS: [Operation; 11] = [
    Operation::Create,
    Operation::Slice,
    Operation::Complete,
    Operation::Domain,
    Operation::Single,
    Operation::Login,
    Operation::List,
    Operation::Detail,
    Operation::Infos,
    Operation::Mkdir,
    Operation::Trash,
];
