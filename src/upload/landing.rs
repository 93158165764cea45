//! The end of a run that was interrupted. In: the bodies in flight, and how fast they go. Out: those that are
//! given the time to land, the nearest first, and how long that takes. Never: a body that holds up nearer
//! ones and would not land itself.

use std::time::Duration;

use crate::transfer::Left;

/// What is waited for after an interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Landing {
    /// Bodies that may land.
    pub bodies: usize,
    /// Their content bytes: what is kept if they do.
    pub bytes: u64,
    /// How long that should take; `None` where it cannot be told.
    pub needs: Option<Duration>,
    /// It is waited for so long at most.
    pub longest: Duration,
}

/// Of the bodies in flight, those that land within `most` at `speed` bytes per second and `answering` from
/// the last byte to the answer; and the numbers of the others. Where no speed is known, all may, for a
/// moment.
pub fn landing(
    mut bodies: Vec<Left>,
    speed: Option<f64>,
    (answering, most): (Duration, Duration),
) -> (Landing, Vec<u64>) {
    let mut late: Vec<u64> = Vec::new();
    bodies.retain(|body| {
        let stands = body.bytes > 0 && body.silent >= SILENT;
        if stands {
            late.push(body.id);
        }
        !stands
    });
    bodies.sort_by_key(|body| body.bytes);
    let Some(speed) = speed.filter(|&speed| speed > 0.0) else {
        return (Landing::of(&bodies, None, most), late);
    };
    let (mut kept, mut needs) = (0, answering + ANSWER);
    for body in &bodies {
        let sent = Duration::try_from_secs_f64(body.bytes as f64 / speed).unwrap_or(most);
        // A guess may be wrong by a half.
        if (needs + sent).mul_f64(1.5) > most {
            break;
        }
        needs += sent;
        kept += 1;
    }
    late.extend(bodies[kept..].iter().map(|body| body.id));
    let landing = Landing::of(&bodies[..kept], Some(needs), most);
    (landing, late)
}

impl Landing {
    fn of(bodies: &[Left], needs: Option<Duration>, most: Duration) -> Landing {
        let needs = needs.filter(|_| !bodies.is_empty());
        Landing {
            bodies: bodies.len(),
            bytes: bodies.iter().map(|body| body.length).sum(),
            needs,
            longest: needs.map_or(SHORTEST.min(most), |_| most),
        }
    }

    /// Where nothing moves for so long, nothing more is waited for. What sockets hold arrives unseen.
    pub fn silence(&self) -> Duration {
        self.needs.map_or(SHORTEST, |_| 2 * SHORTEST)
    }
}

/// Whatever is in flight is given so long.
const SHORTEST: Duration = Duration::from_secs(5);
/// From the last byte to the answer, beyond what was seen.
const ANSWER: Duration = Duration::from_millis(500);
/// A body of which nothing was taken for so long is not waited for.
const SILENT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn body(id: u64, bytes: u64) -> Left {
        Left {
            id,
            bytes,
            length: 16_000_000,
            silent: Duration::ZERO,
        }
    }

    #[test]
    fn the_nearest_land_and_the_others_give_them_the_link() {
        let bodies = vec![body(1, 9_000_000), body(2, 1_000_000), body(3, 15_000_000)];
        let most = Duration::from_secs(20);
        let (landing, cut) = landing(bodies, Some(1e6), (Duration::ZERO, most));
        assert_eq!((landing.bodies, landing.bytes), (2, 32_000_000));
        assert_eq!(landing.needs, Some(Duration::from_millis(10_500)));
        assert_eq!(landing.longest, most);
        assert_eq!(cut, [3]);
    }

    #[test]
    fn all_land_where_there_is_time() {
        let bodies = (0..64).map(|id| body(id, 9_000_000)).collect();
        let most = Duration::from_secs(60);
        let (landing, cut) = landing(bodies, Some(38e6), (Duration::from_secs(4), most));
        assert_eq!((landing.bodies, cut.len()), (64, 0));
        let needs = landing.needs.expect("known").as_secs();
        assert!((15..25).contains(&needs), "{needs}");
    }

    #[test]
    fn without_a_speed_all_are_given_a_moment() {
        let most = Duration::from_secs(60);
        let bodies = vec![body(1, 5), body(2, 0)];
        let (landing, cut) = landing(bodies, None, (Duration::ZERO, most));
        assert_eq!((landing.bodies, landing.needs), (2, None));
        assert_eq!((landing.longest, cut.len()), (SHORTEST, 0));
    }

    #[test]
    fn what_stands_still_is_not_waited_for() {
        let stands = Left {
            silent: Duration::from_secs(9),
            ..body(7, 5)
        };
        let bodies = vec![stands, body(8, 5)];
        let most = Duration::from_secs(60);
        let (landing, cut) = landing(bodies, Some(1e6), (Duration::ZERO, most));
        assert_eq!((landing.bodies, cut), (1, vec![7]));
    }
}
