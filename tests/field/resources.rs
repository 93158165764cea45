//! File descriptors, threads, memory and file sizes that run out.
