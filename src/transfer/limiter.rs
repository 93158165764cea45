//! Permits for bodies in flight. How many there are is [`crate::policy`]'s decision, fed here with
//! how each body ended; who gets one is decided by order of asking.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::policy::{
    CongestionSignal, Found, Limit, Queued, Seen, Steering, USUAL_SLICE, bodies_in_time,
    rate_in_time,
};
use crate::sync::{Mutex, MutexGuard};

/// The limiter of a client, shared by all its runs.
#[derive(Debug)]
pub struct ConcurrencyLimiter {
    state: Mutex<LimiterState>,
}

#[derive(Debug)]
struct LimiterState {
    limit: Limit,
    /// Bytes a second that all bodies share, if that is limited.
    rate: Option<u64>,
    /// The largest body so far; before the first one, what slices usually have.
    largest: Option<u64>,
    in_flight: usize,
    /// Those of them of which the socket has nearly all.
    sent: usize,
    /// Each waits for a permit, with its priority; one that stopped waiting drops what it is handed, which
    /// passes the permit on.
    waiting: VecDeque<(i8, oneshot::Sender<Permit>)>,
    /// Bodies in flight that can be called off, in the order in which they set out.
    revocable: BTreeMap<u64, oneshot::Sender<()>>,
    /// The number of the next of these.
    next: u64,
}

/// The right to have one body in flight; dropping it lets the next one through.
#[derive(Debug)]
pub struct Permit {
    limiter: Option<Arc<ConcurrencyLimiter>>,
    /// Among those that can be called off.
    number: Option<u64>,
    /// The socket has nearly all of the body.
    sent: bool,
}

impl Permit {
    /// The socket has the body, but for an [`OVERLAP`] at most: of a rate that all share it takes little any more, and the
    /// next may begin while this one waits for its answer.
    pub fn sent(&mut self) {
        if let Some(limiter) = self.limiter.as_ref().filter(|_| !self.sent) {
            let mut state = limiter.lock();
            self.sent = true;
            state.sent += 1;
            limiter.hand_on(state);
        }
    }

    /// Whether another body may wait for that.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        let limiter = self.limiter.as_ref().filter(|_| !self.sent);
        limiter.is_some_and(|limiter| limiter.lock().rate.is_some())
    }

    /// Waits until the body is called off: it would not arrive in time, and the others will once it stops. It is
    /// not in flight any more when this is dropped, and asks for another permit.
    pub fn called_off(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let called_off = self.limiter.as_ref().map(|limiter| {
            let (sender, receiver) = oneshot::channel();
            let mut state = limiter.lock();
            let number = *self.number.get_or_insert(state.next);
            state.next = state.next.max(number + 1);
            state.revocable.insert(number, sender);
            receiver
        });
        async move {
            if let Some(called_off) = called_off
                && called_off.await.is_ok()
            {
                return;
            }
            std::future::pending().await
        }
    }
}

impl ConcurrencyLimiter {
    /// A limiter that grants what `limit` allows; where all bodies share `rate` bytes a second, no
    /// more of them at once than arrive in time.
    #[must_use]
    pub fn new(limit: Limit, rate: Option<u64>) -> Arc<ConcurrencyLimiter> {
        Arc::new(ConcurrencyLimiter {
            state: Mutex::new(LimiterState {
                limit,
                rate,
                largest: None,
                in_flight: 0,
                sent: 0,
                waiting: VecDeque::new(),
                revocable: BTreeMap::new(),
                next: 0,
            }),
        })
    }

    /// Asks for a permit; the future waits for it. They are granted by `priority`, and in order of asking,
    /// whenever the futures are polled. Dropping the future leaves the queue.
    pub fn acquire(self: &Arc<Self>, priority: i8) -> impl Future<Output = Permit> + Send + use<> {
        let mut state = self.lock();
        let asked = if state.has_room() && state.waiting.is_empty() {
            state.in_flight += 1;
            Ok(self.permit())
        } else {
            let (sender, receiver) = oneshot::channel();
            let behind = |(other, _): &(i8, _)| *other >= priority;
            let place = state
                .waiting
                .iter()
                .rposition(behind)
                .map_or(0, |at| at + 1);
            state.waiting.insert(place, (priority, sender));
            Err((Arc::clone(self), receiver))
        };
        drop(state);
        async move {
            match asked {
                Ok(permit) => permit,
                // The limiter lives as long as the receiver, and hands a permit to every sender that
                // it takes out.
                Err((_limiter, receiver)) => match receiver.await {
                    Ok(permit) => permit,
                    Err(_) => unreachable!("the limiter dropped a waiter"),
                },
            }
        }
    }

    /// A permit if there is one to spare and no waiter.
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "the tests of random schedules ask for it")
    )]
    #[must_use]
    pub fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        self.grant_at_once(0)
    }

    /// A permit for a body that is sent twice, if no other waits for one: where the number is not the
    /// caller's and no rate is shared, one more than the limit, since the body that straggles moves little.
    #[must_use]
    pub fn acquire_for_hedge(self: &Arc<Self>) -> Option<Permit> {
        self.grant_at_once(1)
    }

    fn grant_at_once(self: &Arc<Self>, beyond: usize) -> Option<Permit> {
        let mut state = self.lock();
        let adapts = state.limit.steering() != Steering::Fixed && state.rate.is_none();
        let beyond = if adapts { beyond } else { 0 };
        if !state.has_room_for(beyond) || !state.waiting.is_empty() {
            return None;
        }
        state.in_flight += 1;
        Some(self.permit())
    }

    /// A body of `bytes` sets out: its size tells how many fit into the gateway's 60 s.
    pub fn started(self: &Arc<Self>, bytes: u64) {
        let mut state = self.lock();
        state.limit.on_start(bytes);
        state.largest = Some(state.largest.unwrap_or(0).max(bytes));
        if state.rate.is_some() {
            // The first body tells how many such may go together.
            self.hand_on(state);
        }
    }

    /// A body of `bytes` was acknowledged, `took` after its start.
    pub fn acked(self: &Arc<Self>, now: Instant, bytes: u64, took: Duration) {
        let mut state = self.lock();
        let in_flight = state.in_flight;
        state.limit.on_ack(now, bytes, took, in_flight);
        self.hand_on(state);
    }

    /// So many `bytes` of content were `seen` in all, over all runs: the finer signal between acks. The run that says
    /// so has `left` to send, as far as that is known.
    pub fn progressed(
        self: &Arc<Self>,
        now: Instant,
        (bytes, seen): (u64, Seen),
        left: Option<u64>,
    ) {
        let mut state = self.lock();
        state.limit.on_left(left);
        state.limit.on_progress(now, bytes, seen);
        // Of a rate that they share no more are in flight than arrive in time.
        if let Some(most) = state.limit.take_surplus()
            && state.rate.is_none()
        {
            state.call_off(most);
        }
        self.hand_on(state);
    }

    /// The shortest round trip to a server is `rtt`, as far as is known.
    pub fn round_trip(&self, rtt: Duration) {
        self.lock().limit.on_rtt(rtt);
    }

    /// What an earlier run has found on this link, and whether connections will share it.
    pub fn found_before(&self, now: Instant, found: Found, will_share: bool) {
        self.lock().limit.on_found(now, found, will_share);
    }

    /// What was found on this link.
    #[must_use]
    pub fn found(&self) -> Option<Found> {
        self.lock().limit.found()
    }

    /// Connections share what the link carries, however much it loses.
    pub fn connections_share(&self) {
        self.lock().limit.on_shared();
    }

    /// What connections see of the link's queue.
    pub fn queue_is(&self, queued: Queued) {
        self.lock().limit.on_queue(queued);
    }

    /// Whether so much is left to send, as far as is known, that more connections pay.
    #[must_use]
    pub fn connections_pay(&self) -> bool {
        self.lock().limit.connections_pay()
    }

    /// Whether all is sent within ten seconds, or was to be once.
    pub fn ends_soon(&self) -> bool {
        self.lock().limit.ends_soon()
    }

    /// From now on all bodies share `rate` bytes a second.
    pub fn set_rate(self: &Arc<Self>, rate: Option<u64>) {
        let mut state = self.lock();
        state.rate = rate;
        self.hand_on(state);
    }

    /// The bytes a second that what is in flight needs to arrive in time, and what two bodies need.
    #[must_use]
    pub fn needs(&self) -> (u64, u64) {
        let state = self.lock();
        let largest = state.largest.unwrap_or(USUAL_SLICE);
        (
            rate_in_time(state.in_flight - state.sent, largest)
                + rate_in_time(state.sent, largest / OVERLAP),
            rate_in_time(2, largest),
        )
    }

    /// A body failed in a way that asks for fewer at once.
    pub fn congested(&self, now: Instant, signal: CongestionSignal) {
        self.lock().limit.on_congestion(now, signal);
    }

    /// Bodies in flight, and how many there may be.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.in_flight, state.permits())
    }

    /// What steers the number of permits, how often it was cut, and by what the last time.
    #[must_use]
    pub fn steering(&self) -> (Steering, u64, Option<CongestionSignal>) {
        let state = self.lock();
        let (cuts, signal) = state.limit.cuts();
        (state.limit.steering(), cuts, signal)
    }

    /// Bodies that wait for a permit.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.lock().waiting.len()
    }

    fn permit(self: &Arc<Self>) -> Permit {
        Permit {
            limiter: Some(Arc::clone(self)),
            number: None,
            sent: false,
        }
    }

    /// Hands permits to those that wait, the lock given back first: a refused permit comes back here.
    fn hand_on(self: &Arc<Self>, mut state: MutexGuard<'_, LimiterState>) {
        let mut ready = Vec::new();
        while state.has_room() {
            let Some((_, waiter)) = state.waiting.pop_front() else {
                break;
            };
            state.in_flight += 1;
            ready.push(waiter);
        }
        drop(state);
        for waiter in ready {
            // Refused where the waiter is gone: the permit drops here and goes to the next.
            drop(waiter.send(self.permit()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, LimiterState> {
        self.state.lock()
    }
}

impl LimiterState {
    /// Permits above a limit that has shrunk stay valid; the excess is absorbed as they come back.
    fn has_room(&self) -> bool {
        self.has_room_for(0)
    }

    /// The same with so many beyond the limit.
    fn has_room_for(&self, beyond: usize) -> bool {
        let sending = self.in_flight - self.sent;
        self.in_flight < self.limit.permits() + beyond && sending < self.permits() + beyond
    }

    /// Calls off the newest bodies until no more than `most` are in flight.
    fn call_off(&mut self, most: usize) {
        let surplus = self.in_flight.saturating_sub(most);
        if surplus == 0 {
            return;
        }
        tracing::info!(
            in_flight = self.in_flight,
            "the link carries less than before: bodies that would not arrive in time go back"
        );
        for _ in 0..surplus {
            if let Some((_, body)) = self.revocable.pop_last() {
                // Refused where it has just ended.
                let _ = body.send(());
            }
        }
    }

    fn permits(&self) -> usize {
        let largest = self.largest.unwrap_or(USUAL_SLICE);
        let in_time = self.rate.map(|rate| bodies_in_time(rate, largest));
        self.limit.permits().min(in_time.unwrap_or(usize::MAX))
    }
}

/// The last part of a body: so many of them are a whole one.
pub(super) const OVERLAP: u64 = 8;

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(limiter) = self.limiter.take() else {
            return;
        };
        let mut state = limiter.lock();
        state.in_flight -= 1;
        state.sent -= usize::from(self.sent);
        if let Some(number) = self.number {
            state.revocable.remove(&number);
        }
        limiter.hand_on(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::LimitSettings;

    fn limiter(fixed: Option<usize>, rate: u64) -> Arc<ConcurrencyLimiter> {
        let settings = LimitSettings {
            fixed,
            ..LimitSettings::default()
        };
        ConcurrencyLimiter::new(Limit::new(settings, Instant::now()), Some(rate))
    }

    #[test]
    fn as_many_bodies_share_a_rate_as_arrive_in_time() {
        for fixed in [None, Some(8)] {
            let limiter = limiter(fixed, 400 << 10);
            let first = limiter.try_acquire().expect("one");
            limiter.started(16 << 20);
            assert!(limiter.try_acquire().is_none(), "{fixed:?}");
            drop(first);
            assert!(limiter.try_acquire().is_some(), "{fixed:?}");
        }
    }

    #[tokio::test]
    async fn a_straggler_is_sent_again_beyond_the_limit_where_no_other_body_waits() {
        let adapts = Limit::new(LimitSettings::default(), Instant::now());
        let limiter = ConcurrencyLimiter::new(adapts, None);
        let mut held = Vec::new();
        while let Some(permit) = limiter.try_acquire() {
            held.push(permit);
        }
        let waits = limiter.acquire(0);
        assert!(limiter.acquire_for_hedge().is_none(), "a body waits");
        drop(waits);
        // What has stopped waiting is noticed when a permit comes back.
        held.pop();
        held.extend(limiter.try_acquire());
        let hedge = limiter.acquire_for_hedge().expect("one more");
        assert!(limiter.acquire_for_hedge().is_none(), "and no second one");
        drop(hedge);
        let (in_flight, most) = limiter.load();
        assert_eq!((in_flight, most), (held.len(), held.len()));
    }

    #[test]
    fn a_number_that_was_asked_for_and_a_shared_rate_are_kept() {
        for (fixed, rate) in [(Some(1), None), (None, Some(400 << 10))] {
            let settings = LimitSettings {
                fixed,
                ..LimitSettings::default()
            };
            let limit = Limit::new(settings, Instant::now());
            let limiter = ConcurrencyLimiter::new(limit, rate);
            let first = limiter.acquire_for_hedge();
            assert!(first.is_some() && limiter.acquire_for_hedge().is_none());
        }
    }

    /// The newest have sent least.
    #[tokio::test]
    async fn the_newest_bodies_are_called_off_and_only_those_that_can_be() {
        let limiter = limiter(Some(8), 1 << 30);
        let mut first = limiter.acquire(0).await;
        let single = limiter.acquire(0).await;
        let mut others = [limiter.acquire(0).await, limiter.acquire(0).await];
        let first_is_off = first.called_off();
        let called_off = others.each_mut().map(Permit::called_off);
        limiter.lock().call_off(2);
        for off in called_off {
            let off = tokio::time::timeout(Duration::from_secs(5), off).await;
            off.expect("it is called off");
        }
        let goes_on = tokio::time::timeout(Duration::from_millis(20), first_is_off).await;
        assert!(goes_on.is_err(), "the oldest is not");
        assert_eq!(limiter.load().0, 4, "each until it has stopped");
        drop(others);
        assert_eq!(limiter.load().0, 2);
        limiter.lock().call_off(0);
        assert_eq!(limiter.lock().revocable.len(), 0);
        drop((first, single));
        assert_eq!(limiter.load().0, 0);
    }

    /// Of a shared rate it takes nothing any more, and the number that was asked for stays the most.
    #[test]
    fn a_body_that_waits_for_its_answer_keeps_no_other_back() {
        let limiter = limiter(Some(2), 400_000);
        let mut first = limiter.try_acquire().expect("one arrives in time");
        limiter.started(16 << 20);
        assert!(limiter.try_acquire().is_none() && first.is_awaited());
        first.sent();
        first.sent();
        assert!(!first.is_awaited());
        assert_eq!(limiter.needs().0, rate_in_time(1, 2 << 20));
        let second = limiter.try_acquire().expect("the first has all of its own");
        assert!(limiter.try_acquire().is_none());
        drop(first);
        assert!(limiter.try_acquire().is_none(), "the second is being sent");
        drop(second);
        assert!(limiter.try_acquire().is_some());
        assert_eq!(limiter.load().0, 0);
    }

    #[test]
    fn another_rate_lets_more_or_fewer_through() {
        let limiter = limiter(Some(8), 400 << 10);
        limiter.started(16 << 20);
        for (rate, permits) in [
            (Some(4 << 20), 8),
            (None, 8),
            (Some(1 << 20), 3),
            (Some(400 << 10), 1),
        ] {
            limiter.set_rate(rate);
            assert_eq!(limiter.load().1, permits, "{rate:?}");
        }
    }

    #[tokio::test]
    async fn the_higher_priority_goes_first_and_equals_in_order() {
        let limiter = limiter(Some(1), 400 << 10);
        let first = limiter.acquire(0).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiting = [
            (0, "a"),
            (-1, "last"),
            (5, "first"),
            (0, "b"),
            (5, "second"),
        ];
        let tasks = waiting.map(|(priority, name)| {
            let (permit, order) = (limiter.acquire(priority), Arc::clone(&order));
            tokio::spawn(async move {
                let _permit = permit.await;
                order.lock().push(name);
            })
        });
        drop(first);
        for task in tasks {
            task.await.expect("granted");
        }
        assert_eq!(*order.lock(), ["first", "second", "a", "b", "last"]);
    }

    #[tokio::test]
    async fn small_bodies_do_not_wait_for_one_another() {
        let limiter = limiter(Some(8), 400 << 10);
        let first = limiter.acquire(0).await;
        let second = limiter.acquire(0);
        limiter.started(64 << 10);
        let second = tokio::time::timeout(Duration::from_secs(5), second).await;
        assert_eq!(limiter.load(), (2, 8));
        drop((first, second.expect("it is handed on")));
    }
}
