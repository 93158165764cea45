//! Files whose size is not their length.

use std::path::{Path, PathBuf};

use panup::{HashOptions, Input, Item, Status, digest, hash_files};
use panup_emulator::Config;

use super::common::program::{finish, panup};
use super::common::{Scene, upload};

/// Files of the kernel: the first kind says 4096 of what has some bytes, the second says 0.
const UNTRUE: [&str; 2] = ["/sys/class/net/lo/address", "/proc/version"];

fn there() -> impl Iterator<Item = PathBuf> {
    UNTRUE.iter().map(PathBuf::from).filter(|path| {
        let there = path.exists();
        if !there {
            eprintln!("skipped: no {}", path.display());
        }
        there
    })
}

fn contents(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("readable")
}

#[test]
fn hash_reads_to_the_end_whatever_the_size_says() {
    for path in there() {
        let contents = contents(&path);
        for maps in [true, false] {
            let mut options = HashOptions::default();
            options.maps = maps;
            options.slice_size = Some(10);
            let mut sums = hash_files([Input::File(path.clone())], &options).expect("threads");
            let sum = sums.next().expect("one").sum.expect("hashed");
            assert_eq!(
                (sum.md5, sum.size),
                (digest::md5(&contents), contents.len() as u64)
            );
            let slices = sum.slices_of(10).expect("asked for");
            assert_eq!(slices.len(), contents.len().div_ceil(10));
        }
        let home = tempfile::tempdir().expect("a folder");
        let finished = finish(panup(home.path()).arg("hash").arg(&path)).exit(0);
        assert!(
            finished
                .stdout
                .starts_with(&digest::md5(&contents).to_string())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_file_is_sent_at_its_real_length() {
    for single_max in [4 << 20, 0] {
        let scene = Scene::new(Config::default());
        let mut options = scene.options();
        options.single_max = single_max;
        let client = panup::Client::new(options).expect("sound");
        for path in there() {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let item = Item::new(&path).to(0, &name);
            let outcome = upload(&client, [item]).await.remove(0);
            assert!(matches!(outcome.status, Status::Uploaded(_)), "{outcome:?}");
            let expected = contents(&path);
            assert_eq!(outcome.size, expected.len() as u64);
            let kept = scene.stored(&name).local.expect("stored");
            assert_eq!(contents(&kept), expected);
        }
    }
}
