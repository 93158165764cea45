//! What is not a whole file: parts of one, and contents of a caller's own.

use std::sync::Mutex;

use super::*;

#[test]
fn a_part_is_like_a_file_of_those_bytes() {
    let (file, content) = sample(5 * PAGE + 7);
    let parts = [
        0..PAGE,
        PAGE..3 * PAGE,
        1..content.len() as u64,
        PAGE + 5..2 * PAGE + 9,
        4 * PAGE + 3..5 * PAGE + 7,
    ];
    for settings in [MAPPED, READ, Settings::default()] {
        for part in parts.clone() {
            let source = Source::open_part(None, file.path(), Some(part.clone()), &settings);
            let source = source.unwrap();
            let expected = &content[part.start as usize..part.end as usize];
            assert_eq!(source.len(), expected.len() as u64);
            assert_eq!(source.identity().size, expected.len() as u64);
            let memory = Memory::default();
            assert_eq!(source.bytes(0..source.len(), &memory).unwrap(), expected);
            assert_eq!(source.bytes(3..9, &memory).unwrap(), expected[3..9]);
            source.bytes(3..source.len() + 1, &memory).unwrap_err();
            let mut buffer = Vec::new();
            source.read_into(&mut buffer).unwrap();
            assert_eq!(buffer, expected, "the bytes behind it are not its own");
            assert_eq!(
                source.read_at(&mut buffer, 3).unwrap(),
                expected.len() - 3,
                "{part:?}"
            );
            if let Some(mapped) = source.mapped() {
                assert_eq!(mapped, expected);
            }
            source.check(Operation::Check).unwrap();
            let again = source.reopen().unwrap();
            assert_eq!(again.len(), source.len());
        }
    }
}

#[test]
fn a_part_is_changed_where_its_file_is() {
    for settings in [MAPPED, READ] {
        let (file, _) = sample(3 * PAGE);
        let source = Source::open_part(None, file.path(), Some(0..PAGE), &settings).unwrap();
        file.as_file().set_len(2 * PAGE).unwrap();
        let error = source.check(Operation::Check).unwrap_err();
        assert!(
            error.message().contains("from 12288 to 8192 bytes"),
            "{error}"
        );
    }
}

#[test]
fn a_part_that_the_file_does_not_have_is_refused() {
    let (file, _) = sample(10);
    #[allow(clippy::reversed_empty_ranges)] // the mistake that is tested
    for part in [0..11, 10..11, 5..5, 7..3, 0..u64::MAX] {
        let opened = Source::open_part(None, file.path(), Some(part), &READ);
        let error = opened.unwrap_err();
        assert!(
            error.is_final() && error.message().contains("it has 10"),
            "{error}"
        );
    }
}

#[test]
fn bytes_in_memory_are_not_copied() {
    let bytes = Bytes::from(vec![7; 3 * PAGE as usize]);
    let source = Source::of_caller(Path::new("x"), Arc::new(bytes.clone()), &MAPPED).unwrap();
    assert_eq!(source.mapped().unwrap().as_ptr(), bytes.as_ptr());
    let view = source.bytes(5..PAGE, &Memory::default()).unwrap();
    assert_eq!(view.as_ptr(), bytes[5..].as_ptr());
    assert!(!source.is_lasting());
    source.check(Operation::Check).unwrap();
    let mut buffer = Vec::new();
    source.read_into(&mut buffer).unwrap();
    assert_eq!(buffer, bytes);
}

/// Contents that do what they are told to.
struct Told {
    length: u64,
    given: u64,
    version: Mutex<io::Result<u64>>,
}

impl ByteSource for Told {
    fn length(&self) -> u64 {
        self.length
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Bytes> {
        if range.end > self.given {
            return Err(io::Error::other("the tape is at its end"));
        }
        let more = u64::from(range.start == 1);
        Ok(vec![1; (range.end - range.start + more) as usize].into())
    }

    fn version(&self) -> io::Result<u64> {
        match &*self.version.lock().unwrap() {
            Ok(version) => Ok(*version),
            Err(_) => Err(io::Error::other("no version")),
        }
    }
}

#[test]
fn contents_of_a_caller_are_held_to_what_they_said() {
    let told = Arc::new(Told {
        length: 20,
        given: 15,
        version: Mutex::new(Ok(1)),
    });
    let source = Source::of_caller(Path::new("tape"), Arc::clone(&told) as _, &READ).unwrap();
    let memory = Memory::default();
    assert_eq!(source.bytes(2..9, &memory).unwrap().len(), 7);
    for (range, why) in [
        (2..20, "tape: the tape is at its end"),
        (1..9, "gave 9 bytes for the 8 from 1 on"),
        (1..21, "not in its 20"),
    ] {
        let error = source.bytes(range, &memory).unwrap_err();
        assert_eq!(error.kind(), Kind::Source);
        assert!(error.to_string().contains(why), "{error}");
    }
    source.read_into(&mut Vec::new()).unwrap_err();
    source.check(Operation::Check).unwrap();
    *told.version.lock().unwrap() = Ok(2);
    let standing = source.standing(Operation::Check).unwrap();
    assert!(matches!(standing, Standing::InDoubt(..)), "{standing:?}");
    *told.version.lock().unwrap() = Err(io::ErrorKind::Other.into());
    let error = source.check(Operation::Check).unwrap_err();
    assert!(error.to_string().contains("no version"), "{error}");
    let opened = Source::of_caller(Path::new("tape"), told, &READ);
    assert!(opened.is_err());
}
