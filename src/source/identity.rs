//! A file's identity. In: what the system says about a file, then and now. Out: the [`Change`] between
//! the two, or none. Never: a look at the disk; this is arithmetic.

use std::fmt;

/// Which file, in which state: everything the system tells that an edit would alter.
///
/// What it cannot tell: an edit within one tick of the file system's clock (up to 10 ms before
/// Linux 6.13, 2 s on FAT) that keeps the size, and stores through another process's map that
/// the kernel has not yet noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The device that holds the file.
    pub dev: u64,
    /// The file's number on that device.
    pub inode: u64,
    /// Length in bytes.
    pub size: u64,
    /// Last change of the contents, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of contents or attributes, nanoseconds since 1970. It cannot be set back,
    /// which is why it counts although a `chmod` moves it too.
    pub ctime_ns: i64,
}

/// How a file differs from what was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Its path names another file now.
    Replaced,
    /// It is shorter.
    Truncated {
        /// Bytes when it was opened.
        from: u64,
        /// Bytes now.
        to: u64,
    },
    /// It is longer.
    Grown {
        /// Bytes when it was opened.
        from: u64,
        /// Bytes now.
        to: u64,
    },
    /// Same length, written to since.
    Edited,
    /// Only the change time moved: attributes, or contents whose times were set back.
    Touched,
    /// Unchanged to the eye, but a page of its map could not be read.
    Unreadable,
}

impl Identity {
    /// How many bytes [`to_bytes`](Self::to_bytes) makes.
    pub const BYTES: usize = 32;

    /// The difference between this and `open`, the same descriptor now, or `named`, what its
    /// path leads to now (`None`: the path is gone).
    #[must_use]
    pub fn change(&self, open: &Identity, named: Option<&Identity>) -> Option<Change> {
        let other = |now: &Identity| (now.dev, now.inode) != (self.dev, self.inode);
        if named.is_some_and(other) || other(open) {
            return Some(Change::Replaced);
        }
        let (from, to) = (self.size, open.size);
        match () {
            () if to < from => Some(Change::Truncated { from, to }),
            () if to > from => Some(Change::Grown { from, to }),
            () if open.mtime_ns != self.mtime_ns => Some(Change::Edited),
            // Deleting a file moves its change time (one link less) and changes no byte of it.
            () if open.ctime_ns != self.ctime_ns && named.is_some() => Some(Change::Touched),
            () => None,
        }
    }

    /// The identity as the journal keeps it: without the device, whose number is right for one
    /// mount only. Another loop device, another USB port or a reboot changes it and no file.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let fields = [
            self.inode.to_le_bytes(),
            self.size.to_le_bytes(),
            self.mtime_ns.to_le_bytes(),
            self.ctime_ns.to_le_bytes(),
        ];
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field);
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; the device is 0.
    #[cfg(any(test, feature = "internals"))]
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Identity {
        let (fields, _) = bytes.as_chunks::<8>();
        Identity {
            dev: 0,
            inode: u64::from_le_bytes(fields[0]),
            size: u64::from_le_bytes(fields[1]),
            mtime_ns: i64::from_le_bytes(fields[2]),
            ctime_ns: i64::from_le_bytes(fields[3]),
        }
    }
}

impl Change {
    /// Whether its bytes are others for certain. The system moves times and numbers of a file for
    /// other reasons too: a mode, a link, a copy of it that takes its place, a file system without
    /// numbers of its own.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        match self {
            Change::Truncated { .. } | Change::Grown { .. } => true,
            Change::Replaced | Change::Edited | Change::Touched | Change::Unreadable => false,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Replaced => write!(f, "replaced by another file"),
            Change::Truncated { from, to } => write!(f, "truncated from {from} to {to} bytes"),
            Change::Grown { from, to } => write!(f, "grown from {from} to {to} bytes"),
            Change::Edited => write!(f, "modified in place"),
            Change::Touched => write!(f, "its change time moved (attributes or contents)"),
            Change::Unreadable => write!(
                f,
                "a part of it could not be read (truncated for a moment, or a disk error)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENED: Identity = Identity {
        dev: 1,
        inode: 2,
        size: 100,
        mtime_ns: -3,
        ctime_ns: 4,
    };

    #[test]
    fn each_change_has_its_name() {
        let name = |now: Identity| {
            OPENED
                .change(&now, Some(&now))
                .map(|change| change.to_string())
        };
        assert_eq!(name(OPENED), None);
        assert_eq!(
            name(Identity { size: 7, ..OPENED }).unwrap(),
            "truncated from 100 to 7 bytes"
        );
        assert_eq!(
            name(Identity {
                size: 101,
                ..OPENED
            })
            .unwrap(),
            "grown from 100 to 101 bytes"
        );
        assert_eq!(
            name(Identity {
                mtime_ns: 5,
                ..OPENED
            })
            .unwrap(),
            "modified in place"
        );
        assert_eq!(
            OPENED.change(
                &Identity {
                    ctime_ns: 5,
                    ..OPENED
                },
                Some(&OPENED)
            ),
            Some(Change::Touched)
        );
    }

    #[test]
    fn another_inode_or_device_behind_the_path_is_a_replacement_whatever_else_changed() {
        for now in [
            Identity { inode: 3, ..OPENED },
            Identity { dev: 3, ..OPENED },
        ] {
            assert_eq!(OPENED.change(&OPENED, Some(&now)), Some(Change::Replaced));
            assert_eq!(
                OPENED.change(&Identity { size: 0, ..OPENED }, Some(&now)),
                Some(Change::Replaced)
            );
        }
    }

    /// A mode, a link, a copy in its place, a file system without numbers of its own.
    #[test]
    fn numbers_and_times_leave_it_open_and_the_length_does_not() {
        let certain = |now: Identity| {
            let change = OPENED.change(&now, Some(&now)).expect("a change");
            change.is_certain()
        };
        let moved = [
            Identity { dev: 9, ..OPENED },
            Identity { inode: 9, ..OPENED },
            Identity {
                mtime_ns: 9,
                ..OPENED
            },
            Identity {
                ctime_ns: 9,
                ..OPENED
            },
        ];
        assert_eq!(moved.map(certain), [false; 4]);
        let resized = [9, 101].map(|size| Identity { size, ..OPENED });
        assert_eq!(resized.map(certain), [true; 2]);
    }

    #[test]
    fn a_deleted_file_may_move_its_change_time_and_nothing_else() {
        let gone = |now: Identity| OPENED.change(&now, None);
        assert_eq!(
            gone(Identity {
                ctime_ns: 9,
                ..OPENED
            }),
            None
        );
        assert_eq!(
            gone(Identity {
                ctime_ns: 9,
                mtime_ns: 9,
                ..OPENED
            }),
            Some(Change::Edited)
        );
        assert_eq!(
            gone(Identity { size: 1, ..OPENED }),
            Some(Change::Truncated { from: 100, to: 1 })
        );
    }

    #[test]
    fn bytes_round_trip_and_every_field_but_the_device_counts() {
        let identity = Identity {
            dev: 0,
            inode: 1,
            size: 1 << 40,
            mtime_ns: i64::MIN,
            ctime_ns: -1,
        };
        assert_eq!(Identity::from_bytes(&identity.to_bytes()), identity);
        let remounted = Identity { dev: 7, ..identity };
        assert_eq!(remounted.to_bytes(), identity.to_bytes());
        for place in 0..Identity::BYTES {
            let mut bytes = identity.to_bytes();
            bytes[place] ^= 1;
            assert_ne!(Identity::from_bytes(&bytes), identity, "byte {place}");
        }
    }
}
