//! What was found, as a picture. In come rows, out goes SVG: a panel for each, with what went through and what
//! waited, second by second. It reads nothing and looks at no clock.

use std::fmt::Write as _;

use crate::cell::{Outcome, Second};
use crate::table::{Row, named};

/// All rows that were seen, one below the other.
pub fn draw<'a>(rows: impl IntoIterator<Item = &'a Row>) -> String {
    let seen: Vec<_> = rows
        .into_iter()
        .filter_map(|row| Some((row, row.outcome.as_ref().ok()?)))
        .collect();
    let height = PANEL * seen.len().max(1) as f64 + LEGEND;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    legend(&mut svg);
    for (at, (row, outcome)) in seen.into_iter().enumerate() {
        panel(&mut svg, LEGEND + PANEL * at as f64, (row, outcome));
    }
    svg + "</svg>\n"
}

fn legend(svg: &mut String) {
    let entries = [
        (OURS, "panup, % of the link"),
        (THEIRS, "rival, % of the link"),
        (WAIT, "wait in the queue, ms"),
    ];
    for (at, (colour, what)) in entries.into_iter().enumerate() {
        let x = LEFT + 190.0 * at as f64;
        text(svg, (x + 18.0, 18.0), ("start", "#222"), what);
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"9\" width=\"12\" height=\"10\" fill=\"{colour}\"/>"
        );
    }
}

fn panel(svg: &mut String, top: f64, (row, outcome): (&Row, &Outcome)) {
    let seconds = &outcome.seconds;
    let longest = seconds.iter().map(|second| second.wait).fold(0.0, f64::max);
    let most_wait = round_up(longest.max(LEAST_WAIT));
    text(svg, (LEFT, top + 16.0), ("start", "#000"), &title(row));
    axes(svg, top, (seconds.len(), most_wait));
    let step = (RIGHT - LEFT) / seconds.len().max(1) as f64;
    let bottom = top + BOTTOM;
    let line = |of: &dyn Fn(&Second) -> f64| {
        let point = |(at, second): (usize, &Second)| {
            let x = LEFT + step * (at as f64 + 0.5);
            format!("{x:.1},{:.1}", bottom - of(second).clamp(0.0, 1.0) * HIGH)
        };
        let points: Vec<String> = seconds.iter().enumerate().map(point).collect();
        points.join(" ")
    };
    let mut draw = |colour, more, points: String| {
        let _ = writeln!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"{more}/>"
        );
    };
    draw(
        OURS,
        "",
        line(&|second| (second.share - second.rival) / TOP),
    );
    if outcome.rival.is_some() {
        draw(THEIRS, "", line(&|second| second.rival / TOP));
    }
    let dashes = " stroke-dasharray=\"4 2\"";
    draw(WAIT, dashes, line(&|second| second.wait / most_wait));
}

/// Percent on the left, milliseconds on the right, seconds below.
fn axes(svg: &mut String, top: f64, (seconds, most_wait): (usize, f64)) {
    let bottom = top + BOTTOM;
    for part in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let y = bottom - part / TOP * HIGH;
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>"
        );
        let percent = format!("{:.0}", 100.0 * part);
        text(svg, (LEFT - 6.0, y + 4.0), ("end", OURS), &percent);
    }
    for part in [0.0, 0.5, 1.0] {
        let wait = format!("{:.0}", most_wait * part);
        let place = (RIGHT + 6.0, bottom - part * HIGH + 4.0);
        text(svg, place, ("start", WAIT), &wait);
    }
    for second in (0..=seconds).step_by(10) {
        let x = LEFT + (RIGHT - LEFT) * second as f64 / seconds.max(1) as f64;
        let place = (x, bottom + 15.0);
        text(svg, place, ("middle", "#444"), &second.to_string());
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), (anchor, colour): (&str, &str), words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{words}</text>"
    );
}

fn title(row: &Row) -> String {
    format!(
        "{} Mbit/s, {} ms, loss {}, {}, queue of {} KiB; {} in flight, {}",
        row.link.mbit,
        row.link.rtt.as_millis(),
        row.link.loss,
        named(row.link.weather),
        row.link.queue >> 10,
        row.setting,
        row.sockets,
    )
}

/// 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let ten = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|step| step * ten);
    steps
        .into_iter()
        .find(|step| *step >= value)
        .unwrap_or(10.0 * ten)
}

const WIDTH: f64 = 760.0;
const LEGEND: f64 = 30.0;

/// A panel, and the chart in it.
const PANEL: f64 = 200.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 710.0;
const BOTTOM: f64 = 170.0;
const HIGH: f64 = 140.0;

/// The share at the upper edge: what a queue gives away can be more than the link in a second.
const TOP: f64 = 1.1;

/// Milliseconds of wait that the chart has room for at least.
const LEAST_WAIT: f64 = 50.0;

const OURS: &str = "#1f5fbf";
const THEIRS: &str = "#d9822b";
const WAIT: &str = "#b03a48";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        let cases = [(50.0, 50.0), (51.0, 100.0), (101.0, 200.0), (730.0, 1000.0)];
        for (value, expected) in cases {
            assert_eq!(round_up(value), expected);
        }
    }

    #[test]
    fn each_row_that_was_seen_has_a_panel() {
        let good = crate::table::tests::row(crate::args::Setting::Auto, Ok(0.9));
        let gone = std::io::Error::other("gone");
        let bad = crate::table::tests::row(crate::args::Setting::Auto, Err(gone));
        let svg = draw([&good, &bad]);
        assert_eq!(svg.matches("100 Mbit/s, 80 ms").count(), 1);
        assert_eq!(svg.matches("<polyline").count(), 2, "no rival");
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        for name in ["text", "svg"] {
            let (open, close) = (format!("<{name} "), format!("</{name}>"));
            assert_eq!(svg.matches(&open).count(), svg.matches(&close).count());
        }
    }
}
