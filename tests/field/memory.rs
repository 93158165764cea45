//! Memory sized by numbers of others.
