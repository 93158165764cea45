//! The table by itself, and the handler's manners in child processes, which may die of it.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::{env, process};

use memmap2::MmapOptions;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::*;
use crate::source::{Memory, Settings, Source};

#[test]
fn a_slot_matches_inside_its_range_and_only_while_it_lives() {
    let slot = Slot::new();
    assert!(slot.around(0).is_none());
    assert!(slot.claim(0x1000, 0x3000));
    assert!(!slot.claim(0x5000, 0x6000), "taken");
    let hits: Vec<usize> = [0xfff, 0x1000, 0x2fff, 0x3000]
        .into_iter()
        .filter(|&a| slot.around(a).is_some())
        .collect();
    assert_eq!(hits, [0x1000, 0x2fff]);
    slot.turn.fetch_add(2, SeqCst);
    assert!(slot.around(0x1000).is_none());
    assert!(slot.claim(0x5000, 0x6000), "free again");
    assert!(slot.around(0x1000).is_none());
    assert!(slot.around(0x5000).is_some());
}

#[test]
fn a_slot_half_written_is_nobodys() {
    let slot = Slot::new();
    slot.start.store(0x1000, SeqCst);
    slot.end.store(0x3000, SeqCst);
    slot.turn.store(1, SeqCst);
    assert!(slot.around(0x2000).is_none());
    assert!(!slot.claim(0x5000, 0x6000));
}

#[test]
fn a_new_owner_of_a_slot_starts_unspoiled() {
    let slot = Slot::new();
    assert!(slot.claim(0x1000, 0x2000));
    slot.spoiled.store(true, SeqCst);
    slot.turn.fetch_add(2, SeqCst);
    assert!(slot.claim(0x1000, 0x2000));
    assert!(!slot.spoiled.load(SeqCst));
}

#[test]
fn a_foreign_fault_reaches_the_handler_that_was_there() {
    assert_eq!(child("fault, handler with info").code(), Some(42));
    assert_eq!(child("fault, plain handler").code(), Some(43));
}

#[test]
fn a_foreign_fault_without_handler_ends_the_process_as_ever() {
    for mode in ["fault, default", "fault, ignored", "fault, std"] {
        assert_eq!(child(mode).signal(), Some(libc::SIGBUS), "{mode}");
    }
}

#[test]
fn a_signal_that_somebody_sends_does_what_it_did() {
    assert_eq!(child("sent, default").signal(), Some(libc::SIGBUS));
    assert_eq!(child("sent, ignored").code(), Some(0));
    assert_eq!(child("sent, plain handler").code(), Some(43));
}

/// The second: the kernel tells of a bad page that nobody touched.
#[test]
fn after_a_signal_that_was_no_fault_maps_are_guarded_as_before() {
    for mode in ["survived, std", "advised, std"] {
        assert_eq!(child(mode).code(), Some(0), "{mode}");
    }
}

#[test]
fn without_a_place_in_the_table_or_the_signal_files_are_read() {
    assert_eq!(child("full").code(), Some(0));
    assert_eq!(child("overruled").code(), Some(0));
}

fn child(mode: &str) -> ExitStatus {
    let output = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "source::unix::guard::tests::in_a_child",
            "--ignored",
            "--nocapture",
        ])
        .env(MODE, mode)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 test"), "the child's test must run: {said}");
    output.status
}

#[test]
#[ignore = "runs in the child processes of the tests above"]
fn in_a_child() {
    let Ok(mode) = env::var(MODE) else { return };
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )
    .unwrap();
    let (what, action) = mode.split_once(", ").unwrap_or((&mode, ""));
    act(action);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ours");
    std::fs::write(&path, vec![7; 64 * page_size()]).unwrap();
    survive_our_own_fault(&path);
    match what {
        "fault" => fault_outside(&folder.path().join("foreign")),
        // SAFETY: sends a signal to this thread.
        "sent" => assert_eq!(unsafe { libc::raise(libc::SIGBUS) }, 0),
        "survived" | "advised" => {
            let code = if what == "advised" {
                ADVISORY
            } else {
                libc::SI_QUEUE
            };
            send_to_this_thread(code);
            survive_our_own_fault(&path);
        }
        "full" => fill_the_table(),
        "overruled" => set_action(libc::SIG_IGN, 0),
        _ => unreachable!("{mode}"),
    }
    let source = Source::open(
        &path,
        &Settings {
            map_from: 1,
            maps: true,
        },
    )
    .unwrap();
    assert_eq!(
        source.mapped().is_none(),
        matches!(what, "full" | "overruled")
    );
    assert_eq!(
        source.bytes(0..3, &Memory::default()).unwrap(),
        [7; 3].as_slice()
    );
}

fn act(action: &str) {
    match action {
        "handler with info" => set_action(with_info as WithInfo as usize, libc::SA_SIGINFO),
        "plain handler" => set_action(plain as extern "C" fn(c_int) as usize, 0),
        "default" => set_action(libc::SIG_DFL, 0),
        "ignored" => set_action(libc::SIG_IGN, 0),
        _ => {}
    }
}

type WithInfo = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

extern "C" fn with_info(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the information is passed on unchanged from the kernel; `_exit` is safe here.
    unsafe {
        libc::_exit(if (*info).si_addr() as usize == EXPECTED.load(SeqCst) {
            42
        } else {
            99
        })
    }
}

extern "C" fn plain(signal: c_int) {
    // SAFETY: `_exit` is async-signal-safe.
    unsafe { libc::_exit(if signal == libc::SIGBUS { 43 } else { 99 }) }
}

fn set_action(handler: usize, flags: c_int) {
    // SAFETY: an all-zero action is valid; the handlers above have the signatures of their flags.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGBUS, &action, ptr::null_mut()), 0);
    }
}

fn survive_our_own_fault(path: &Path) {
    let source = Source::open(
        path,
        &Settings {
            map_from: 1,
            maps: true,
        },
    )
    .unwrap();
    let memory = source.mapped().unwrap();
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(0)
        .unwrap();
    assert_eq!(memory.iter().map(|&byte| u64::from(byte)).sum::<u64>(), 0);
    assert!(source.is_spoiled());
    std::fs::write(path, vec![7; 64 * page_size()]).unwrap();
}

fn fault_outside(path: &Path) {
    std::fs::write(path, vec![1; 4 * page_size()]).unwrap();
    let file = File::options().read(true).write(true).open(path).unwrap();
    // SAFETY: the file is this test's own, and shrinks on purpose.
    let memory = unsafe { MmapOptions::new().map(&file) }.unwrap();
    file.set_len(0).unwrap();
    EXPECTED.store(memory.as_ptr() as usize + page_size(), SeqCst);
    let byte = std::hint::black_box(&memory)[page_size()];
    unreachable!(
        "read {byte} from a page that is gone; process {}",
        process::id()
    );
}

/// Sends SIGBUS with this `si_code`, and no address.
fn send_to_this_thread(code: c_int) {
    // SAFETY: an all-zero `siginfo_t` is valid, and the system call reads it only. A process may send
    // itself any code.
    unsafe {
        let mut info: libc::siginfo_t = mem::zeroed();
        info.si_signo = libc::SIGBUS;
        info.si_code = code;
        let (group, thread) = (libc::getpid(), libc::gettid());
        let sent = libc::syscall(
            libc::SYS_rt_tgsigqueueinfo,
            group,
            thread,
            libc::SIGBUS,
            ptr::from_ref(&info),
        );
        assert_eq!(sent, 0);
    }
}

/// BUS_MCEERR_AO.
const ADVISORY: c_int = 5;

fn fill_the_table() {
    let memory = MmapOptions::new()
        .len(1)
        .map_anon()
        .unwrap()
        .make_read_only()
        .unwrap();
    let mut entries = Vec::new();
    while let Some(entry) = Entry::of(&memory) {
        entries.push(entry);
    }
    assert_eq!(entries.len(), MAPS);
    mem::forget((entries, memory));
}

static EXPECTED: AtomicUsize = AtomicUsize::new(0);

const MODE: &str = "PANUP_TEST_SIGBUS";
