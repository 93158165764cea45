//! What is said of a run that was interrupted. In: what it waits for, and how far it is. Out: a line.
//! Never: a promise that cannot be kept.

use panup::{Landing, Progress};

use super::screen::text::{count, time};

/// The first signal: what waiting would save.
pub fn landing(landing: &Landing) -> String {
    let bodies = count(landing.bodies as u64, "body", "bodies");
    match (landing.bodies, landing.needs) {
        (0, _) => "interrupted: ending, once more ends at once".to_owned(),
        (_, Some(needs)) => {
            let needs = time(needs);
            format!("interrupted: {needs} more to keep {bodies} in flight, once more ends at once")
        }
        (_, None) => {
            let longest = time(landing.longest);
            format!("interrupted: {longest} at most for {bodies} in flight, once more ends at once")
        }
    }
}

/// The second signal: what is kept, and how to go on.
pub fn stopped(progress: &Progress, is_kept: bool) -> String {
    if !is_kept {
        return "stopped; the same command begins anew: there is no state folder, or --no-resume"
            .to_owned();
    }
    let (now, (acked, slices)) = (progress.snapshot(), progress.slices());
    let mut parts = Vec::new();
    if now.files > 1 {
        let plus = if now.is_listed { "" } else { "+" };
        parts.push(format!(
            "{} of {}{plus} files done",
            now.files_done, now.files
        ));
    }
    if slices > 0 {
        parts.push(format!("{acked} of {slices} slices kept"));
    }
    let parts = match parts.is_empty() {
        true => String::new(),
        false => format!(": {}", parts.join(", ")),
    };
    format!("stopped{parts}; run the same command to go on")
}
