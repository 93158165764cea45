//! Tests of the tree.

use super::*;

fn content(n: u8) -> Content {
    Content {
        sum: [n; 16],
        size: 1,
    }
}

fn path(text: &str) -> Vec<String> {
    text.split('/').map(str::to_owned).collect()
}

#[test]
fn taken_names() {
    let mut tree = Tree::new(100);
    let mut place = |name, duplicate, n| tree.place(ROOT, name, duplicate, content(n));
    assert_eq!(place("a.txt", Duplicate::Refuse, 1), Ok(100));
    let refused = place("a.txt", Duplicate::Refuse, 2).expect_err("taken");
    assert_eq!((refused.code, refused.http.as_u16()), (1, 200));
    assert_eq!(place("a.txt", Duplicate::KeepBoth, 3), Ok(101));
    assert_eq!(place("a.txt", Duplicate::KeepBoth, 4), Ok(102));
    assert_eq!(place("a.txt", Duplicate::Overwrite, 5), Ok(103));
    assert_eq!(place("b", Duplicate::KeepBoth, 6), Ok(104));
    assert_eq!(place("b", Duplicate::KeepBoth, 7), Ok(105));
    let names: Vec<_> = [101, 102, 103, 104, 105]
        .map(|id| tree.location(id).path.concat())
        .into();
    assert_eq!(names, ["a(1).txt", "a(2).txt", "a.txt", "b", "b(1)"]);
    assert_eq!(tree.file_with(&content(1)), None);
    assert_eq!(tree.file_with(&content(5)), Some(103));
    assert_eq!(tree.files().len(), 5);
}

#[test]
fn folders_are_made_once_and_files_are_none() {
    let mut tree = Tree::new(1);
    let path_made = tree.ensure_folder(ROOT, &path("x/y"), 1).expect("made");
    assert_eq!((path_made.folder, path_made.made), (2, vec![1, 2]));
    tree.settle(&[1, 2], 2);
    let path_made = tree.ensure_folder(ROOT, &path("x/y"), 3).expect("there");
    let wanted = FolderPath {
        folder: 2,
        made: vec![],
        raced: false,
    };
    assert_eq!(path_made, wanted);
    tree.place(2, "f", Duplicate::Refuse, content(1))
        .expect("free");
    assert!(tree.ensure_folder(ROOT, &path("x/y/f"), 4).is_err());
    assert!(
        tree.ensure_folder(3, &[], 4).is_err(),
        "a file is no parent"
    );
    assert!(
        tree.ensure_folder(77, &[], 4).is_err(),
        "nothing is no parent"
    );
    let overwrite = tree.place(1, "y", Duplicate::Overwrite, content(1));
    assert!(overwrite.is_err(), "a file does not replace a folder");
}

#[test]
fn a_race_is_an_overlap_over_a_missing_folder() {
    let mut tree = Tree::new(1);
    let made = tree.ensure_folder(ROOT, &path("x"), 1).expect("made").made;
    let unanswered = tree.ensure_folder(ROOT, &path("x"), 2).expect("there");
    assert!(unanswered.raced);
    tree.settle(&made, 3);
    assert!(
        tree.ensure_folder(ROOT, &path("x"), 2)
            .expect("there")
            .raced
    );
    assert!(
        !tree
            .ensure_folder(ROOT, &path("x"), 4)
            .expect("there")
            .raced
    );
}
