//! Calls per second of one endpoint. In: calls that want to go, successes, refusals. Out: how long
//! a call still waits, and a rate that finds what the service grants, and this process's share of it
//! where others of the account call as well. Never: a sleep, nor a call let through out of turn.
//!
//! Processes of one account know nothing of each other; what they have in common is that a call of any of
//! them is refused as likely as any other's. So whoever has more is refused and cut more often, and where
//! all climb alike, shares become equal. Each refusal teaches, and costs a call: in the first minute
//! after the first one cuts are large and the climb is quick, so that many are had; then both become small,
//! down to a refusal in some hundred calls. Where a newcomer has many calls of all refused, all begin to
//! learn again.

use std::time::{Duration, Instant};

/// The limiter of one endpoint, shared by all tasks.
///
/// A call takes a [`RateTicket`] and asks [`Rate::wait`] until the answer is zero. The wait is worked
/// out anew each time, so calls that queued at five a second profit when the rate has grown.
/// Until the first refusal the rate grows with each success (sevenfold a second while calls
/// wait); then it is halved and learns its share.
#[derive(Debug, Clone)]
pub struct Rate {
    settings: RateSettings,
    per_second: f64,
    /// Tickets handed out.
    issued: u64,
    /// Tickets whose turn has come, with the fraction of the next one.
    served: f64,
    served_at: Option<Instant>,
    /// A `Retry-After` is in force until then.
    held_until: Option<Instant>,
    /// When a call last had to wait. A limiter without a waiter learns nothing.
    waited_at: Option<Instant>,
    raised_at: Option<Instant>,
    cut_at: Option<Instant>,
    /// Since when it learns its share: the first refusal, or the one that made it begin again.
    learns_since: Option<Instant>,
    /// The share of calls that was refused, of the last some [`LATELY`].
    refused_lately: f64,
    /// Calls that were answered since it learns.
    answered: u64,
}

/// Bounds and pace of a [`Rate`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateSettings {
    /// Calls per second at the start.
    pub start: f64,
    /// Never slower than this, or nothing would ever be learnt again.
    pub least: f64,
    /// Never faster than this.
    pub most: f64,
    /// Calls per second gained with each success before the first refusal.
    pub growth: f64,
}

/// Calls per second that each endpoint starts from; they adapt from there.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct CallRates {
    /// `create`.
    pub create: Option<f64>,
    /// `upload_complete`.
    pub complete: Option<f64>,
    /// `single/create`.
    pub single: Option<f64>,
    /// `file/list`.
    pub list: Option<f64>,
}

impl CallRates {
    /// These rates, and where none is said the published ones, from which calls start.
    #[must_use]
    pub fn or_published(self) -> CallRates {
        let create = RateSettings::create().start;
        CallRates {
            create: self.create.or(Some(create)),
            complete: self.complete.or(Some(RateSettings::complete().start)),
            single: self.single.or(Some(create)),
            list: self.list.or(Some(create)),
        }
    }
}

/// A call's place in the queue. A dropped ticket costs its turn and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RateTicket(u64);

impl Rate {
    /// A limiter at `settings.start` that has seen nothing yet.
    #[must_use]
    pub fn new(settings: RateSettings) -> Self {
        Rate {
            settings,
            per_second: settings.start.clamp(settings.least, settings.most),
            issued: 0,
            served: 1.0,
            served_at: None,
            held_until: None,
            waited_at: None,
            raised_at: None,
            cut_at: None,
            learns_since: None,
            refused_lately: 0.0,
            answered: 0,
        }
    }

    /// Queues one call. First come, first served.
    #[must_use]
    pub fn take(&mut self, now: Instant) -> RateTicket {
        self.serve(now);
        self.issued += 1;
        RateTicket(self.issued)
    }

    /// How long the call still waits: zero means go. Otherwise wait that long and ask again; it
    /// is never more than a quarter of a second, because the rate may change meanwhile.
    #[must_use = "zero means go, anything else means ask again later"]
    pub fn wait(&mut self, ticket: RateTicket, now: Instant) -> Duration {
        self.serve(now);
        let missing = (ticket.0 as f64 - self.served).max(0.0);
        let held = self
            .held_until
            .map_or(Duration::ZERO, |t| t.saturating_duration_since(now));
        if missing == 0.0 && held.is_zero() {
            return Duration::ZERO;
        }
        self.waited_at = Some(now);
        let turn = Duration::try_from_secs_f64(missing / self.per_second).unwrap_or(LONGEST_WAIT);
        held.saturating_add(turn).clamp(SHORTEST_WAIT, LONGEST_WAIT)
    }

    /// A call was answered with success.
    pub fn succeeded(&mut self, now: Instant) {
        self.refused_lately -= self.refused_lately / LATELY;
        self.answered += 1;
        let contended = self
            .waited_at
            .is_some_and(|at| now.saturating_duration_since(at) < SECOND);
        let since = self
            .raised_at
            .replace(now)
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        if !contended {
            return;
        }
        let raise = match self.learns_since {
            None => self.settings.growth,
            Some(_) => self.climb(now) * since.min(LONGEST_CLIMB).as_secs_f64(),
        };
        self.serve(now);
        self.per_second = (self.per_second + raise).min(self.settings.most);
    }

    /// The service refused a call for its rate. Calls that were on their way together are refused
    /// together, so one second sees one cut.
    pub fn throttled(&mut self, now: Instant, retry_after: Option<Duration>) {
        self.serve(now);
        if let Some(wait) = retry_after {
            self.hold(now, wait);
        }
        self.refused_lately += (1.0 - self.refused_lately) / LATELY;
        self.answered += 1;
        let since = self.cut_at.map(|at| now.saturating_duration_since(at));
        if since.is_some_and(|since| since < SECOND) {
            return;
        }
        // What was refused at the beginning is forgotten by then, however few calls there are.
        let settled = self.learning(now) > SETTLED && self.answered as f64 > 4.0 * LATELY;
        let upset = UPSET + UPSET_BY_FEW / self.per_second;
        if self.learns_since.is_none() || settled && self.refused_lately >= upset {
            (self.learns_since, self.answered) = (Some(now), 0);
        }
        let mut cut = self.cut(now);
        // Still refused a second later: what is left is still too much, by what is refused.
        if since.is_some_and(|since| since < 2 * SECOND) {
            cut = cut.max(self.refused_lately.min(LARGEST_CUT));
        }
        self.per_second = (self.per_second * (1.0 - cut)).max(self.settings.least);
        self.cut_at = Some(now);
        self.raised_at = Some(now);
    }

    /// Lets nothing go for `wait`: another endpoint of the same account was refused. Above a
    /// minute it is taken for a mistake and ignored.
    pub fn hold(&mut self, now: Instant, wait: Duration) {
        if wait > LONGEST_HOLD {
            return;
        }
        self.serve(now);
        let until = now + wait;
        self.held_until = Some(self.held_until.map_or(until, |other| other.max(until)));
    }

    /// Calls per second at present.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.per_second
    }

    /// How long it has learnt, in units of [`LEARNS`].
    fn learning(&self, now: Instant) -> f64 {
        let since = self.learns_since.unwrap_or(now);
        now.saturating_duration_since(since).as_secs_f64() / LEARNS
    }

    /// The share that the next refusal takes.
    fn cut(&self, now: Instant) -> f64 {
        (LARGEST_CUT / (1.0 + self.learning(now)).powf(CALMS)).max(SMALLEST_CUT)
    }

    /// Calls per second gained each second, so that what a refusal takes is won back by the next one. Beside
    /// the refusals that it aims at it goes by little more than the fifth root of the rate: whoever has less wins back more of it.
    fn climb(&self, now: Instant) -> f64 {
        let rate = self.per_second;
        let learning = FIRST_REFUSALS / (1.0 + self.learning(now)).powi(4);
        let settled = (rate / RARE).min(MOST_REFUSALS);
        let refusals = learning.min(rate / OFTEN).max(settled);
        let alike = USUAL * (rate / USUAL).powf(0.2) * (1.0 + rate / LARGE);
        let climb = self.cut(now) * refusals * alike;
        (climb * self.lifted(now, climb)).min(climb.max(rate))
    }

    /// How many times as fast it climbs where no refusal came although what the last one took was won back
    /// several times: the limit was lifted.
    fn lifted(&self, now: Instant, climb: f64) -> f64 {
        let since = self.cut_at.unwrap_or(now);
        let won = now.saturating_duration_since(since).as_secs_f64() * climb;
        let over = (won / (self.cut(now) * self.per_second) - LIFTED).max(0.0);
        1.0 + over * over * over
    }

    /// Lets time pass: turns come at the present rate, and an idle limiter keeps no more credit
    /// than one call, or what a timer may be late.
    fn serve(&mut self, now: Instant) {
        let last = self.served_at.unwrap_or(now);
        let from = self
            .held_until
            .map_or(last, |until| last.max(until.min(now)));
        let passed = now.saturating_duration_since(from).as_secs_f64();
        let credit = (self.per_second * LATENESS.as_secs_f64()).max(1.0);
        let most = self.issued as f64 + credit;
        self.served = (self.served + passed * self.per_second).min(most);
        self.served_at = Some(self.served_at.map_or(now, |at| at.max(now)));
    }
}

impl RateSettings {
    /// A rate that starts at `start` and may go anywhere the service lets it.
    #[must_use]
    pub fn starting_at(start: f64) -> Self {
        RateSettings {
            start,
            least: 0.2,
            most: 10_000.0,
            growth: 2.0,
        }
    }

    /// Exactly `per_second`, as `--call-rate` asks: only refusals slow it, and it comes back.
    #[must_use]
    pub fn at_most(per_second: f64) -> Self {
        RateSettings {
            most: per_second,
            ..RateSettings::starting_at(per_second)
        }
    }

    /// create and single/create: 5/s, the published figure, which is also what clients use. The calls that
    /// ask what is there start from it as well: it is what free accounts are granted.
    #[must_use]
    pub fn create() -> Self {
        RateSettings::starting_at(5.0)
    }

    /// upload_complete: 20/s, the published figure.
    #[must_use]
    pub fn complete() -> Self {
        RateSettings::starting_at(20.0)
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Seconds after which cuts are two fifths as large, and refusals a sixteenth as frequent.
const LEARNS: f64 = 23.0;

/// Of these so many: it has settled, and many refusals tell of somebody new, or of a lower limit.
const SETTLED: f64 = 3.0;

/// A share of refused calls that is no probe's; of few calls a second the share is a rougher figure, and this is
/// added by the rate.
const UPSET: f64 = 0.1;
const UPSET_BY_FEW: f64 = 0.2;

/// Calls of which that share is taken, as an average that forgets.
const LATELY: f64 = 16.0;

/// What a refusal takes at first, and in the end.
const LARGEST_CUT: f64 = 0.5;
const SMALLEST_CUT: f64 = 0.07;

/// Cuts become small by this power of the time of learning.
const CALMS: f64 = 4.0 / 3.0;

/// Refusals a second that the climb aims at when it begins to learn.
const FIRST_REFUSALS: f64 = 5.0;

/// Calls for each refusal at the least while it learns; and in the end.
const OFTEN: f64 = 6.0;
const RARE: f64 = 300.0;

/// Refusals a second at most in the end: a cut is one a second at most.
const MOST_REFUSALS: f64 = 0.4;

/// The rate at which the climb wins back what was taken: what accounts are granted.
const USUAL: f64 = 5.0;

/// A process with this rate is likely to be alone, and hurries more.
const LARGE: f64 = 266.0;

/// When so many times what a refusal took is won back, the climb becomes steeper.
const LIFTED: f64 = 0.9;

/// A single call every few seconds climbs no further than that.
const LONGEST_CLIMB: Duration = Duration::from_secs(5);

/// Waiters look again this often; a rate that grows sevenfold a second is not missed by much.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// Timers tick in milliseconds; a shorter wait would spin.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// How late a timer may be without the call's turn being lost.
const LATENESS: Duration = Duration::from_millis(20);

/// As in `retry`: above this a `Retry-After` is absurd.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

#[cfg(test)]
mod shares;
#[cfg(test)]
mod tests;
