//! Chance. In: how many ways there are. Out: one of them, and the schedules that try a scene. Never:
//! a choice that a replay would make otherwise: the scheduler draws, and notes what it drew.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use shuttle::rand::{Rng as _, thread_rng};

/// A number below `bound`.
#[must_use]
pub fn below(bound: usize) -> usize {
    thread_rng().gen_range(0..bound)
}

/// True once in `times`.
#[must_use]
pub fn once_in(times: usize) -> bool {
    below(times) == 0
}

/// One of `choices`.
#[must_use]
pub fn one_of<T: Copy>(choices: &[T]) -> T {
    choices[below(choices.len())]
}

/// Lets others go first up to `most` times; a task that is aborted ends here.
pub async fn linger(most: usize) {
    for _ in 0..below(most + 1) {
        let mut asked = false;
        poll_fn(|cx| {
            if asked {
                return Poll::Ready(());
            }
            asked = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// Lets any other task go first, where nothing can be awaited.
pub fn others() {
    shuttle::thread::sleep(Duration::ZERO);
}

/// Plays `scene` under `schedules` schedules, times `RACES` where the environment has it. Half of
/// them switch anywhere; half run one task as long as it can and switch at three moments, which finds
/// what needs a task to sleep for long (PCT, Burckhardt et al., ASPLOS 2010). Before, a few are played
/// twice: a failure that could not be repeated would be worth little. `RACES_REPLAY` has the schedule
/// of one, which is then played alone.
///
/// # Panics
/// Where the scene does, and where all its tasks wait for ever. The schedule is printed.
pub fn play(scene: impl Fn() + Clone + Send + Sync + 'static, schedules: usize) {
    if let Ok(schedule) = std::env::var("RACES_REPLAY") {
        return shuttle::replay(scene, &schedule.split_whitespace().collect::<String>());
    }
    let schedules = schedules * times() / 2;
    shuttle::check_uncontrolled_nondeterminism(scene.clone(), schedules / 50);
    shuttle::check_random(scene.clone(), schedules);
    shuttle::check_pct(scene, schedules, SWITCHES);
}

fn times() -> usize {
    let text = std::env::var("RACES").unwrap_or_else(|_| "1".to_owned());
    text.parse().expect("RACES is a number of times")
}

/// Most races need no more than two or three switches at the wrong moment.
const SWITCHES: usize = 3;
