//! How a run is told to begin nothing for a while. In: one word, from anywhere. Out: a future for tasks that
//! would begin something. Never: an end to what has begun.

use tokio::sync::watch;

/// One run's pause.
#[derive(Debug)]
pub struct Pause(watch::Sender<bool>);

impl Pause {
    /// Begins a pause, or ends it.
    pub fn set(&self, is_on: bool) {
        self.0.send_replace(is_on);
    }

    /// Whether nothing is to be begun.
    #[must_use]
    pub fn is_on(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the run goes on.
    pub async fn over(&self) {
        if self.is_on() {
            // The sender lives as long as this.
            let _ = self.0.subscribe().wait_for(|is_on| !is_on).await;
        }
    }
}

impl Default for Pause {
    fn default() -> Pause {
        Pause(watch::Sender::new(false))
    }
}
