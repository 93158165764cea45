//! The upload service on loopback.
