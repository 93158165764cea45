//! Bodies one by one: where each went, from when to when. In: each attempt's end. Out: all of them, or every
//! second, fourth, … where they are many. Never: a choice that prefers a time of the run.

use std::time::Duration;

use panup::{AttemptEnd, CallAttempt};
use serde_json::{Value, json};

use super::files::seconds;

/// Bodies, as far as they are kept.
#[derive(Debug)]
pub struct Bodies {
    count: u64,
    /// One in so many is kept.
    stride: u64,
    kept: Vec<(u64, Body)>,
}

#[derive(Debug)]
struct Body {
    server: usize,
    span: (Duration, Duration),
    bytes: u64,
    number: u32,
    end: u8,
}

impl Default for Bodies {
    fn default() -> Bodies {
        Bodies {
            count: 0,
            stride: 1,
            kept: Vec::new(),
        }
    }
}

impl Bodies {
    /// One ended.
    pub fn ended(&mut self, server: usize, span: (Duration, Duration), attempt: &CallAttempt) {
        let end = match attempt.end {
            AttemptEnd::Answered => 0,
            AttemptEnd::Failed(_) => 1,
            _ => 2,
        };
        let body = Body {
            server,
            span,
            bytes: attempt.bytes,
            number: attempt.number,
            end,
        };
        self.keep(body);
    }

    fn keep(&mut self, body: Body) {
        let at = self.count;
        self.count += 1;
        if at.is_multiple_of(self.stride) {
            self.kept.push((at, body));
        }
        if self.kept.len() > MOST {
            self.stride *= 2;
            self.kept.retain(|(at, _)| at.is_multiple_of(self.stride));
        }
    }

    /// `[server, begin, end, bytes, attempt, 0 answered | 1 failed | 2 dropped]` each.
    pub fn data(&self) -> Value {
        let rows = self.kept.iter().map(|(_, body)| {
            let (began, ended) = body.span;
            json!([
                body.server,
                seconds(began),
                seconds(ended),
                body.bytes,
                body.number,
                body.end
            ])
        });
        json!({ "count": self.count, "stride": self.stride, "rows": rows.collect::<Vec<_>>() })
    }
}

/// Bodies that are kept.
const MOST: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stride_grows_with_their_number() {
        let mut bodies = Bodies::default();
        for _ in 0..100_000 {
            bodies.keep(Body {
                server: 0,
                span: (Duration::ZERO, Duration::ZERO),
                bytes: 1,
                number: 1,
                end: 0,
            });
        }
        assert!((MOST / 2..=MOST).contains(&bodies.kept.len()));
        assert!(
            bodies.kept.iter().all(|(at, _)| at.is_multiple_of(64)),
            "evenly"
        );
    }
}
