//! The concurrency limiter. In: bodies that ask, wait, leave and come to something, and a limit that moves. Out: that
//! nobody is forgotten, overtaken or let in beyond the limit. Never: a look inside.
//!
//! The book knows later than the limiter that a permit is out, and earlier that it came back, so what it
//! finds to be too much is too much for the limiter as well. Which limit was in force when a permit was
//! granted cannot be seen; it was one of those in force since it was asked for.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use races::chance::{below, linger, once_in, one_of, others, play};
use races::limiter::{ConcurrencyLimiter, Permit};
use races::policy::{self, CongestionSignal, Limit, LimitSettings};
use shuttle::future::{JoinHandle, block_on, spawn};

#[test]
fn permits_follow_a_limit_that_moves() {
    let seen = Arc::new(Seen::default());
    let crowd = Crowd {
        limit: MOVING,
        bodies: 5,
        moods: Moods::Any,
        called_off: 4,
    };
    let noted = Arc::clone(&seen);
    play(move || crowd.play(&noted), SCHEDULES);
    for (counter, what) in [
        (&seen.raised, "rose"),
        (&seen.lowered, "fell"),
        (&seen.tried, "let one in that did not wait"),
    ] {
        assert!(counter.load(Ordering::Relaxed) > 0, "it never {what}");
    }
}

#[test]
fn one_permit_goes_round_although_many_are_called_off() {
    let crowd = Crowd {
        limit: fixed(1),
        bodies: 4,
        moods: Moods::Calm,
        called_off: 2,
    };
    play(move || crowd.play(&Seen::default()), SCHEDULES);
}

#[test]
fn who_asks_first_is_let_in_first() {
    play(
        || {
            let crowd = Crowd {
                limit: fixed(one_of(&[1, 1, 2, 3])),
                bodies: 6,
                moods: Moods::Calm,
                called_off: 0,
            };
            crowd.play(&Seen::default());
        },
        SCHEDULES,
    );
}

/// Nobody gives a permit back: all that waited are let in by what raised the limit.
#[test]
fn a_limit_that_rises_lets_in_those_that_wait() {
    play(
        || {
            let scene = Scene::new(MOVING);
            block_on(async {
                let waiting: Vec<_> = (0..MOVING.max)
                    .map(|_| spawn(scene.clone().acquire()))
                    .collect();
                let called_off = spawn(scene.clone().acquire());
                let raising = spawn(scene.clone().raise());
                linger(6).await;
                called_off.abort();
                drop(called_off.await);
                let mut held = Vec::new();
                for permit in waiting {
                    held.push(permit.await.expect("nobody calls it off"));
                }
                raising.await.expect("the limit rises");
                assert_eq!(scene.limiter.load(), (MOVING.max, MOVING.max));
            });
            scene.clear();
        },
        SCHEDULES / 2,
    );
}

/// Bodies that want to set out.
#[derive(Debug, Clone, Copy)]
struct Crowd {
    limit: LimitSettings,
    bodies: usize,
    moods: Moods,
    /// One in so many is called off; 0 is none.
    called_off: usize,
}

/// What bodies come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moods {
    /// Nothing that the limiter hears of.
    Calm,
    /// Acknowledgements and troubles.
    Any,
}

/// What happened in any of the runs: a scene in which nothing happens proves nothing.
#[derive(Debug, Default)]
struct Seen {
    raised: AtomicUsize,
    lowered: AtomicUsize,
    tried: AtomicUsize,
}

impl Crowd {
    fn play(self, seen: &Seen) {
        let scene = Scene::new(self.limit);
        block_on(async {
            let bodies: Vec<_> = (0..self.bodies)
                .map(|_| spawn(scene.clone().bodies(self.moods)))
                .collect();
            let trying = spawn(scene.clone().tries());
            self.await_all(bodies).await;
            let tried = trying.await.expect("nobody calls it off");
            seen.tried.fetch_add(tried, Ordering::Relaxed);
        });
        let book = scene.book();
        for pair in book.limits.windows(2) {
            seen.raised
                .fetch_add(usize::from(pair[1] > pair[0]), Ordering::Relaxed);
            seen.lowered
                .fetch_add(usize::from(pair[1] < pair[0]), Ordering::Relaxed);
        }
        drop(book);
        scene.clear();
    }

    async fn await_all(self, bodies: Vec<JoinHandle<()>>) {
        let mut called_off = Vec::new();
        for body in &bodies {
            called_off.push(self.called_off > 0 && once_in(self.called_off));
            if called_off.last() == Some(&true) {
                linger(4).await;
                body.abort();
            }
        }
        for (body, called_off) in bodies.into_iter().zip(called_off) {
            assert!(body.await.is_ok() || called_off, "a body broke off");
        }
    }
}

/// A limiter and the book about it.
#[derive(Debug, Clone)]
struct Scene {
    limiter: Arc<ConcurrencyLimiter>,
    book: Arc<Mutex<Book>>,
    /// Taken for each move of the limit, so that no two come between two entries of the book.
    clock: Arc<shuttle::sync::Mutex<Clock>>,
}

#[derive(Debug)]
struct Book {
    /// The limit, and what it became with each move.
    limits: Vec<usize>,
    /// Permits out.
    held: usize,
    asked: u32,
    /// A bit for each of those that certainly stand in the queue.
    queued: u64,
}

#[derive(Debug)]
struct Clock {
    now: Instant,
    carried: u64,
}

impl Scene {
    fn new(limit: LimitSettings) -> Self {
        let now = Instant::now();
        let limiter = ConcurrencyLimiter::new(Limit::new(limit, now), None);
        let (_, limit) = limiter.load();
        Scene {
            limiter,
            book: Arc::new(Mutex::new(Book {
                limits: vec![limit],
                held: 0,
                asked: 0,
                queued: 0,
            })),
            clock: Arc::new(shuttle::sync::Mutex::new(Clock { now, carried: 0 })),
        }
    }

    /// A body, or two, one after the other.
    async fn bodies(self, moods: Moods) {
        for _ in 0..=below(2) {
            let held = self.clone().acquire().await;
            linger(2).await;
            if moods == Moods::Any {
                self.comes_to();
            }
            drop(held);
        }
    }

    /// Bodies that set out at once or not at all. Answers how many did.
    async fn tries(self) -> usize {
        let mut let_in = 0;
        for _ in 0..below(4) {
            linger(4).await;
            let ask = Ask::new(&self);
            if let Some(permit) = self.limiter.try_acquire() {
                let held = ask.granted(permit);
                linger(2).await;
                drop(held);
                let_in += 1;
            }
        }
        let_in
    }

    async fn acquire(self) -> Held {
        let mut acquiring = pin!(self.limiter.acquire(0));
        // Declared later, so dropped earlier: whoever leaves is out of the book before the queue.
        let ask = Ask::new(&self);
        let permit = poll_fn(|cx| {
            let polled = acquiring.as_mut().poll(cx);
            if polled.is_pending() {
                ask.waits();
            }
            polled
        })
        .await;
        ask.granted(permit)
    }

    /// The limiter hears of a body, which moves the limit or not.
    fn comes_to(&self) {
        match below(4) {
            0 => {}
            1 => self.moves(|limiter, now, _| limiter.congested(now, one_of(&TROUBLES))),
            2 => self.moves(|limiter, now, carried| {
                limiter.progressed(now, (carried, policy::Seen::Taken), None)
            }),
            _ => self.moves(|limiter, now, _| limiter.acked(now, BYTES, TOOK)),
        }
    }

    /// Lets the limit rise to its maximum, by what acknowledgements or sockets say.
    async fn raise(self) {
        // What is in flight stays so: a link so slow that bodies are called off would wait for them.
        for _ in 0..1_000 {
            if self.limiter.load().1 == MOVING.max {
                return;
            }
            if once_in(2) {
                self.moves_within(&[1, 40], |limiter, now, _| {
                    limiter.acked(now, BYTES, TOOK);
                });
            } else {
                self.moves_within(&[1, 40], |limiter, now, carried| {
                    limiter.progressed(now, (carried, policy::Seen::Taken), None);
                });
            }
            linger(1).await;
        }
        panic!("the limit does not rise");
    }

    fn moves(&self, how: impl FnOnce(&Arc<ConcurrencyLimiter>, Instant, u64)) {
        self.moves_within(&[1, 40, 300, 2_000], how);
    }

    /// One of `millis` later.
    fn moves_within(
        &self,
        millis: &[u64],
        how: impl FnOnce(&Arc<ConcurrencyLimiter>, Instant, u64),
    ) {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.now += Duration::from_millis(one_of(millis));
        clock.carried += BYTES;
        self.limiter.started(BYTES);
        how(&self.limiter, clock.now, clock.carried);
        let (_, limit) = self.limiter.load();
        self.book().limits.push(limit);
    }

    /// Nothing stays, and nothing was lost: there are as many permits as the limit says.
    fn clear(&self) {
        let (in_flight, limit) = self.limiter.load();
        assert_eq!((in_flight, self.book().held), (0, 0));
        let permits: Vec<_> = (0..limit)
            .map_while(|_| self.limiter.try_acquire())
            .collect();
        assert_eq!((permits.len(), self.limiter.load().0), (limit, limit));
        assert!(self.limiter.try_acquire().is_none(), "one too many");
        drop(permits);
        assert_eq!(self.limiter.load().0, 0);
        assert_eq!(
            Arc::strong_count(&self.limiter),
            1,
            "somebody keeps the limiter"
        );
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A failed assertion elsewhere is what is to be reported.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that asks for a permit.
struct Ask {
    scene: Scene,
    bit: u64,
    /// Those that stood in the queue before.
    before: u64,
    /// The number of the limit that was in force.
    since: usize,
}

impl Ask {
    fn new(scene: &Scene) -> Self {
        let mut book = scene.book();
        let bit = 1 << book.asked;
        book.asked += 1;
        Ask {
            bit,
            before: book.queued,
            since: book.limits.len() - 1,
            scene: scene.clone(),
        }
    }

    fn waits(&self) {
        self.scene.book().queued |= self.bit;
    }

    fn granted(self, permit: Permit) -> Held {
        let mut book = self.scene.book();
        book.held += 1;
        // Those served before this one, and not told yet, have permits too.
        let overtaken = (book.queued & self.before).count_ones() as usize;
        let out = book.held;
        drop(book);
        let held = Held {
            scene: self.scene.clone(),
            permit: Some(permit),
        };
        let (_, now) = self.scene.limiter.load();
        let limits = self.scene.book().limits[self.since..].to_vec();
        let most = limits.iter().fold(now, |most, &limit| most.max(limit));
        assert!(out <= most, "{out} are out, {limits:?} and {now} allowed");
        assert!(overtaken < most, "{overtaken} were overtaken, {limits:?}");
        held
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        self.scene.book().queued &= !self.bit;
    }
}

/// A permit, in the book.
struct Held {
    scene: Scene,
    permit: Option<Permit>,
}

impl Drop for Held {
    fn drop(&mut self) {
        others();
        self.scene.book().held -= 1;
        drop(self.permit.take());
    }
}

fn fixed(permits: usize) -> LimitSettings {
    LimitSettings {
        fixed: Some(permits),
        ..LimitSettings::default()
    }
}

/// Two to begin with.
const MOVING: LimitSettings = LimitSettings {
    fixed: None,
    min: 1,
    max: 5,
    start: 5,
};

const TROUBLES: [CongestionSignal; 4] = [
    CongestionSignal::Throttled,
    CongestionSignal::Failed,
    CongestionSignal::TimedOut,
    CongestionSignal::Stalled,
];

/// A body that arrives within a second, so that the limit has no reason to stay low.
const BYTES: u64 = 1 << 20;

const TOOK: Duration = Duration::from_millis(300);

/// Of each scene.
const SCHEDULES: usize = 80_000;
