//! Answers without the service's envelope, and refusals that are answers.
