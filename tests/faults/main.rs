//! A row for each fault on each operation: how the file ends, and exactly how many calls of each
//! operation that took. The emulator counts; nothing here looks inside the client.

mod answers;
#[path = "../common/mod.rs"]
mod common;
mod cuts;
mod limits;
mod row;
mod runs;
mod servers;
mod tokens;
