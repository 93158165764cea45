//! Files that change while they are open: each change has its name, none is a signal.

use super::*;

#[test]
fn a_truncated_file_is_named_and_never_a_signal() {
    for settings in [MAPPED, READ] {
        let (file, _) = sample(100 * PAGE);
        let source = open(&file, &settings);
        let view = settings
            .maps
            .then(|| source.bytes(0..100 * PAGE, &Memory::default()).unwrap());
        file.as_file().set_len(PAGE + 1).unwrap();
        if let Some(view) = view {
            assert!(view[..=4096].iter().any(|&byte| byte != 0));
            assert!(view[4097..].iter().all(|&byte| byte == 0));
            assert!(source.is_spoiled());
        }
        assert_eq!(why(&source), "truncated from 409600 to 4097 bytes");
        let error = source
            .bytes(50 * PAGE..51 * PAGE, &Memory::default())
            .unwrap_err();
        assert!(words(error).contains("truncated from 409600"));
        let error = source.read_into(&mut Vec::new()).unwrap_err();
        assert_eq!(
            words(error),
            "changed while it was used: truncated from 409600 to 4097 bytes"
        );
    }
}

#[test]
fn a_file_truncated_and_restored_stays_spoiled() {
    let (file, content) = sample(16 * PAGE);
    let source = open(&file, &MAPPED);
    let view = source.bytes(0..16 * PAGE, &Memory::default()).unwrap();
    file.as_file().set_len(0).unwrap();
    assert_eq!(view[9], 0);
    fs::write(file.path(), &content).unwrap();
    assert!(source.is_spoiled());
    assert_eq!(
        view[9], 0,
        "the zeros stay, so that no digest mixes the two"
    );
    assert!(source.bytes(0..1, &Memory::default()).is_err());
    assert_eq!(why(&source), "modified in place");
}

#[test]
fn a_spoiled_map_of_an_unchanged_file_is_still_refused() {
    let (file, _) = sample(2 * PAGE);
    let mut source = open(&file, &MAPPED);
    let view = source.bytes(0..2 * PAGE, &Memory::default()).unwrap();
    file.as_file().set_len(0).unwrap();
    assert_eq!(view[0], 0);
    // As if nothing had happened but the fault: what a bad sector looks like.
    drop(view);
    let now = system::identity_at(file.path()).unwrap();
    Arc::get_mut(&mut source.0).unwrap().identity = now;
    assert!(why(&source).starts_with("a part of it could not be read"));
}

#[test]
fn each_way_to_change_is_told_apart() {
    for settings in [MAPPED, READ] {
        let grown = |path: &Path| {
            fs::OpenOptions::new()
                .append(true)
                .open(path)
                .unwrap()
                .set_len(2 * PAGE + 5)
                .unwrap()
        };
        assert_eq!(after(&settings, grown), "grown from 8192 to 8197 bytes");
        let edited = |path: &Path| {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(b"x", 5).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        };
        assert_eq!(after(&settings, edited), "modified in place");
        let touched =
            |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(
            after(&settings, touched),
            "its change time moved (attributes or contents)"
        );
        let replaced = |path: &Path| {
            let other = path.with_extension("new");
            fs::write(&other, vec![0; 2 * PAGE as usize]).unwrap();
            fs::rename(other, path).unwrap();
        };
        assert_eq!(after(&settings, replaced), "replaced by another file");
        assert_eq!(
            after(&settings, |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap()
            }),
            "replaced by another file"
        );
    }
}

#[test]
fn a_deleted_or_moved_file_may_finish_unless_it_changed_too() {
    for settings in [MAPPED, READ] {
        assert_eq!(after(&settings, |path| fs::remove_file(path).unwrap()), "");
        assert_eq!(
            after(&settings, |path| fs::rename(
                path,
                path.with_extension("away")
            )
            .unwrap()),
            ""
        );
        let hard_link = |path: &Path| {
            fs::hard_link(path, path.with_extension("link")).unwrap();
            fs::remove_file(path).unwrap();
        };
        assert_eq!(after(&settings, hard_link), "");
        let shortened = |path: &Path| {
            fs::OpenOptions::new()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(1)
                .unwrap();
            fs::remove_file(path).unwrap();
        };
        assert_eq!(
            after(&settings, shortened),
            "truncated from 8192 to 1 bytes"
        );
    }
}

#[test]
fn growth_is_seen_by_the_read_itself() {
    let (file, _) = sample(100);
    let source = open(&file, &READ);
    file.as_file().set_len(150).unwrap();
    let error = source.read_into(&mut Vec::new()).unwrap_err();
    assert_eq!(
        words(error),
        "changed while it was used: grown from 100 to 150 bytes"
    );
}

#[test]
fn the_operation_of_a_check_is_kept() {
    let (file, _) = sample(10);
    let source = open(&file, &READ);
    file.as_file().set_len(1).unwrap();
    let error = source.check(Operation::Complete).unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (Kind::Source, Operation::Complete)
    );
    assert_eq!(error.path(), Some(file.path()));
}
