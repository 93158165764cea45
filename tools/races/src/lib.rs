//! Who goes when: the limiter and a pool's host under schedules made by chance. In: their files, as
//! they are. Out: scenes, each of which one run plays once, and the drawing of schedules for them.
//! Never: a change of what is tested; its surroundings are changed instead.
//!
//! In this crate `std` has a `Mutex`, and `tokio` has tasks, that belong to the scheduler of the
//! `shuttle` crate: it runs one task at a time and draws, at each lock, channel and wake-up, which one
//! goes on. What failed is printed and can be played again.

// The tests inside the library's files are for the real `std` and `tokio`.
#![cfg(not(test))]

extern crate races_std as std;

pub mod chance;
#[path = "../../../src/error.rs"]
pub mod error;
#[path = "../../../src/http.rs"]
pub mod http;
#[path = "../../../src/transfer/limiter.rs"]
pub mod limiter;
pub mod net;
#[path = "../../../src/policy/mod.rs"]
pub mod policy;
#[path = "../../../src/sync.rs"]
pub mod sync;
// More of it than errors ask for.
#[allow(dead_code, unused_imports)]
#[path = "../../../src/system/mod.rs"]
pub mod system;
