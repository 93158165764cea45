//! panup
fn main() {}
