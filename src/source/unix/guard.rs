//! The guard of maps against SIGBUS. In: the address ranges of live maps. Out: a process that survives
//! a page of them vanishing (a truncated file, a failing disk): zeros in its place and a mark on the
//! map. Never: a lock, an allocation or a look at anything but the table inside the handler; never a
//! fault at a foreign address, which the handler that was there before gets.
//!
//! SIGBUS is enough on macOS too: its kernel makes SIGSEGV of the one fault that a live map cannot have, an
//! address where nothing is mapped (KERN_INVALID_ADDRESS), and SIGBUS of every other.

use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use memmap2::Mmap;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// A map's place in the table of live maps, given back on drop.
#[derive(Debug)]
pub(super) struct Entry(&'static Slot);

impl Entry {
    /// Watches over `memory`, which must outlive the entry. `None` where that is not possible:
    /// the table is full, or SIGBUS does not come to us (refused, or another handler since);
    /// then the file is to be read.
    pub(super) fn of(memory: &Mmap) -> Option<Entry> {
        if !is_armed() {
            return None;
        }
        // The page size is known from here on, before the handler can need it.
        let start = memory.as_ptr() as usize;
        let end = start + memory.len().next_multiple_of(page_size());
        TABLE.claim(start, end).map(Entry)
    }

    /// Whether zeros stand in the place of some of the map's pages.
    pub(super) fn is_spoiled(&self) -> bool {
        self.0.spoiled.load(SeqCst)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.turn.fetch_add(2, SeqCst);
    }
}

/// Bytes in a page of memory.
pub(super) fn page_size() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    *PAGE.get_or_init(|| {
        // SAFETY: `sysconf` has no preconditions.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).unwrap_or(4096)
    })
}

/// The live maps. The handler reads it at any moment, between any two instructions of a writer.
struct Table {
    slots: [Slot; MAPS],
    /// Where the search for a free slot begins, so that it does not walk over live ones.
    next: AtomicUsize,
}

/// All accesses are `SeqCst`: one order of everything, nothing to reason about, and the cost
/// (a few locked instructions for each map) is lost in the 10 µs of mapping.
#[derive(Debug)]
struct Slot {
    /// Free, being written, live, free again …: its value modulo 4 (see the constants), and
    /// because it only ever grows, an equal value before and after means nothing happened between.
    turn: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    spoiled: AtomicBool,
}

impl Table {
    const fn new() -> Table {
        Table {
            slots: [const { Slot::new() }; MAPS],
            next: AtomicUsize::new(0),
        }
    }

    fn claim(&'static self, start: usize, end: usize) -> Option<&'static Slot> {
        let first = self.next.fetch_add(1, SeqCst) % MAPS;
        let (before, after) = self.slots.split_at(first);
        after
            .iter()
            .chain(before)
            .find(|slot| slot.claim(start, end))
    }

    /// The slot of the map around `address`, with the map's end.
    fn find(&self, address: usize) -> Option<(&Slot, Span)> {
        self.slots
            .iter()
            .find_map(|slot| Some((slot, slot.around(address)?)))
    }
}

#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
}

impl Slot {
    const fn new() -> Slot {
        Slot {
            turn: AtomicUsize::new(FREE),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            spoiled: AtomicBool::new(false),
        }
    }

    fn claim(&self, start: usize, end: usize) -> bool {
        let turn = self.turn.load(SeqCst);
        if turn % 4 != FREE
            || self
                .turn
                .compare_exchange(turn, turn + 1, SeqCst, SeqCst)
                .is_err()
        {
            return false;
        }
        self.start.store(start, SeqCst);
        self.end.store(end, SeqCst);
        self.spoiled.store(false, SeqCst);
        self.turn.store(turn + 2, SeqCst);
        true
    }

    /// The map's range if it is live and holds `address`. A slot that changes hands meanwhile is
    /// not the one: a thread that faults inside a map holds it, so its slot stands still.
    fn around(&self, address: usize) -> Option<Span> {
        let turn = self.turn.load(SeqCst);
        let span = Span {
            start: self.start.load(SeqCst),
            end: self.end.load(SeqCst),
        };
        let stable = turn % 4 == LIVE && turn == self.turn.load(SeqCst);
        (stable && (span.start..span.end).contains(&address)).then_some(span)
    }
}

/// Whether SIGBUS comes to our handler, installing it at the first call. Asked at each map:
/// a handler installed after ours may not pass faults on.
fn is_armed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(install)
        && current().is_some_and(|action| action.sa_sigaction == address_of_handler())
}

fn install() -> bool {
    // Remembered before ours is in place: the handler may run the moment after.
    let Some(before) = current() else {
        return false;
    };
    BEFORE.get_or_init(|| before);
    arm()
}

/// Has SIGBUS come to our handler. To be called from the handler as well: system calls only.
fn arm() -> bool {
    // SAFETY: all-zero is a valid `sigaction` (no flags, empty mask), and the two calls write
    // only to it. The handler has the signature that SA_SIGINFO asks for and touches only
    // atomics, its stack and system calls. SA_ONSTACK: the fault may come on a thread whose
    // stack is small or full.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = address_of_handler();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(libc::SIGBUS, &action, ptr::null_mut()) == 0
    }
}

fn current() -> Option<libc::sigaction> {
    // SAFETY: a null action asks only; the all-zero structure is valid and filled by the call.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        (libc::sigaction(libc::SIGBUS, ptr::null(), &mut action) == 0).then_some(action)
    }
}

fn address_of_handler() -> libc::sighandler_t {
    on_bus as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as libc::sighandler_t
}

/// Runs between any two instructions of any thread: async-signal-safe calls only.
extern "C" fn on_bus(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid `info`; `si_addr` is read for codes of faults only,
    // since for a signal that a process sent the same bytes hold the sender's ids.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
    let is_fault = FAULTS.contains(&code);
    if is_fault && heal(address) {
        return;
    }
    pass_on(is_fault, signal, (info, context));
}

/// Puts zero pages from the faulting one to the end of its map; `false` if it is not ours.
fn heal(address: usize) -> bool {
    let Some((slot, span)) = TABLE.find(address) else {
        return false;
    };
    // First the mark, then the zeros: no reader can have seen a zero and find no mark.
    slot.spoiled.store(true, SeqCst);
    let page = address & !(page_size() - 1);
    // Splitting a map needs one more entry in the kernel's list, which has a limit
    // (vm.max_map_count, 65,530); replacing it whole does not.
    zero(page, span.end) || zero(span.start, span.end)
}

fn zero(start: usize, end: usize) -> bool {
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
    // SAFETY: `start..end` are whole pages inside one live map of ours: the thread that faults
    // holds it, so it cannot be unmapped meanwhile. It is read-only and stays readable, hence
    // every reference into it stays valid. On Linux rustix makes the system call itself and leaves
    // `errno` to the interrupted code.
    unsafe { mmap_anonymous(start as *mut c_void, end - start, ProtFlags::READ, flags) }.is_ok()
}

/// Does what would have happened without us. Faults that the default would end must happen
/// again for that: the action is reset, and returning repeats the instruction.
fn pass_on(is_fault: bool, signal: c_int, (info, context): (*mut libc::siginfo_t, *mut c_void)) {
    let (handler, flags) = BEFORE.get().map_or((libc::SIG_DFL, 0), |before| {
        (before.sa_sigaction, before.sa_flags)
    });
    match handler {
        libc::SIG_IGN if !is_fault => {}
        // An ignored fault would repeat for ever; the kernel too ends the process there.
        libc::SIG_DFL | libc::SIG_IGN => fall_back_to_default(is_fault, signal),
        // SAFETY: with SA_SIGINFO the stored address is a function of exactly this signature.
        _ if flags & libc::SA_SIGINFO != 0 => unsafe {
            type WithInfo = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
            mem::transmute::<libc::sighandler_t, WithInfo>(handler)(signal, info, context);
        },
        // SAFETY: without SA_SIGINFO it is a function of the signal's number.
        _ => unsafe { mem::transmute::<libc::sighandler_t, extern "C" fn(c_int)>(handler)(signal) },
    }
    if !is_fault && handler != libc::SIG_DFL {
        // The standard library's handler takes every SIGBUS for a fault that will come again, and resets
        // the action for it. Nothing comes again here, and our maps live on.
        arm();
    }
}

fn fall_back_to_default(is_fault: bool, signal: c_int) {
    // SAFETY: both calls are async-signal-safe; all-zero is SIG_DFL with an empty mask.
    unsafe {
        let action: libc::sigaction = mem::zeroed();
        libc::sigaction(signal, &action, ptr::null_mut());
        if !is_fault {
            // It will not come again by itself; blocked here, it is delivered on return.
            libc::raise(signal);
        }
    }
}

static TABLE: Table = Table::new();

/// The action that was there before ours.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Live maps at once: far more than files in flight (each holds a descriptor, commonly limited
/// to 1,024), and 128 KiB of zeros that cost nothing until used. Beyond, files are read.
const MAPS: usize = 4096;

/// [`Slot::turn`] modulo 4. Between the two (1) the slot is being written.
const FREE: usize = 0;
const LIVE: usize = 2;

/// BUS_ADRALN, BUS_ADRERR, BUS_OBJERR, BUS_MCEERR_AR: an instruction of this thread hit `si_addr`.
/// Not BUS_MCEERR_AO (5), which announces a bad page that was not touched.
const FAULTS: std::ops::RangeInclusive<c_int> = 1..=4;

#[cfg(test)]
mod tests;
