//! Checkpoints that travel, and those that are refused.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::{TempDir, tempdir};

use crate::digest::{FileDigest, Md5};
use crate::error::Kind;
use crate::journal::{Account, Ack, Begun, Journal, Settings, Task};
use crate::source::Identity;
use crate::wire::{Conflict, Created, Remote};

#[test]
fn what_one_machine_did_another_knows() {
    let scene = Scene::new();
    let (open, done) = (task("a", "open"), task("a", "done"));
    {
        let journal = scene.journal();
        let id = journal.begin(&open, MD5, &created());
        for slice in [1, 3, 1000] {
            journal.ack(id, Ack::new(slice));
        }
        journal.finish(&done, MD5, Some(7));
        let gone = journal.begin(&task("a", "gone"), MD5, &created());
        journal.abandon(gone);
        let digest = FileDigest::new(MD5, SIZE).with_slices(16, vec![MD5; 1001]);
        journal.remember(&open.path, &open.identity, digest);
    }
    let journal = scene.journal();
    // Read from another path, with another number and other times.
    let found = journal.at(&task("b", "open"), &MD5);
    let Some(Begun::Upload(upload)) = found.begun else {
        panic!("{found:?}")
    };
    assert_eq!(upload.created, created());
    let acked: Vec<u32> = (1..=1001)
        .filter(|&slice| upload.acked.has(slice))
        .collect();
    assert_eq!(acked, [1, 3, 1000]);
    let finished = journal.at(&task("b", "done"), &MD5).finished;
    assert_eq!(finished.expect("known").file_id, Some(7));
    assert!(journal.at(&task("b", "gone"), &MD5).begun.is_none());
    // The machine that hashed a file need not do so again.
    let known = journal.hashes(&open.path, &open.identity).expect("known");
    assert_eq!(known.slices_of(16).expect("of slices").len(), 1001);
    assert!(journal.finished(&done).is_some());
    assert_eq!(journal.next_warning(), None);
}

#[test]
fn what_the_second_machine_adds_the_third_knows_too() {
    let scene = Scene::new();
    for (machine, slice) in [("a", 1), ("b", 2), ("c", 3)] {
        let journal = scene.journal();
        let task = task(machine, "f");
        let id = match journal.at(&task, &MD5).begun {
            Some(begun) => begun.id(),
            None => journal.begin(&task, MD5, &created()),
        };
        journal.ack(id, Ack::new(slice));
        journal.flush().expect("written");
        assert_eq!(
            journal.unfinished().expect("read")[0].acked,
            u64::from(slice)
        );
    }
}

#[test]
fn a_torn_tail_is_cut_off_wherever_it_is_torn() {
    let scene = Scene::new();
    let journal = scene.journal();
    let id = journal.begin(&task("a", "f"), MD5, &created());
    journal.flush().expect("written");
    let before = scene.text();
    journal.ack(id, Ack::new(1));
    journal.flush().expect("written");
    drop(journal);
    let after = scene.text();
    for end in (before.len()..after.len()).step_by(7) {
        scene.write(&after[..end]);
        let journal = scene.journal();
        assert_eq!(journal.unfinished().expect("read")[0].acked, 0, "{end}");
        drop(journal);
        let mended = scene.text();
        assert!(mended.starts_with(&before), "{end}");
        drop(scene.journal());
    }
    // Blocks that never reached the disk.
    let mut zeros = after.clone();
    zeros[before.len()..].fill(0);
    scene.write(&zeros);
    assert_eq!(scene.journal().unfinished().expect("read")[0].acked, 0);
    // The very first line, torn by a power loss, is no reason to ask anybody.
    for end in [0, 5, 40] {
        scene.write(&after[..end]);
        assert_eq!(scene.journal().unfinished().expect("read"), [], "{end}");
    }
}

#[test]
fn a_tear_in_the_middle_is_refused_and_nothing_is_written() {
    let scene = Scene::new();
    let journal = scene.journal();
    for name in ["f", "g", "h"] {
        journal.finish(&task("a", name), MD5, None);
        journal.flush().expect("written");
    }
    drop(journal);
    let sound = scene.text();
    let starts: Vec<usize> = std::iter::once(0).chain(breaks(&sound)).collect();
    for (line, at) in starts[..starts.len() - 2].iter().enumerate() {
        let mut torn = sound.clone();
        torn[at + 50] ^= 1;
        scene.refused(&torn, &format!("damaged in line {}", line + 1));
    }
    // A line that is gone, and one that stands twice.
    let [.., third, second, last] = starts[..] else {
        panic!("{starts:?}")
    };
    let without = [&sound[..third], &sound[second..]].concat();
    scene.refused(&without, "lines are missing");
    let twice = [&sound[..second], &sound[third..last]].concat();
    scene.refused(&twice, "stand twice");
}

#[test]
fn what_is_no_checkpoint_is_left_alone() {
    let scene = Scene::new();
    for text in [
        &b"a diary\n"[..],
        b"a diary",
        b"\0\0\0\0\0\0\0\0",
        b"{\"panup\":\"something else\"}\n",
    ] {
        scene.refused(text, "no checkpoint of panup");
    }
    let error = Journal::travelling(scene.dir.path(), None, Settings::default());
    assert_eq!(error.expect_err("a folder").kind(), Kind::Invalid);
    let nowhere = scene.dir.path().join("no/such/folder");
    let error = Journal::travelling(&nowhere, None, Settings::default());
    assert_eq!(error.expect_err("no folder").kind(), Kind::State);
    // What is opened to look at it must not be waited for.
    #[cfg(unix)]
    let device = Journal::travelling("/dev/null".as_ref(), None, Settings::default());
    #[cfg(unix)]
    assert_eq!(device.expect_err("a device").kind(), Kind::Invalid);
}

#[test]
fn a_checkpoint_is_of_one_account_at_one_api_and_of_this_version() {
    let scene = Scene::new();
    drop(scene.journal());
    let text = scene.text();
    for (api, name, told) in [
        ("https://a", "other", "account"),
        ("https://b", "me", "https://b"),
    ] {
        let journal = scene.open().expect("looks");
        let error = journal.adopt(&account_of(api, name), None).expect_err(name);
        assert_eq!((error.kind(), error.is_final()), (Kind::Invalid, true));
        assert!(error.to_string().contains(told), "{error}");
        drop(journal);
        assert_eq!(scene.text(), text, "untouched");
    }
    let newer = String::from_utf8(text)
        .expect("JSON")
        .replacen(":1,", ":12,", 1);
    scene.refused(newer.as_bytes(), "newer panup (version 12");
}

#[test]
fn who_comes_back_is_refused_and_writes_nothing() {
    let scene = Scene::new();
    let old = scene.journal();
    let task = task("a", "f");
    let id = old.begin(&task, MD5, &created());
    old.flush().expect("written");
    let new = scene.journal();
    new.ack(id, Ack::new(1));
    new.flush().expect("written");
    let text = scene.text();
    old.ack(id, Ack::new(2));
    let error = old.flush().expect_err("it is another's");
    assert!(
        error.to_string().contains("taken this checkpoint over"),
        "{error}"
    );
    assert_eq!(old.successor().expect("known"), error);
    assert!(error.is_final() && error.is_of_the_run());
    old.finish(&task, MD5, None);
    drop(old);
    assert_eq!(scene.text(), text);
    new.ack(id, Ack::new(3));
    new.flush().expect("still its own");
    assert_eq!(new.successor(), None);
    drop(new);
    assert_eq!(scene.journal().unfinished().expect("read")[0].acked, 2);
}

#[test]
fn one_that_has_nothing_to_write_learns_it_too() {
    let scene = Scene::new();
    let (old, _new) = (scene.journal(), scene.journal());
    assert!(old.flush().is_err(), "asked");
    let (old, _new) = (scene.journal(), scene.journal());
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while old.successor().is_none() {
        assert!(std::time::Instant::now() < until, "never");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_group_that_an_old_owner_wrote_behind_the_new_one_counts_for_nothing() {
    let scene = Scene::new();
    let old = scene.journal();
    let before = scene.text().len();
    old.finish(&task("a", "late"), MD5, None);
    old.flush().expect("written");
    let late = scene.text()[before..].to_vec();
    drop(old);
    let new = scene.journal();
    let mut text = scene.text();
    text.extend_from_slice(&late);
    scene.write(&text);
    new.finish(&task("a", "new"), MD5, None);
    new.flush().expect("goes on behind it");
    drop(new);
    let journal = scene.journal();
    assert!(journal.at(&task("b", "new"), &MD5).finished.is_some());
    assert_eq!(journal.counts().expect("read").finished, 2);
}

#[test]
fn a_file_that_two_have_written_or_something_has_replaced_is_refused() {
    let scene = Scene::new();
    let journal = scene.journal();
    let text = scene.text();
    for other in [&b""[..], b"a diary\n", &text[..text.len() - 9]] {
        scene.write(other);
        let error = journal.flush().expect_err("not its own");
        assert!(
            error.to_string().contains("replaced, cut or written"),
            "{error}"
        );
        assert_eq!(scene.text(), other, "untouched");
    }
    drop(journal);
    // The same generation twice.
    let owner = breaks(&text)[0];
    let twice = [&text[..], &text[owner..]].concat();
    scene.refused(&twice, "two runs wrote");
}

#[test]
fn a_file_that_is_gone_for_a_while_is_written_when_it_is_back() {
    let scene = Scene::new();
    let journal = scene.journal();
    let aside = scene.dir.path().join("aside");
    fs::rename(&scene.path, &aside).expect("moved");
    journal.finish(&task("a", "f"), MD5, None);
    assert!(journal.flush().is_err());
    assert_eq!(journal.unkept(), 1);
    fs::rename(&aside, &scene.path).expect("moved back");
    journal.flush().expect("written");
    assert_eq!((journal.unkept(), journal.successor()), (0, None));
    drop(journal);
    assert_eq!(scene.journal().counts().expect("read").finished, 1);
}

#[test]
fn another_content_under_way_to_the_same_place_is_said() {
    let scene = Scene::new();
    let journal = scene.journal();
    journal.begin(&task("a", "f"), MD5, &created());
    journal.flush().expect("written");
    let other = Md5([9; 16]);
    let error = journal
        .contradiction(&task("b", "f"), &other)
        .expect("said");
    assert!(
        error.is_final() && error.to_string().contains(&MD5.to_string()),
        "{error}"
    );
    assert_eq!(journal.contradiction(&task("b", "f"), &MD5), None);
    assert_eq!(journal.contradiction(&task("b", "g"), &other), None);
}

/// A folder with a checkpoint in it.
struct Scene {
    dir: TempDir,
    path: PathBuf,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempdir().expect("a folder");
        let path = dir.path().join("run.checkpoint");
        Scene { dir, path }
    }

    fn open(&self) -> crate::error::Result<Journal> {
        Journal::travelling(&self.path, None, Settings::default())
    }

    /// As a new process has it.
    fn journal(&self) -> Journal {
        let journal = self.open().expect("sound");
        journal.adopt(&account(), None).expect("taken over");
        journal
    }

    fn text(&self) -> Vec<u8> {
        fs::read(&self.path).expect("there")
    }

    fn write(&self, text: &[u8]) {
        fs::write(&self.path, text).expect("written");
    }

    /// A file of this content is refused, with these words, and stays as it is.
    #[track_caller]
    fn refused(&self, text: &[u8], told: &str) {
        self.write(text);
        let error = self
            .open()
            .and_then(|journal| journal.adopt(&account(), None));
        let error = error.expect_err(told);
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!((error.kind(), error.is_final()), (Kind::Invalid, true));
        assert_eq!(self.text(), text, "{told}: untouched");
    }
}

fn breaks(text: &[u8]) -> Vec<usize> {
    let breaks = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    breaks.map(|(at, _)| at + 1).collect()
}

fn account() -> Account {
    account_of("https://a", "me")
}

fn account_of(api: &str, name: &str) -> Account {
    Account {
        api: api.to_owned(),
        name: name.to_owned(),
    }
}

fn created() -> Created {
    Created {
        preupload_id: "p".to_owned(),
        slice_size: 16,
        servers: vec!["https://one".to_owned(), "https://two".to_owned()],
    }
}

/// A file as `machine` sees it.
fn task(machine: &str, name: &str) -> Task {
    let number = u64::from(machine.as_bytes()[0]);
    Task {
        account: Arc::new(account()),
        remote: Remote::new(0, name).expect("a name"),
        conflict: Conflict::Fail,
        path: format!("/{machine}/\u{e4}/{name}").into(),
        identity: Identity {
            dev: number,
            inode: number,
            size: SIZE,
            mtime_ns: number.cast_signed(),
            ctime_ns: 0,
        },
    }
}

const SIZE: u64 = 16 * 1000 + 1;

const MD5: Md5 = Md5([1; 16]);
