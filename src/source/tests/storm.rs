//! Truncation thousands of times, under one reader and under many.

use super::*;

/// Thousands of times: map, look at some, truncate anywhere, look at the rest.
#[test]
fn truncation_under_a_reader_is_survived_every_time() {
    let (file, content) = sample(16 * PAGE);
    let mut spoiled = 0;
    for round in 0..4000_u64 {
        fs::write(file.path(), &content).unwrap();
        let source = open(&file, &MAPPED);
        let memory = source.mapped().unwrap();
        let looked = (round % 16 * PAGE) as usize;
        assert_eq!(memory[..looked], content[..looked]);
        let left = round * 997 % (16 * PAGE);
        file.as_file().set_len(left).unwrap();
        let edge = left.next_multiple_of(PAGE) as usize;
        assert_eq!(memory[..left as usize], content[..left as usize]);
        assert!(memory[left as usize..].iter().all(|&byte| byte == 0));
        assert_eq!(source.is_spoiled(), edge < memory.len(), "round {round}");
        spoiled += usize::from(source.is_spoiled());
        assert_eq!(
            why(&source),
            format!("truncated from 65536 to {left} bytes")
        );
    }
    assert!(spoiled > 3500, "{spoiled}");
}

/// Four readers in the same maps while a fifth truncates; each map is given up by whoever is last.
#[test]
fn truncation_under_many_readers_is_survived_every_time() {
    let rounds = 1000;
    let (file, content) = sample(64 * PAGE);
    let spoiled = AtomicUsize::new(0);
    for round in 0..rounds {
        fs::write(file.path(), &content).unwrap();
        let source = open(&file, &MAPPED);
        let started = AtomicBool::new(false);
        thread::scope(|scope| {
            for reader in 0..4 {
                let view = source
                    .bytes(
                        reader * 16 * PAGE..(reader + 1) * 16 * PAGE,
                        &Memory::default(),
                    )
                    .unwrap();
                let (started, content) = (&started, &content);
                scope.spawn(move || {
                    started.store(true, Ordering::Release);
                    let expected = &content[(reader * 16 * PAGE) as usize..];
                    for (byte, expected) in view.iter().zip(expected) {
                        assert!(byte == expected || *byte == 0);
                    }
                });
            }
            while !started.load(Ordering::Acquire) {
                thread::yield_now();
            }
            file.as_file().set_len(round % 64 * PAGE).unwrap();
        });
        assert!(source.check(Operation::Check).is_err());
        // Whoever came too late for the fault above, meets it here.
        assert_eq!(source.mapped().unwrap().last(), Some(&0));
        spoiled.fetch_add(usize::from(source.is_spoiled()), Ordering::Relaxed);
    }
    assert_eq!(spoiled.into_inner(), rounds as usize);
}

/// Maps come and go on some threads while others fault: slots change hands under the handler.
#[test]
fn slots_change_hands_while_others_fault() {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let (file, content) = sample(3 * PAGE);
                while !done.load(Ordering::Relaxed) {
                    let source = open(&file, &MAPPED);
                    assert_eq!(source.mapped().unwrap(), content);
                    assert!(!source.is_spoiled());
                }
            });
        }
        let (file, content) = sample(8 * PAGE);
        for _ in 0..2000 {
            fs::write(file.path(), &content).unwrap();
            let source = open(&file, &MAPPED);
            let view = source.bytes(0..8 * PAGE, &Memory::default()).unwrap();
            file.as_file().set_len(PAGE).unwrap();
            assert_eq!(view[..4096], content[..4096]);
            assert_eq!(view[5 * 4096], 0);
            assert!(source.is_spoiled());
        }
        done.store(true, Ordering::Relaxed);
    });
}
