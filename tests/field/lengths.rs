//! Files whose size is not their length.
