//! What goes wrong at the service, by chance.

use panup_emulator::{
    Action, Cut, Emulator, Fault, NetworkConditions, Operation, Page, Place, Service,
};

use crate::kind::Kind;
use crate::table::Table;

/// Lays what `kinds` want of the service.
pub fn lay(emulator: &Emulator, kinds: &[Kind], (chance, table): (&mut fastrand::Rng, &mut Table)) {
    for kind in kinds {
        match kind {
            Kind::Faults => {
                for _ in 0..chance.usize(1..4) {
                    strike(emulator, any(chance), (chance, table));
                }
            }
            Kind::Html => strike(emulator, html(chance), (chance, table)),
            Kind::Queue => queue(emulator, (chance, table)),
            Kind::Stall => stall(emulator, (chance, table)),
            Kind::Servers => server(emulator, (chance, table)),
            _ => {}
        }
    }
}

/// One of every sort.
fn any(chance: &mut fastrand::Rng) -> Action {
    match chance.u8(0..17) {
        0 => Action::status(503),
        1 => Action::page(502, Page::Html),
        2 => Action::page(500, Page::IoTimeout),
        3 => Action::too_fast(),
        4 => Action::Close(Cut::BeforeBody),
        5 => Action::Close(Cut::After(chance.u64(0..1 << 20))),
        6 => Action::Close(Cut::AfterBody),
        7 => Action::Close(Cut::AfterCommit),
        8 => Action::Close(Cut::InAnswer),
        9 => Action::Reset,
        10 => Action::TruncatedJson,
        11 => Action::WrongJson,
        12 => Action::NoFileId,
        13 => Action::NotCompleted,
        14 => Action::LastCall,
        15 => Action::ExpireTokens,
        _ => Action::ForgetUploads,
    }
}

/// A captive portal, a firewall, a page of maintenance.
fn html(chance: &mut fastrand::Rng) -> Action {
    let statuses = [200, 302, 307, 403, 404, 405, 413, 503];
    let status = statuses[chance.usize(0..statuses.len())];
    match status {
        302 | 307 => Action::redirect(status, "http://portal.invalid/"),
        _ => Action::page(status, Page::Html),
    }
}

/// The queue takes no more; or it takes the file, which then appears by itself, or never does.
fn queue(emulator: &Emulator, (chance, table): (&mut fastrand::Rng, &mut Table)) {
    let (name, action) = match chance.u8(0..3) {
        0 => ("queue full", Action::queue_full()),
        1 => (
            "queued for ever",
            Action::Queued {
                appears_after: None,
            },
        ),
        _ => {
            let appears_after = Some(chance.u64(0..5000));
            ("queued", Action::Queued { appears_after })
        }
    };
    table.strike(name);
    for operation in [Operation::Create, Operation::Single, Operation::Complete] {
        emulator.inject(ordinal(Fault::on(operation, action.clone()), chance));
    }
}

/// Longer than any limit: whoever waits for it waits for ever.
fn stall(emulator: &Emulator, (chance, table): (&mut fastrand::Rng, &mut Table)) {
    let millis = 3_600_000;
    let after = chance.u64(0..1 << 20);
    match chance.u8(0..3) {
        0 => strike(emulator, Action::StallAnswer { millis }, (chance, table)),
        1 => strike(
            emulator,
            Action::StallReading { after, millis },
            (chance, table),
        ),
        _ => {
            table.strike("black hole");
            let hole = NetworkConditions {
                service: Service::BlackHole,
                ..NetworkConditions::default()
            };
            emulator.set_network(place(emulator, chance), hole);
        }
    }
}

/// A server dies, or becomes slow.
fn server(emulator: &Emulator, (chance, table): (&mut fastrand::Rng, &mut Table)) {
    if chance.bool() {
        table.strike("dead server");
        return emulator.kill_server(chance.usize(0..emulator.servers().len()));
    }
    table.strike("slow place");
    let slow = NetworkConditions {
        bandwidth: Some(chance.u64(1 << 20..16 << 20)),
        latency_ms: chance.u64(0..80),
        jitter_ms: 20,
        ..NetworkConditions::default()
    };
    emulator.set_network(place(emulator, chance), slow);
}

fn place(emulator: &Emulator, chance: &mut fastrand::Rng) -> Place {
    let at = chance.usize(0..=emulator.servers().len());
    at.checked_sub(1).map_or(Place::Api, Place::Server)
}

/// On any call, some of its times.
fn strike(emulator: &Emulator, action: Action, (chance, table): (&mut fastrand::Rng, &mut Table)) {
    table.strike(&name(&action));
    let operation = Operation::UPLOAD[chance.usize(0..Operation::UPLOAD.len())];
    let mut fault = Fault::on(operation, action);
    if chance.bool() {
        fault.operation = None;
    }
    emulator.inject(ordinal(fault, chance));
}

fn ordinal(fault: Fault, chance: &mut fastrand::Rng) -> Fault {
    match chance.bool() {
        true => fault.nth(chance.u64(1..4)),
        false => fault.every(chance.u64(3..9)),
    }
}

fn name(action: &Action) -> String {
    match action {
        Action::Http { status, page, .. } => return format!("{status} {page:?}").to_lowercase(),
        Action::Answer { status, .. } => return format!("{status} redirect"),
        _ => {}
    }
    let told = format!("{action:?}");
    let end = told.find([' ', '{']).unwrap_or(told.len());
    let told = &told[..end];
    told.split_once("(After(")
        .map_or(told, |_| "Close(After)")
        .to_owned()
}
