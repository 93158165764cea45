//! `panup plan --analyze`: how large the files are, what they take, and which settings would suit them. In:
//! sizes and costs. Out: lines. Never: advice without the figures that it follows from.

use panup::{Forecast, Options};

use super::super::size::human;
use super::totals::{Pace, Totals, told};

/// Figures of the files that would be sent.
pub struct Analysis {
    pace: Pace,
    single_max: u64,
    classes: [(u64, u64); CLASSES.len() + 1],
    /// For each of [`SINGLE_MAX`], what all files would cost.
    costs: [Totals; SINGLE_MAX.len()],
    totals: Totals,
    all: f64,
    largest: f64,
}

impl Analysis {
    /// Of no file so far.
    pub fn new(options: &Options) -> Analysis {
        Analysis {
            pace: Pace::of(options),
            single_max: options.single_max,
            classes: Default::default(),
            costs: Default::default(),
            totals: Totals::default(),
            all: 0.0,
            largest: 0.0,
        }
    }

    /// One more, of `size` bytes.
    pub fn add(&mut self, size: u64, forecast: &Forecast) {
        let class = CLASSES.iter().position(|(most, _)| size <= *most);
        let (files, bytes) = &mut self.classes[class.unwrap_or(CLASSES.len())];
        (*files, *bytes) = (*files + 1, *bytes + size);
        self.totals.add(forecast);
        let cost = self.pace.cost(forecast);
        self.all += cost;
        self.largest = self.largest.max(cost);
        for (most, costs) in SINGLE_MAX.iter().zip(&mut self.costs) {
            match size <= *most {
                true => costs.single += 1,
                false => (costs.create, costs.complete) = (costs.create + 1, costs.complete + 1),
            }
        }
    }

    /// Lines for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec!["size              files          bytes".to_owned()];
        let names = CLASSES.iter().map(|(_, name)| *name).chain(["above"]);
        let classes = names.zip(&self.classes);
        lines.extend(
            classes
                .filter(|(_, (files, _))| *files > 0)
                .map(|(name, (files, bytes))| {
                    format!("{name:<12} {files:>10} {:>14}", human(*bytes))
                }),
        );
        lines.extend(self.totals.lines(&self.pace));
        if self.totals.files > 0 {
            lines.push(self.shards());
            lines.push(self.single_max());
        }
        lines
    }

    /// Above so many, one file alone would take longer than its shard may.
    fn shards(&self) -> String {
        let most = (1.05 * self.all / self.largest.max(f64::MIN_POSITIVE)).floor();
        let most = (most as u64).clamp(1, self.totals.files);
        let good = most.min(64);
        let (largest, each) = (told(self.largest), told(self.all / good as f64));
        format!(
            "shards: --shards {good} or fewer, of about {each} each; the file that takes longest takes {largest} by \
             itself. Call rates are the account's: more machines help where a machine's link is the limit; 8 to 16 \
             shards for each lets the scheduler even out the rest"
        )
    }

    fn single_max(&self) -> String {
        let now = self.pace.seconds_by_calls(&self.totals);
        let seconds = |costs: &Totals| self.pace.seconds_by_calls(costs);
        let best = SINGLE_MAX.iter().zip(&self.costs);
        let best = best.min_by(|(_, a), (_, b)| seconds(a).total_cmp(&seconds(b)));
        let own = human(self.single_max);
        match best {
            Some((most, costs)) if seconds(costs) < now * 0.95 => format!(
                "single-max: --single-max {} would need {} by the call rates, {own} needs {}",
                human(*most).replace(' ', "").replace(".00", ""),
                told(seconds(costs)),
                told(now)
            ),
            _ => format!("single-max: {own} is as good as any by the call rates"),
        }
    }
}

const CLASSES: [(u64, &str); 8] = [
    (4 << 10, "to 4 KiB"),
    (64 << 10, "to 64 KiB"),
    (1 << 20, "to 1 MiB"),
    (4 << 20, "to 4 MiB"),
    (16 << 20, "to 16 MiB"),
    (256 << 20, "to 256 MiB"),
    (1 << 30, "to 1 GiB"),
    (10 << 30, "to 10 GiB"),
];

/// Limits to compare. A larger body that breaks is sent again as a whole.
const SINGLE_MAX: [u64; 5] = [256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20];
