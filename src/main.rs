//! panup
fn main(){}
