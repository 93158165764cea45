//! Goodput over concurrency, a line for each link, as an SVG beside criterion's report.

use std::fmt::Write as _;
use std::path::PathBuf;

/// One link's line.
pub struct Line {
    pub name: String,
    /// What the link carries, MiB/s; goodput is drawn as a share of it. Loopback's is its best.
    pub capacity: f64,
    /// Bodies in flight, and goodput in MiB/s.
    pub points: Vec<(usize, f64)>,
    /// Where auto came out: bodies in flight at the end, and goodput.
    pub auto: (usize, f64),
}

/// Writes the chart and says where it is.
pub fn write(lines: &[Line]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../criterion/pipeline");
    std::fs::create_dir_all(&folder).expect("a folder");
    let folder = folder.canonicalize().expect("just made");
    let path = folder.join("goodput.svg");
    std::fs::write(&path, draw(lines)).expect("room");
    path
}

fn draw(lines: &[Line]) -> String {
    let mut svg = String::new();
    let height = BOTTOM + 60.0 + 18.0 * lines.len() as f64;
    open(&mut svg, height);
    axes(&mut svg);
    for (line, number) in lines.iter().zip(0..) {
        draw_line(&mut svg, line, number);
    }
    svg.push_str("</svg>\n");
    svg
}

fn open(svg: &mut String, height: f64) {
    let width = RIGHT + 40.0;
    put(
        svg,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\
             <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">goodput, % of the link, over bodies in flight \
             (rings: auto)</text>"
        ),
    );
}

fn axes(svg: &mut String) {
    for percent in [0, 25, 50, 75, 100] {
        let y = down(f64::from(percent) / 100.0);
        put(
            svg,
            format_args!(
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{percent}</text>",
                LEFT - 6.0,
                y + 4.0
            ),
        );
    }
    for count in [1, 2, 4, 8, 16, 32, 64, 128, 256] {
        let x = across(count);
        put(
            svg,
            format_args!(
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{BOTTOM}\" stroke=\"#eee\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{count}</text>",
                BOTTOM + 18.0
            ),
        );
    }
}

fn draw_line(svg: &mut String, line: &Line, number: usize) {
    let colour = COLOURS[number % COLOURS.len()];
    let at = |&(count, goodput): &(usize, f64)| (across(count), down(goodput / line.capacity));
    let points: Vec<String> = line
        .points
        .iter()
        .map(at)
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let (x, y) = at(&line.auto);
    let legend = BOTTOM + 44.0 + 18.0 * number as f64;
    put(
        svg,
        format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <rect x=\"{LEFT}\" y=\"{:.1}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{legend:.1}\">{} ({:.0} MiB/s is 100)</text>",
            points.join(" "),
            legend - 10.0,
            LEFT + 20.0,
            line.name,
            line.capacity
        ),
    );
}

/// Doublings side by side, 1 to 256.
fn across(count: usize) -> f64 {
    LEFT + (RIGHT - LEFT) * (count.max(1) as f64).log2() / 8.0
}

fn down(share: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * share.clamp(0.0, 1.1)
}

fn put(svg: &mut String, text: std::fmt::Arguments) {
    // A string takes everything.
    let _ = svg.write_fmt(text);
    svg.push('\n');
}

const LEFT: f64 = 50.0;
const RIGHT: f64 = 650.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 360.0;
const COLOURS: [&str; 7] = [
    "#1b6ca8", "#c0392b", "#27824a", "#8e44ad", "#b9770e", "#16808a", "#444444",
];
