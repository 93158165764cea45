//! panup
