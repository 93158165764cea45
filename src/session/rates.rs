//! Calls per second: a limiter for each endpoint, shared by all tasks.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Operation;
use crate::options::CallRates;
use crate::policy::{Rate, RateSettings};

/// The limiters of one account.
#[derive(Debug)]
pub struct Rates {
    create: Mutex<Rate>,
    complete: Mutex<Rate>,
    single: Mutex<Rate>,
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
        }
    }

    /// Waits for this call's turn.
    pub async fn turn(&self, operation: Operation) {
        let Some(rate) = self.of(operation) else {
            return;
        };
        let ticket = lock(rate).take(Instant::now());
        loop {
            let wait = lock(rate).wait(ticket, Instant::now());
            if wait.is_zero() {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// A call was answered with success.
    pub fn succeeded(&self, operation: Operation, now: Instant) {
        if let Some(rate) = self.of(operation) {
            lock(rate).succeeded(now);
        }
    }

    /// A call was refused for its rate. The account is one: a `Retry-After` holds every endpoint.
    pub fn throttled(&self, operation: Operation, retry_after: Option<Duration>, now: Instant) {
        if let Some(rate) = self.of(operation) {
            lock(rate).throttled(now, retry_after);
        }
        let Some(wait) = retry_after else { return };
        for rate in [&self.create, &self.complete, &self.single] {
            lock(rate).hold(now, wait);
        }
    }

    fn of(&self, operation: Operation) -> Option<&Mutex<Rate>> {
        match operation {
            Operation::Create => Some(&self.create),
            Operation::Complete => Some(&self.complete),
            Operation::Single => Some(&self.single),
            _ => None,
        }
    }
}

fn lock(rate: &Mutex<Rate>) -> std::sync::MutexGuard<'_, Rate> {
    rate.lock().unwrap_or_else(PoisonError::into_inner)
}
