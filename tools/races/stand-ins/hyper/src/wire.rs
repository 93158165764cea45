//! One connection as its ends see it. In: requests sent and answered, handles made and dropped, a
//! cut. Out: what the one who drives it waits for. Never: a moment at which another task could run;
//! whatever happens here happens at once.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::Error;

/// A connection.
#[derive(Debug)]
pub struct Wire {
    id: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ends: Ends,
    exchange: Exchange,
    /// Whether the handle that the handshake gave still exists.
    kept: bool,
    handles: usize,
    wakers: Vec<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Joined,
    Cut,
}

/// Where HTTP/1.1's one request is, or HTTP/2's last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exchange {
    None,
    Sent,
    /// The reply was read, and the driver has not turned since: hyper is not ready yet.
    Answered,
}

/// What a driver waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// A reply was read.
    Answered,
    /// The wire is cut, or nobody can send on it any more.
    Over,
}

/// Which of a wire's handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handle {
    /// The one that the handshake gave.
    First,
    /// A clone.
    Further,
}

impl Wire {
    /// A connection just made; `id` is the test's name for it.
    #[must_use]
    pub fn new(id: usize) -> Self {
        Wire {
            id,
            state: Mutex::new(State {
                ends: Ends::Joined,
                exchange: Exchange::None,
                kept: false,
                handles: 0,
                wakers: Vec::new(),
            }),
        }
    }

    /// The test's name for it.
    #[must_use]
    pub fn id(&self) -> usize {
        self.id
    }

    /// Ends it, from either side.
    pub fn cut(&self) {
        self.change(|state| state.ends = Ends::Cut);
    }

    /// Whether it was ended.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.state().ends == Ends::Cut
    }

    /// Whether the handle that the handshake gave still exists.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.state().kept
    }

    /// Whether HTTP/1.1's next request may be sent.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let state = self.state();
        state.ends == Ends::Joined && state.exchange == Exchange::None
    }

    /// HTTP/1.1's only request leaves.
    pub fn send(&self) {
        self.change(|state| state.exchange = Exchange::Sent);
    }

    /// A reply was read to the end.
    pub fn answer(&self) {
        self.change(|state| state.exchange = Exchange::Answered);
    }

    /// The driver made itself ready for the next request.
    pub fn turn_over(&self) {
        self.change(|state| state.exchange = Exchange::None);
    }

    /// Waits for the driver's next turn.
    pub async fn turn(&self) -> Turn {
        self.wait(|state| match (state.ends, state.exchange) {
            (Ends::Cut, _) => Some(Turn::Over),
            (Ends::Joined, _) if state.handles == 0 => Some(Turn::Over),
            (Ends::Joined, Exchange::Answered) => Some(Turn::Answered),
            _ => None,
        })
        .await
    }

    /// Waits until it is cut.
    pub async fn end(&self) {
        self.wait(|state| (state.ends == Ends::Cut).then_some(()))
            .await;
    }

    pub(crate) async fn ready(&self) -> Result<(), Error> {
        self.wait(|state| match (state.ends, state.exchange) {
            (Ends::Cut, _) => Some(Err(Error)),
            (Ends::Joined, Exchange::None) => Some(Ok(())),
            _ => None,
        })
        .await
    }

    pub(crate) fn handle_made(&self, handle: Handle) {
        self.change(|state| {
            state.handles += 1;
            state.kept |= handle == Handle::First;
        });
    }

    pub(crate) fn handle_dropped(&self, handle: Handle) {
        self.change(|state| {
            state.handles -= 1;
            state.kept &= handle != Handle::First;
        });
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    async fn wait<T>(&self, seen: impl Fn(&State) -> Option<T>) -> T {
        poll_fn(|cx: &mut Context<'_>| {
            let mut state = self.state();
            match seen(&state) {
                Some(found) => Poll::Ready(found),
                None => {
                    state.wakers.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A failed assertion elsewhere is what is to be reported.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
