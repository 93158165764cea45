//! Calls that hang: every limit fires, over every version of HTTP.
