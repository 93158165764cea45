//! Signals end the process in seconds, whatever is locked or blocked.
