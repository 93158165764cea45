//! What a folder lies on. In: a folder, which need not be there yet. Out: the network file system's name, if
//! it is one. Never: a guess; a file system that is not known is a local one.

use std::path::Path;

/// The name of the network file system on which `folder` is, or would be made. SQLite's log is shared
/// memory: on such a file system, two machines damage the database.
#[must_use]
pub fn network_file_system(folder: &Path) -> Option<String> {
    let folder = std::path::absolute(folder).ok()?;
    folder.ancestors().find_map(system::name_of)?
}

#[cfg(target_os = "linux")]
mod system {
    use std::path::Path;

    /// `None` where there is no such folder.
    pub(super) fn name_of(folder: &Path) -> Option<Option<String>> {
        let facts = rustix::fs::statfs(folder).ok()?;
        let real = folder.canonicalize().ok()?;
        let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        // As the kernel's table has it: 32 bits, whatever the field's width.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let magic = facts.f_type as u32;
        Some(super::named(magic, || super::fuse_of(&mounts(), &real)))
    }
}

#[cfg(target_os = "macos")]
mod system {
    use std::path::Path;

    /// `None` where there is no such folder. The kernel says of each mount whether it is local, those of
    /// FUSE included.
    pub(super) fn name_of(folder: &Path) -> Option<Option<String>> {
        let facts = rustix::fs::statfs(folder).ok()?;
        if facts.f_flags & libc::MNT_LOCAL.cast_unsigned() != 0 {
            return Some(None);
        }
        let bytes = facts
            .f_fstypename
            .iter()
            .map(|&byte| byte.cast_unsigned())
            .take_while(|&byte| byte != 0)
            .collect::<Vec<u8>>();
        Some(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

#[cfg(windows)]
mod system {
    use std::path::{Component, Path, Prefix};

    /// `None` where there is no such folder.
    pub(super) fn name_of(folder: &Path) -> Option<Option<String>> {
        // What a letter of a drive stands for is looked up as well.
        folder.canonicalize().ok().map(|real| share_of(&real))
    }

    /// The machine that it is a share of.
    pub(super) fn share_of(path: &Path) -> Option<String> {
        let Some(Component::Prefix(prefix)) = path.components().next() else {
            return None;
        };
        match prefix.kind() {
            Prefix::UNC(server, _) | Prefix::VerbatimUNC(server, _) => {
                Some(format!(r"\\{}", server.display()))
            }
            _ => None,
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
mod system {
    pub(super) fn name_of(_folder: &std::path::Path) -> Option<Option<String>> {
        Some(None)
    }
}

/// By the number that the kernel gives; `fuse` tells what stands behind that of FUSE, of which most are
/// local.
#[cfg(any(target_os = "linux", test))]
fn named(magic: u32, fuse: impl FnOnce() -> Option<String>) -> Option<String> {
    if magic == FUSE {
        let name = fuse()?;
        return NETWORK_FUSE
            .iter()
            .any(|known| name.contains(known))
            .then_some(name);
    }
    let found = MAGICS.iter().find(|(known, _)| *known == magic);
    found.map(|(_, name)| (*name).to_owned())
}

/// The kind of the file system that `path`, without links, is on, by the kernel's list of mounts.
#[cfg(any(target_os = "linux", test))]
fn fuse_of(mounts: &str, path: &Path) -> Option<String> {
    let mount = |line: &str| {
        let (place, what) = line.split_once(" - ")?;
        let place = place.split(' ').nth(4)?.replace("\\040", " ");
        let (kind, source) = what.split_once(' ')?;
        // "fuse" alone: its source is all that is told.
        let kind = match kind {
            "fuse" => source.split(' ').next()?,
            kind => kind.strip_prefix("fuse.").unwrap_or(kind),
        };
        let holds = path.starts_with(&place);
        holds.then(|| (place.len(), kind.to_owned()))
    };
    // The last one of a place hides those before it.
    let found = mounts
        .lines()
        .filter_map(mount)
        .max_by_key(|(length, _)| *length);
    found.map(|(_, kind)| kind)
}

#[cfg(any(target_os = "linux", test))]
const FUSE: u32 = 0x6573_5546;

/// From `linux/magic.h` and the file systems' own headers.
#[cfg(any(target_os = "linux", test))]
const MAGICS: [(u32, &str); 12] = [
    (0x0000_6969, "nfs"),
    (0x0000_517b, "smbfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb3"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "ceph"),
    (0x0bd0_0bd0, "lustre"),
    (0x4750_4653, "gpfs"),
    (0x1983_0326, "beegfs"),
    (0x2003_0528, "orangefs"),
    (0x5346_414f, "afs"),
    (0x7375_7245, "coda"),
];

/// Parts of the names under which these mount.
#[cfg(any(target_os = "linux", test))]
const NETWORK_FUSE: [&str; 18] = [
    "sshfs",
    "rclone",
    "s3",
    "gcsfuse",
    "goofys",
    "gluster",
    "ceph",
    "juicefs",
    "curlftp",
    "davfs",
    "smbnetfs",
    "blobfuse",
    "seaweedfs",
    "mfs",
    "lizardfs",
    "nfs",
    "hdfs",
    "alluxio",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_numbers() {
        let none = || None;
        assert_eq!(named(0x6969, none).as_deref(), Some("nfs"));
        assert_eq!(named(0xff53_4d42, none).as_deref(), Some("cifs"));
        assert_eq!(named(0x0102_1997, none).as_deref(), Some("9p"));
        for local in [0xef53, 0x0102_1994, 0x9123_683e, 0x794c_7630] {
            assert_eq!(named(local, none), None, "{local:x}");
        }
    }

    #[test]
    fn of_fuse_the_mount_tells() {
        let mounts = "\
22 1 254:0 / / rw shared:1 - fuse.fuse-overlayfs overlay rw
23 22 0:50 / /home rw - nfs4 server:/home rw
24 22 0:51 / /data\\040disk/far rw - fuse.sshfs me@there: rw
25 22 0:52 / /data\\040disk/far/near rw - fuse.gocryptfs /x rw
26 22 0:53 / /bucket rw - fuse rclone: rw
";
        let of = |path: &str| named(FUSE, || fuse_of(mounts, Path::new(path)));
        assert_eq!(of("/data disk/far/state").as_deref(), Some("sshfs"));
        assert_eq!(of("/bucket").as_deref(), Some("rclone:"));
        for local in [
            "/data disk/far/near/state",
            "/data disk/farther",
            "/var",
            "/",
        ] {
            assert_eq!(of(local), None, "{local}");
        }
    }

    #[cfg(windows)]
    #[test]
    fn a_share_is_known_by_its_server() {
        let of = |path| system::share_of(Path::new(path));
        assert_eq!(of(r"\\nas\data\状态").as_deref(), Some(r"\\nas"));
        assert_eq!(of(r"\\?\UNC\nas\data\x").as_deref(), Some(r"\\nas"));
        for local in [r"C:\x", r"\\?\C:\x", "x", r"\x"] {
            assert_eq!(of(local), None, "{local}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_where_it_would_be_made() {
        let folder = tempfile::tempdir().expect("a folder");
        // Whatever the test runs on, both are on the same.
        let deep = folder.path().join("a/b/c");
        assert_eq!(
            network_file_system(&deep),
            network_file_system(folder.path())
        );
    }
}
