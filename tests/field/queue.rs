//! The service's sentence that a task has entered its queue.
