//! When what is hashed. In: jobs, handed in by any thread. Out: batches of them as tasks on the pools,
//! as there is work, room in the budget and a free thread. Never: a task that waits for room, or one
//! that goes on for ever.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::{Batches, LANES_FROM, SMALL_BATCH, Settings};
use super::budget::{BudgetGuard, Budgets, ByteBudget, Class, Size};
use super::condvar::Condvar;
use super::job::{Job, Taken, Ticket};
use super::pools::Pools;
use super::watch::Watch;
use crate::sync::{Mutex, MutexGuard};

/// Starts an engine: jobs go into the [`Intake`], and the work goes on as long as [`Running`] lives.
/// Files hashed and not yet used up are bounded by `small` and `large`.
pub fn start<J: Job>(
    pools: Arc<Pools>,
    settings: Settings,
    [small, large]: [Size; 2],
    watch: Watch,
) -> (Intake<J>, Running<J>) {
    let queue = |class, limit| JobQueue {
        class,
        jobs: VecDeque::new(),
        bytes: 0,
        budget: ByteBudget::new(limit),
        slots: pools.of(class).current_num_threads(),
        running: 0,
        starting: 0,
    };
    let engine = Arc::new(Engine {
        state: Mutex::new(EngineState {
            small: queue(Class::Small, small),
            large: queue(Class::Large, large),
            is_ended: false,
            is_stopped: false,
        }),
        arrived: Condvar::default(),
        taken: Condvar::default(),
        batches: Batches::new(pools, settings, watch),
    });
    (Intake(Arc::clone(&engine)), Running(engine))
}

/// Where jobs go in. Dropping it says that there are no more.
pub struct Intake<J: Job>(Arc<Engine<J>>);

impl<J: Job> Intake<J> {
    /// Hands in a job. Blocks the thread while thousands wait already; `false` where the engine was
    /// stopped and wants no more.
    #[must_use]
    pub fn push(&self, job: J) -> bool {
        let engine = &self.0;
        let ticket = Ticket::new(job);
        let class = engine.batches.settings().class(ticket.size());
        let is_full = |state: &mut EngineState<J>| {
            !engine.is_stopped(state) && state.queue(class).jobs.len() >= LOOK_AHEAD
        };
        let mut state = engine.taken.wait_while(engine.state.lock(), is_full);
        if engine.is_stopped(&state) {
            drop(state);
            return false;
        }
        let queue = state.queue(class);
        queue.put(ticket);
        // Not at each of them: whoever is woken takes the processor from the thread that lists them.
        let is_company = engine.has_company(queue);
        engine.start_tasks(&mut state);
        drop(state);
        if is_company {
            engine.arrived.notify_all();
        }
        true
    }
}

impl<J: Job> Drop for Intake<J> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.is_ended = true;
        self.0.start_tasks(&mut state);
        drop(state);
        self.0.arrived.notify_all();
    }
}

/// An engine at work. Dropping it stops what has not begun; for what has, there is the flag of the
/// [`Watch`].
pub struct Running<J: Job>(Arc<Engine<J>>);

impl<J: Job> Drop for Running<J> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.is_stopped = true;
        let jobs =
            [Class::Small, Class::Large].map(|class| std::mem::take(&mut state.queue(class).jobs));
        drop(state);
        self.0.arrived.notify_all();
        self.0.taken.notify_all();
        jobs.into_iter().flatten().for_each(Ticket::discard);
    }
}

struct Engine<J: Job> {
    state: Mutex<EngineState<J>>,
    /// Enough jobs of a class came, or the last of all.
    arrived: Condvar,
    /// Jobs were taken from a queue.
    taken: Condvar,
    batches: Batches,
}

struct EngineState<J: Job> {
    small: JobQueue<J>,
    large: JobQueue<J>,
    /// No more jobs come.
    is_ended: bool,
    is_stopped: bool,
}

/// Jobs that wait, and what bounds the work at them.
struct JobQueue<J: Job> {
    class: Class,
    jobs: VecDeque<Ticket<J>>,
    /// Of all jobs, as far as is known.
    bytes: u64,
    budget: ByteBudget,
    /// Tasks at a time.
    slots: usize,
    /// Tasks that were spawned and have not ended.
    running: usize,
    /// Those of them that have not taken their jobs yet.
    starting: usize,
}

impl<J: Job> EngineState<J> {
    fn queue(&mut self, class: Class) -> &mut JobQueue<J> {
        match class {
            Class::Small => &mut self.small,
            Class::Large => &mut self.large,
        }
    }
}

impl<J: Job> JobQueue<J> {
    /// Whether one more task has something to do. Small files are worth another thread in batches only,
    /// unless no more come.
    fn is_ready(&self, is_ended: bool) -> bool {
        let room = |ticket: &Ticket<J>| self.budget.fits(ticket.size().unwrap_or(0));
        let tasks = self.starting + 1;
        let is_worth = self.class == Class::Large
            || self.running == 0
            || is_ended
            || self.jobs.len() >= tasks * SMALL_BATCH
            || self.bytes >= tasks as u64 * WORTH_A_THREAD;
        self.running < self.slots
            && self.starting < self.jobs.len()
            && self.jobs.front().is_some_and(room)
            && is_worth
    }

    /// Behind those that have its priority.
    fn put(&mut self, ticket: Ticket<J>) {
        self.bytes += ticket.size().unwrap_or(0);
        let priority = ticket.priority();
        let behind = |other: &Ticket<J>| other.priority() >= priority;
        let place = self.jobs.iter().rposition(behind);
        self.jobs.insert(place.map_or(0, |at| at + 1), ticket);
    }

    /// Takes up to `most` jobs that there is room for, of up to `bytes`, but for the first one. A
    /// stream, which may not end for a long time, shares its task with no other job.
    fn take(&mut self, most: usize, bytes: u64) -> Vec<(Ticket<J>, u64)> {
        let (mut batch, mut total) = (Vec::new(), 0);
        while batch.len() < most && total < bytes {
            let Some(front) = self.jobs.front() else {
                break;
            };
            let (is_stream, size) = (front.size().is_none(), front.size().unwrap_or(0));
            if !self.budget.fits(size) || is_stream && !batch.is_empty() {
                break;
            }
            if !self.budget.is_unlimited() {
                self.budget.take(size);
            }
            self.bytes -= size;
            total += size;
            batch.extend(self.jobs.pop_front().map(|ticket| (ticket, size)));
            if is_stream {
                break;
            }
        }
        batch
    }
}

impl<J: Job> Engine<J> {
    fn is_stopped(&self, state: &EngineState<J>) -> bool {
        state.is_stopped || self.batches.watch().is_stopped()
    }

    /// Spawns tasks while there is something for them to do. Large files first: they take longest,
    /// and must not be what is left to one thread at the end.
    fn start_tasks(self: &Arc<Self>, state: &mut EngineState<J>) {
        if self.is_stopped(state) {
            return;
        }
        let is_ended = state.is_ended;
        for class in [Class::Large, Class::Small] {
            let queue = state.queue(class);
            while queue.is_ready(is_ended) {
                queue.running += 1;
                queue.starting += 1;
                let engine = Arc::clone(self);
                let pool = self.batches.pools().of(class);
                pool.spawn_fifo(move || engine.run_task(class));
            }
        }
    }

    fn run_task(self: Arc<Self>, class: Class) {
        let _slot = TaskSlot(Arc::clone(&self), class);
        let files = self.take(class);
        match class {
            Class::Small => self.put_back(self.batches.small(files)),
            Class::Large => self.batches.large(files),
        }
    }

    /// Lets files wait again, in the class that they are of as far as is known by now.
    fn put_back(&self, files: Vec<Taken<J>>) {
        let tickets: Vec<_> = files.into_iter().map(Taken::put_back).collect();
        let mut state = self.state.lock();
        if self.is_stopped(&state) {
            drop(state);
            return tickets.into_iter().for_each(Ticket::discard);
        }
        for ticket in tickets {
            let class = self.batches.settings().class(ticket.size());
            state.queue(class).put(ticket);
        }
        drop(state);
        self.arrived.notify_all();
    }

    fn take(self: &Arc<Self>, class: Class) -> Vec<Taken<J>> {
        let mut state = self.with_company(self.state.lock(), class);
        let (most, bytes) = match class {
            Class::Small => (SMALL_BATCH, self.batches.settings().small_batch),
            Class::Large => (self.share(state.large.jobs.len()), u64::MAX),
        };
        let queue = state.queue(class);
        queue.starting -= 1;
        let batch = queue.take(most, bytes);
        let is_limited = !queue.budget.is_unlimited();
        drop(state);
        self.taken.notify_all();
        let files = batch.into_iter().map(|(ticket, size)| {
            let budgets = is_limited.then(|| Arc::clone(self) as Arc<dyn Budgets>);
            Taken::new(ticket, BudgetGuard::new(budgets, class, size))
        });
        files.collect()
    }

    /// Waits a moment for files to hash together: the list needs microseconds for the next ones, alone,
    /// a large file gets one slow chain, and a small one costs as much as a batch.
    fn with_company<'s>(
        &self,
        mut state: MutexGuard<'s, EngineState<J>>,
        class: Class,
    ) -> MutexGuard<'s, EngineState<J>> {
        let longest = match class {
            Class::Large => COMPANY,
            Class::Small => SMALL_COMPANY,
        };
        let mut deadline = None;
        while !state.is_ended && !self.is_stopped(&state) && !self.has_company(state.queue(class)) {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + longest);
            let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                break;
            };
            state = self.arrived.wait_timeout(state, left);
        }
        state
    }

    /// Whether what waits is worth a batch.
    fn has_company(&self, queue: &JobQueue<J>) -> bool {
        match queue.class {
            Class::Large => queue.jobs.len() >= self.enough(),
            Class::Small => queue.jobs.len() >= SMALL_BATCH || queue.bytes >= WORTH_A_THREAD,
        }
    }

    /// Large files that fill the lanes of all threads.
    fn enough(&self) -> usize {
        FULL_LANES * self.batches.pools().of(Class::Large).current_num_threads()
    }

    /// How many of `waiting` large files one task takes. What is read has no lanes to fill.
    fn share(&self, waiting: usize) -> usize {
        match self.batches.settings().source.maps {
            true => share(
                waiting,
                self.batches.pools().of(Class::Large).current_num_threads(),
            ),
            false => 1,
        }
    }
}

impl<J: Job> Budgets for Engine<J> {
    fn change(self: Arc<Self>, class: Class, from: u64, to: Option<u64>) {
        let mut state = self.state.lock();
        let budget = &mut state.queue(class).budget;
        budget.give_back(from);
        if let Some(to) = to {
            budget.take(to);
        }
        self.start_tasks(&mut state);
    }
}

/// A task's place among those that may run at a time.
struct TaskSlot<J: Job>(Arc<Engine<J>>, Class);

impl<J: Job> Drop for TaskSlot<J> {
    fn drop(&mut self) {
        let TaskSlot(engine, class) = self;
        let mut state = engine.state.lock();
        state.queue(*class).running -= 1;
        engine.start_tasks(&mut state);
    }
}

/// How many of `waiting` large files one of `threads` takes. Two are hashed side by side by two threads;
/// up to eight fill the lanes of one; more are shared out.
fn share(waiting: usize, threads: usize) -> usize {
    if waiting < LANES_FROM {
        return 1;
    }
    waiting
        .div_ceil(threads)
        .max(FULL_LANES)
        .min(waiting)
        .min(LARGE_BATCH)
}

/// Files that are known and not yet hashed; a bound for memory, not for speed.
const LOOK_AHEAD: usize = 8192;

/// Large files that fill the lanes of one thread.
const FULL_LANES: usize = 8;

/// Large files hashed at a time by one thread.
const LARGE_BATCH: usize = 32;

/// The longest wait for more large files.
const COMPANY: Duration = Duration::from_millis(2);

/// The longest wait for more small files: a list finds a hundred in it.
const SMALL_COMPANY: Duration = Duration::from_micros(300);

/// Bytes of small files that take longer to read and hash than a thread takes to be woken.
const WORTH_A_THREAD: u64 = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_shared_out() {
        assert_eq!(
            [1, 2, 3, 8, 16, 100].map(|waiting| share(waiting, 2)),
            [1, 1, 3, 8, 8, 32]
        );
        assert_eq!(share(20, 1), 20);
    }
}
