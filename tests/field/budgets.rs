//! Budgets of repeats: attempts and waits count, time that a stopped machine slept through does not.
