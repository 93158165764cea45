//! One slice's way from the channel to its acknowledgement. The dispatcher takes a slice, waits
//! for a permit, and sets an attempt going; the attempt ends with an ack or fails its file.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::Receiver;
use tokio::runtime::Handle;

use super::attempt::{Attempts, Load, Next, Terms, carry_hedged};
use super::broken::trip;
use super::feed::Slice;
use super::gate::{Gate, Permit};
use super::run::Shared;
use crate::digest::{self, Md5};
use crate::error::{Error, Kind, Operation, Result};
use crate::journal::Ack;
use crate::policy::Repeat;
use crate::service::SliceCall;

/// Sets slices going as permits allow, until no more can come. Runs on a thread of its own: both
/// the channel and the gate make it wait.
pub fn dispatch(slices: &Receiver<Slice>, gate: &Arc<Gate>, runtime: &Handle) {
    for slice in slices {
        #[cfg(test)]
        drop(trip::here(trip::Step::Dispatch, slice.file.source.path()));
        let permit = runtime.block_on(gate.enter());
        runtime.spawn(send(slice, permit));
    }
}

/// Sends one slice until it is acknowledged or its file fails.
async fn send(mut slice: Slice, permit: Permit) {
    let file = Arc::clone(&slice.file);
    file.shared.backlog.fetch_sub(1, Ordering::Relaxed);
    if file.shared.is_draining() {
        return file.land();
    }
    let Some(_flight) = file.depart() else { return };
    let shared = Arc::clone(&file.shared);
    let outcome = tokio::select! {
        outcome = attempts(&shared, &slice, permit) => outcome,
        // The file failed elsewhere, or its task is gone: dropping the attempt drops the body.
        () = file.closed() => return,
    };
    match outcome {
        Ok(()) => acked(&mut slice),
        // The others in flight may still land.
        Err(error) if error.kind() == Kind::Cancelled => file.land(),
        Err(error) => file.fail(error),
    }
}

fn acked(slice: &mut Slice) {
    slice.arrived = true;
    let file = &slice.file;
    file.shared
        .core
        .journal
        .ack(file.journal, Ack::new(slice.number));
    file.source.release(file.plan.range(slice.number));
    file.acked(slice.content.len() as u64);
}

async fn attempts(shared: &Shared, slice: &Slice, permit: Permit) -> Result<()> {
    let file = &slice.file;
    trip::here(trip::Step::Slice, file.source.path())?;
    let terms = Terms {
        repeat: Repeat::Safe,
        allowance: &file.allowance,
    };
    let mut attempts = Attempts::new(shared, terms);
    let load = Load {
        crew: Arc::clone(&file.crew),
        bytes: slice.content.len() as u64,
        sent: Arc::clone(&file.sent),
    };
    let mut call = SliceCall {
        preupload_id: Arc::clone(&file.preupload_id),
        number: slice.number,
        md5: slice.md5,
        content: slice.content.clone(),
    };
    let mut avoid = Vec::new();
    let mut permit = Some(permit);
    loop {
        let permit = match permit.take() {
            Some(permit) => permit,
            None => shared.core.gate.enter().await,
        };
        // The permit is kept meanwhile: while every call pauses, no slice more sets out.
        tokio::select! {
            () = shared.core.rates.calm() => {}
            () = shared.draining() => return Err(Shared::cancelled()),
        }
        let token = attempts.token().await?;
        let booking = load.berth(shared, &avoid).await;
        let server = booking.server();
        let once = |carriage| {
            let (service, token, call) = (shared.core.service.clone(), token.clone(), call.clone());
            async move {
                service
                    .slice(token.expose(), &call, &carriage)
                    .await
                    .map(|travelled| ((), Some(travelled)))
            }
        };
        let error = match carry_hedged(shared, &load, (booking, permit), &once).await {
            Ok(()) => {
                attempts.succeeded(Operation::Slice);
                return Ok(());
            }
            Err(error) => error,
        };
        // A file that changed under the attempt is not repeated: its bytes are not the file's. Refused
        // credentials say nothing of it, and are to end the run before more is sent.
        if error.kind() != Kind::Auth {
            file.contents.check(shared, Operation::Slice).await?;
        }
        match attempts.failed(error).await.map_err(corrupted_in_transit)? {
            Next::Again { elsewhere: true } => avoid_server(&mut avoid, server, load.crew.len()),
            Next::Again { elsewhere: false } => {}
            Next::Rehash => call.md5 = rehash(slice).await?,
        }
    }
}

/// A slice whose MD5 is refused twice, with the same bytes hashed anew in between: what leaves here
/// is not what arrives there, and the file cannot be trusted to arrive.
fn corrupted_in_transit(error: Error) -> Error {
    match error.kind() {
        Kind::Integrity => error
            .with_kind(Kind::Source)
            .context("the slice's MD5 was refused twice"),
        _ => error,
    }
}

/// Servers that failed this slice are avoided until all of them have.
fn avoid_server(avoid: &mut Vec<usize>, server: usize, crew: usize) {
    avoid.push(server);
    if avoid.len() >= crew {
        avoid.clear();
    }
}

/// The service refused the MD5: the bytes are hashed again where they lie. Another digest than
/// before means that they changed, whatever the file's times say; or, where it came from the
/// journal, that the journal is wrong. Then the end will tell whether the whole file's is as well.
async fn rehash(slice: &Slice) -> Result<Md5> {
    let content = slice.content.clone();
    let again = tokio::task::spawn_blocking(move || digest::md5(&content)).await;
    let file = &slice.file;
    match again {
        Ok(md5) if md5 == slice.md5 => Ok(md5),
        Ok(md5) if file.remembered.is_some() => {
            file.forget_hashes();
            Ok(md5)
        }
        _ => Err(Error::new(
            Kind::Source,
            Operation::Check,
            "the contents changed while the file was sent",
        )
        .with_path(slice.file.source.path())
        .with_slice(slice.number)),
    }
}
