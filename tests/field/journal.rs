//! What the journal keeps, whatever the clock, the disk or another process does.
