//! How a run is told to stop. In: one word, from anywhere. Out: a flag for threads that look now and
//! then, and a future for tasks that wait. Never: a way back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::error::{Error, Kind, Operation};

/// One run's cancellation.
#[derive(Debug, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    changed: Notify,
}

impl Cancel {
    /// Stops everything that has not begun yet.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Whether the run was told to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// The flag itself, for code that knows no tasks.
    #[must_use]
    pub fn flag(&self) -> &Arc<AtomicBool> {
        &self.flag
    }

    /// Waits until the run is told to stop.
    pub async fn cancelled(&self) {
        let changed = self.changed.notified();
        tokio::pin!(changed);
        // Listening starts before looking, so that a word in between is not missed.
        changed.as_mut().enable();
        if !self.is_cancelled() {
            changed.await;
        }
    }

    /// The error of what was not finished.
    #[must_use]
    pub fn error() -> Error {
        Error::new(
            Kind::Cancelled,
            Operation::Upload,
            "interrupted; the same upload goes on there",
        )
    }

    /// The same, where the last attempt had failed: what it failed with is not lost. An attempt that
    /// the interrupt itself ended is no failure.
    #[must_use]
    pub fn after(failed: &Error) -> Error {
        if failed.kind() == Kind::Cancelled {
            return failed.clone();
        }
        let error = Cancel::error().with_delivery(failed.delivery());
        let told = format!("the last attempt failed: {failed}");
        error.advice(told).caused_by(failed.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Delivery;

    #[tokio::test]
    async fn whoever_waits_or_comes_later_is_told() {
        let cancel = Arc::new(Cancel::default());
        let waiting = tokio::spawn({
            let cancel = Arc::clone(&cancel);
            async move { cancel.cancelled().await }
        });
        tokio::task::yield_now().await;
        assert!(!cancel.is_cancelled() && !waiting.is_finished());
        cancel.cancel();
        waiting.await.expect("woken");
        cancel.cancelled().await;
        assert!(cancel.flag().load(Ordering::Acquire));
    }

    #[test]
    fn what_the_interrupt_itself_cut_off_did_not_fail() {
        let cut_off = Cancel::error().with_delivery(Delivery::Unknown);
        let told = Cancel::after(&cut_off);
        assert_eq!(told.to_string(), cut_off.to_string());
        assert_eq!(told.delivery(), Delivery::Unknown);
        assert!(std::error::Error::source(&told).is_none());

        let refused = Error::new(Kind::Throttled, Operation::Slice, "500");
        let told = Cancel::after(&refused);
        assert!(
            told.to_string().contains("the last attempt failed"),
            "{told}"
        );
        assert!(std::error::Error::source(&told).is_some());
    }
}
