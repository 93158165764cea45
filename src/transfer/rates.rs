//! Calls per second: a limiter for each endpoint, shared by all tasks; and the pause of them all
//! while another server answers for the service.

use std::time::{Duration, Instant};

use crate::error::Operation;
use crate::policy::{CallRates, Lull, Rate, RateSettings};
use crate::sync::Mutex;

/// The limiters of one account.
#[derive(Debug)]
pub struct Rates {
    create: Mutex<Rate>,
    complete: Mutex<Rate>,
    single: Mutex<Rate>,
    list: Mutex<Rate>,
    detail: Mutex<Rate>,
    infos: Mutex<Rate>,
    mkdir: Mutex<Rate>,
    trash: Mutex<Rate>,
    lull: Mutex<Lull>,
}

impl Rates {
    /// Limiters at the rates that were asked for, or at the published ones and free to grow.
    #[must_use]
    pub fn new(asked: &CallRates) -> Rates {
        let rate = |asked: Option<f64>, default: fn() -> RateSettings| {
            Mutex::new(Rate::new(asked.map_or_else(default, RateSettings::at_most)))
        };
        Rates {
            create: rate(asked.create, RateSettings::create),
            complete: rate(asked.complete, RateSettings::complete),
            single: rate(asked.single, RateSettings::create),
            list: rate(asked.list, RateSettings::create),
            detail: rate(None, RateSettings::create),
            infos: rate(None, RateSettings::create),
            mkdir: rate(None, RateSettings::create),
            trash: rate(None, RateSettings::create),
            lull: Mutex::default(),
        }
    }

    /// Waits for this call's turn, and for the end of a pause.
    pub async fn turn(&self, operation: Operation) {
        if let Some(rate) = self.of(operation) {
            let ticket = rate.lock().take(now());
            loop {
                let wait = rate.lock().wait(ticket, now());
                if wait.is_zero() {
                    break;
                }
                tokio::time::sleep(wait).await;
            }
        }
        self.calm().await;
    }

    /// Waits for the end of a pause.
    pub async fn calm(&self) {
        loop {
            let pause = self.lull.lock().left(now());
            if pause.is_zero() {
                return;
            }
            // The service may answer a call meanwhile, which ends the pause.
            tokio::time::sleep(pause.min(LOOK)).await;
        }
    }

    /// A call was answered: carried out, or refused for what it is. Both show that the rate is
    /// granted.
    pub fn answered(&self, operation: Operation, now: Instant) {
        if let Some(rate) = self.of(operation) {
            rate.lock().succeeded(now);
        }
        self.service_answered();
    }

    /// The service itself said something.
    pub fn service_answered(&self) {
        self.lull.lock().answered();
    }

    /// Another server answered for the service. Where only such answers come, all calls pause.
    pub fn foreign(&self, now: Instant) {
        let pause = self.lull.lock().foreign(now);
        let Some(pause) = pause else { return };
        tracing::info!(
            ?pause,
            "another server answers for the service; every call waits"
        );
        for rate in self.all() {
            rate.lock().hold(now, pause);
        }
    }

    /// A call was refused for its rate. The account is one: a `Retry-After` holds every endpoint.
    pub fn throttled(&self, operation: Operation, retry_after: Option<Duration>, now: Instant) {
        if let Some(rate) = self.of(operation) {
            rate.lock().throttled(now, retry_after);
        }
        let Some(wait) = retry_after else { return };
        for rate in self.all() {
            rate.lock().hold(now, wait);
        }
    }

    /// Calls per second at present; `None` where they are not limited.
    pub fn per_second(&self, operation: Operation) -> Option<f64> {
        Some(self.of(operation)?.lock().per_second())
    }

    /// Calls per second at present, by call.
    #[must_use]
    pub fn all_per_second(&self) -> Vec<(Operation, f64)> {
        let rate = |operation| Some((operation, self.per_second(operation)?));
        RATED.into_iter().filter_map(rate).collect()
    }

    fn all(&self) -> [&Mutex<Rate>; 8] {
        [
            &self.create,
            &self.complete,
            &self.single,
            &self.list,
            &self.detail,
            &self.infos,
            &self.mkdir,
            &self.trash,
        ]
    }

    fn of(&self, operation: Operation) -> Option<&Mutex<Rate>> {
        match operation {
            Operation::Create => Some(&self.create),
            Operation::Complete => Some(&self.complete),
            Operation::Single => Some(&self.single),
            Operation::List => Some(&self.list),
            Operation::Detail => Some(&self.detail),
            Operation::Infos => Some(&self.infos),
            Operation::Mkdir => Some(&self.mkdir),
            Operation::Trash => Some(&self.trash),
            _ => None,
        }
    }
}

/// The clock that the sleeps go by.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The calls that are limited.
pub(super) const RATED: [Operation; 8] = [
    Operation::Create,
    Operation::Complete,
    Operation::Single,
    Operation::List,
    Operation::Detail,
    Operation::Infos,
    Operation::Mkdir,
    Operation::Trash,
];

/// How often a pause is looked at.
const LOOK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    /// They took 100 s at the published five a second, which no option asked for.
    #[tokio::test(start_paused = true)]
    async fn five_hundred_refusals_take_seconds() {
        for operation in [Operation::Create, Operation::Single] {
            let rates = Rates::new(&CallRates::default());
            let began = now();
            for _ in 0..500 {
                rates.turn(operation).await;
                rates.answered(operation, now());
            }
            let took = now() - began;
            assert!(took < Duration::from_secs(10), "{operation:?}: {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_call_waits_while_somebody_else_answers() {
        let rates = Rates::new(&CallRates::default());
        let began = now();
        (0..100).for_each(|_| rates.foreign(now()));
        let operations = [
            Operation::Slice,
            Operation::Domain,
            Operation::Create,
            Operation::Single,
        ];
        for operation in operations {
            rates.turn(operation).await;
            assert!(now() - began >= Duration::from_secs(1), "{operation:?}");
        }
        rates.foreign(now());
        rates.service_answered();
        let again = now();
        rates.turn(Operation::Slice).await;
        assert_eq!(now(), again, "the service answers: slices go at once");
    }
}
