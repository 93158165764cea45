//! Another user of the link: one TCP connection that sends as fast as it can. In come two namespaces that a
//! pump joins, out goes how much has arrived. It never outlives its cell.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::tun::{Net, SERVER};

/// A connection that sends until this is dropped.
pub struct Rival {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    arrived: AtomicU64,
    stop: AtomicBool,
}

impl Rival {
    /// Begins to send.
    ///
    /// # Errors
    /// Where it cannot connect.
    pub fn start(net: &Net) -> io::Result<Rival> {
        let listener = net.server.inside(|| TcpListener::bind((SERVER, PORT)))?;
        let sender = net.client.inside(|| TcpStream::connect((SERVER, PORT)))?;
        let (receiver, _) = listener.accept()?;
        sender.set_write_timeout(Some(LOOK))?;
        receiver.set_read_timeout(Some(LOOK))?;
        let shared = Arc::<Shared>::default();
        let threads = [Arc::clone(&shared), Arc::clone(&shared)];
        let [ours, theirs] = threads;
        Ok(Rival {
            shared,
            threads: vec![
                std::thread::spawn(move || send(sender, &ours)),
                std::thread::spawn(move || receive(receiver, &theirs)),
            ],
        })
    }

    /// Bytes that have arrived.
    pub fn arrived(&self) -> u64 {
        self.shared.arrived.load(Ordering::Relaxed)
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn send(mut to: TcpStream, shared: &Shared) {
    let zeros = vec![0; PIECE];
    while !shared.stop.load(Ordering::Relaxed) {
        match to.write(&zeros) {
            Ok(_) => {}
            Err(error) if is_late(&error) => {}
            Err(_) => return,
        }
    }
}

fn receive(mut from: TcpStream, shared: &Shared) {
    let mut bytes = vec![0; PIECE];
    while !shared.stop.load(Ordering::Relaxed) {
        match from.read(&mut bytes) {
            Ok(0) => return,
            Ok(length) => {
                let length = length as u64;
                shared.arrived.fetch_add(length, Ordering::Relaxed);
            }
            Err(error) if is_late(&error) => {}
            Err(_) => return,
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Where it listens.
const PORT: u16 = 9;

/// How often it looks whether it shall stop.
const LOOK: Duration = Duration::from_millis(200);

/// What it sends at once.
const PIECE: usize = 64 << 10;
