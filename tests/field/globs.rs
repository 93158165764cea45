//! Patterns that choose files, from any working folder.
