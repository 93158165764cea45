//! As much of tokio as the limiter and the host use. In: tasks, which the scheduler of this run turns
//! to as it likes. Out: tokio's own channel, and a clock that only the test moves. Never: a thread,
//! a timer, anything that another run would not repeat.

/// Where tasks are spawned.
pub mod runtime {
    use std::cell::Cell;
    use std::future::Future;

    use crate::task::JoinHandle;

    thread_local! {
        /// Tasks that were spawned and have not ended. Those of one run share a thread.
        static UNDER_WAY: Cell<usize> = const { Cell::new(0) };
    }

    /// The runtime of this run; there is one.
    #[derive(Debug, Clone)]
    pub struct Handle(());

    /// Never met: whoever runs, runs on the runtime.
    #[derive(Debug)]
    pub struct TryCurrentError(());

    impl Handle {
        /// The runtime.
        #[must_use]
        pub fn current() -> Self {
            Handle(())
        }

        /// The runtime.
        ///
        /// # Errors
        /// None.
        pub fn try_current() -> Result<Self, TryCurrentError> {
            Ok(Handle(()))
        }

        /// Begins `task` beside the others.
        pub fn spawn<T: Send + 'static>(
            &self,
            task: impl Future<Output = T> + Send + 'static,
        ) -> JoinHandle<T> {
            let counted = UnderWay::new();
            shuttle::future::spawn(async move {
                let _counted = counted;
                task.await
            })
        }
    }

    /// How many tasks of this runtime have not ended yet.
    #[must_use]
    pub fn under_way() -> usize {
        UNDER_WAY.get()
    }

    struct UnderWay(());

    impl UnderWay {
        fn new() -> Self {
            UNDER_WAY.set(UNDER_WAY.get() + 1);
            UnderWay(())
        }
    }

    impl Drop for UnderWay {
        fn drop(&mut self) {
            UNDER_WAY.set(UNDER_WAY.get() - 1);
        }
    }
}

/// Tasks, as the scheduler knows them.
pub mod task {
    pub use shuttle::future::{AbortHandle, JoinHandle};
}

/// Channels.
pub mod sync {
    /// tokio's own, whose two ends are tried against each other at every moment.
    pub mod oneshot {
        use std::future::Future;
        use std::pin::Pin;
        use std::task::{Context, Poll, ready};
        use std::time::Duration;

        use real::sync::oneshot;
        pub use real::sync::oneshot::error;

        /// The end that gives.
        #[derive(Debug)]
        pub struct Sender<T>(oneshot::Sender<T>);

        /// The end that takes.
        #[derive(Debug)]
        pub struct Receiver<T>(oneshot::Receiver<T>);

        /// A channel for one value.
        #[must_use]
        pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
            let (sender, receiver) = oneshot::channel();
            (Sender(sender), Receiver(receiver))
        }

        impl<T> Sender<T> {
            /// Gives `value`.
            ///
            /// # Errors
            /// The value, where nobody takes it any more.
            pub fn send(self, value: T) -> Result<(), T> {
                others();
                self.0.send(value)
            }
        }

        impl<T> Future for Receiver<T> {
            type Output = Result<T, error::RecvError>;

            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                let value = ready!(Pin::new(&mut self.0).poll(cx));
                others();
                Poll::Ready(value)
            }
        }

        impl<T> Drop for Receiver<T> {
            fn drop(&mut self) {
                if !std::thread::panicking() {
                    others();
                }
            }
        }

        /// Lets any other task go first.
        fn others() {
            shuttle::thread::sleep(Duration::ZERO);
        }
    }
}

/// The clock.
pub mod time {
    use std::cell::Cell;
    use std::future::Future;
    use std::ops::Add;
    use std::time::Duration;

    /// Never met: nothing takes long here.
    #[derive(Debug)]
    pub struct Elapsed(());

    /// Waits for `future`, which ends by itself.
    ///
    /// # Errors
    /// None.
    pub async fn timeout<F: Future>(_limit: Duration, future: F) -> Result<F::Output, Elapsed> {
        Ok(future.await)
    }

    thread_local! {
        /// All tasks of a run share one thread, and runs on other threads have a clock each.
        static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    /// A moment of the clock.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Instant(Duration);

    /// Moves the clock.
    pub fn advance(by: Duration) {
        NOW.set(NOW.get() + by);
    }

    impl Instant {
        /// What the clock says.
        #[must_use]
        pub fn now() -> Self {
            Instant(NOW.get())
        }

        /// How long ago this was.
        #[must_use]
        pub fn elapsed(&self) -> Duration {
            Instant::now().saturating_duration_since(*self)
        }

        /// From `earlier` to this moment; nothing where it is later.
        #[must_use]
        pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
            self.0.saturating_sub(earlier.0)
        }
    }

    impl Add<Duration> for Instant {
        type Output = Instant;

        fn add(self, duration: Duration) -> Instant {
            Instant(self.0 + duration)
        }
    }
}
