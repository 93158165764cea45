//! Decisions without a clock and without I/O: repeat, how many at once, how fast, where, over what.
//! In: what happened and when (`Instant`), what it cost (bytes, durations) and chance (a generator).
//! Out: plain values that the conductor acts on. Never: sleeping, locking, reading a clock, a socket.

pub mod bandwidth;
pub mod failure;
pub mod hedge;
pub mod limit;
pub mod lull;
pub mod rate;
pub mod retry;
pub mod room;
pub mod scores;
pub mod version;

pub use bandwidth::{Bandwidth, USUAL_SLICE, bodies_in_time, check_rate, rate_in_time};
pub use failure::SharedFailure;
pub use hedge::{Hedge, Pace, Queue, Straggler};
pub use limit::{CongestionSignal, Found, Limit, LimitSettings, Queued, Seen, Steering};
pub use lull::Lull;
pub use rate::{CallRates, Rate, RateSettings};
pub use retry::{Attempt, Decision, Patience, Repeat, Retry, RetryBudget};
pub use room::{LinkState, Room};
pub use scores::ServerScores;
pub use version::Trial;
