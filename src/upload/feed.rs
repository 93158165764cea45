//! From planned files to hashed slices. Feeders take planned files in turn, a few slices of each,
//! hash them in lanes (which also faults their pages in), and push them into a bounded channel:
//! when it is full, the disk waits.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, TryRecvError};

use super::broken::{broken, trip};
use super::sending::Sending;
use crate::digest::{self, Md5};
use crate::error::{Error, Kind, Operation, Result};
use crate::plan::Left;

/// A slice on its way: a view of the file where it lies, and the MD5 of just these bytes.
#[derive(Debug)]
pub struct Slice {
    /// The file it belongs to.
    pub file: Arc<Sending>,
    /// Its number from 1.
    pub number: u32,
    /// Its MD5.
    pub md5: Md5,
    /// Its bytes.
    pub content: Bytes,
    /// It was acknowledged.
    pub arrived: bool,
}

/// A slice that is lost on its way, by a panic of whoever had it, fails its file.
impl Drop for Slice {
    fn drop(&mut self) {
        if !self.arrived && !self.file.is_over() {
            self.file
                .fail(broken(Operation::Slice).with_slice(self.number));
        }
    }
}

/// A planned file and the slices that are left to send.
#[derive(Debug)]
pub struct Order {
    /// The file.
    pub file: Arc<Sending>,
    /// The slices left.
    pub left: Left,
}

/// What is left when a file is over is never sent, and has no waiter. What is left of another one is
/// lost, by a panic of the feeder.
impl Drop for Order {
    fn drop(&mut self) {
        let left = self.left.len() as u64;
        self.file.shared.backlog.fetch_sub(left, Ordering::Relaxed);
        if left > 0 && !self.file.is_over() {
            self.file.fail(broken(Operation::Slice));
        }
    }
}

/// Slices hashed at a time: two groups of eight lanes, the widest kernel's worth.
const GROUP: usize = 16;

/// Bytes hashed at a time: of very large slices fewer, so that the first one is soon on its way.
const GROUP_BYTES: u64 = 256 << 20;

/// Feeds until all orders are done and no more can come. Runs on a thread of the feeders' pool.
pub fn run(orders: &Receiver<Order>, slices: &Sender<Slice>) {
    let mut turn: VecDeque<Order> = VecDeque::new();
    loop {
        // Fair between files: every file gets a group, then goes to the back.
        match if turn.is_empty() {
            orders.recv().map_err(|_| TryRecvError::Disconnected)
        } else {
            orders.try_recv()
        } {
            Ok(order) => turn.push_back(order),
            Err(TryRecvError::Disconnected) if turn.is_empty() => return,
            Err(_) => {}
        }
        let Some(mut order) = turn.pop_front() else {
            continue;
        };
        if order.file.is_over() {
            continue;
        }
        let fed = catch_unwind(AssertUnwindSafe(|| group(&mut order)));
        match fed.unwrap_or_else(|_| Err(broken(Operation::Read))) {
            Ok(group) => {
                for slice in group {
                    // The dispatcher is gone, and each slice tells its file.
                    if slices.send(slice).is_err() {
                        return;
                    }
                }
            }
            Err(error) => order.file.fail(error),
        }
        if !order.left.is_empty() {
            turn.push_back(order);
        }
    }
}

fn group(order: &mut Order) -> Result<Vec<Slice>> {
    let file = Arc::clone(&order.file);
    trip::here(trip::Step::Feed, file.source.path())?;
    let room = usize::try_from(GROUP_BYTES / file.plan.slice_size().max(1))
        .unwrap_or(GROUP)
        .clamp(1, GROUP);
    // They leave the order when they are slices: until then they count as left to send.
    let mut numbers: Vec<u32> = order.left.numbers().take(room).collect();
    let contents = contents(&file, &numbers)?;
    numbers.truncate(contents.len());
    let digests = file
        .known_digests(&numbers)
        .unwrap_or_else(|| hash(&contents));
    // What was read through a spoiled map is not the file's; its digest must not leave.
    if file.source.is_spoiled() {
        file.source.check(Operation::Read)?;
        return Err(Error::new(
            Kind::Source,
            Operation::Read,
            "the file was truncated while it was read",
        )
        .with_path(file.source.path()));
    }
    order.left.take_off(numbers.len());
    let slices = numbers.into_iter().zip(digests).zip(contents);
    Ok(slices
        .map(|((number, md5), content)| Slice {
            file: Arc::clone(&file),
            number,
            md5,
            content,
            arrived: false,
        })
        .collect())
}

/// The bytes of these slices, or of the first ones where there is not memory for all: whoever holds
/// some of it must not wait for more.
fn contents(file: &Sending, numbers: &[u32]) -> Result<Vec<Bytes>> {
    let memory = &file.shared.core.memory;
    let mut contents = Vec::with_capacity(numbers.len());
    for &number in numbers {
        let range = file.plan.range(number);
        if contents.is_empty() {
            contents.push(file.source.bytes(range, memory)?);
        } else if let Some(content) = file.source.try_bytes(range, memory)? {
            contents.push(content);
        } else {
            break;
        }
    }
    Ok(contents)
}

fn hash(contents: &[Bytes]) -> Vec<Md5> {
    let streams: Vec<&[u8]> = contents.iter().map(AsRef::as_ref).collect();
    digest::batch(&streams)
}
