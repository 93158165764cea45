//! A mutex that goes on after a panic. In: a value. Out: a guard, always. Never: a guarded value
//! that a panic can leave half changed; every critical section of the crate is a few assignments.

use std::sync::{LockResult, PoisonError};

pub use std::sync::MutexGuard;

/// [`std::sync::Mutex`] without poison: a panic elsewhere has its own message and its own error.
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(std::sync::Mutex::new(value))
    }
}

impl<T: ?Sized> Mutex<T> {
    /// The value, which no other thread can have.
    pub fn get_mut(&mut self) -> &mut T {
        unpoisoned(self.0.get_mut())
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        unpoisoned(self.0.lock())
    }
}

/// The guard that a wait on a [`Condvar`](std::sync::Condvar) gives back, poisoned or not.
pub fn unpoisoned<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}
