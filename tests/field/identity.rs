//! What identifies an upload: its target, MD5 and size, not inode, times or token.
