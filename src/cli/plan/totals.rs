//! What an upload costs, added up. In: forecasts of files. Out: bytes, calls, and the shortest time that
//! they take. Never: a promise; the service decides what it grants.

use panup::{CallRates, Forecast, Options};

use super::super::objects::{Calls, ForecastCounts, rounded};
use super::super::size::{counted, human};

/// The cost of some files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files to send.
    pub files: u64,
    /// Content bytes to send.
    pub bytes: u64,
    /// Calls, by endpoint.
    pub single: u64,
    pub create: u64,
    pub slices: u64,
    pub complete: u64,
}

/// How fast it may go.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    rates: CallRates,
    /// Whether someone asked for those rates.
    asked: bool,
    /// `--limit-rate`
    link: Option<u64>,
}

impl Totals {
    /// Adds a file.
    pub fn add(&mut self, forecast: &Forecast) {
        self.files += 1;
        self.bytes += forecast.bytes;
        self.single += u64::from(forecast.single);
        self.create += u64::from(forecast.create);
        self.slices += u64::from(forecast.slices);
        self.complete += u64::from(forecast.complete);
    }

    /// Lines for people.
    pub fn lines(&self, pace: &Pace) -> Vec<String> {
        if self.files == 0 {
            return Vec::new();
        }
        let calls = [
            (self.single, "single"),
            (self.create, "create"),
            (self.slices, "slice"),
            (self.complete, "complete"),
        ];
        let calls: Vec<String> = calls
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        let whose = match pace.asked {
            true => "the --call-rate",
            false => "the published call rates",
        };
        let by_calls = told(pace.seconds_by_calls(self));
        let links: Vec<String> = pace
            .links()
            .into_iter()
            .map(|(name, rate)| format!("{} at {name}", told(self.bytes as f64 / rate)))
            .collect();
        vec![
            format!(
                "calls: {}; at {whose} they take {by_calls} or more",
                calls.join(", ")
            ),
            format!("{} take {}", human(self.bytes), links.join(", ")),
        ]
    }

    /// As a summary's object has it.
    pub fn counts(&self, pace: &Pace) -> ForecastCounts {
        let links = pace.links().into_iter();
        let by_link = links.map(|(name, rate)| (name, rounded(self.bytes as f64 / rate)));
        ForecastCounts {
            planned: self.files,
            unknown: 0,
            hashed: 0,
            not_asked: None,
            to_send: self.bytes,
            calls: Calls {
                single: self.single,
                create: self.create,
                slice: self.slices,
                complete: self.complete,
            },
            seconds_by_calls: rounded(pace.seconds_by_calls(self)),
            seconds_by_link: by_link.collect(),
        }
    }
}

impl Pace {
    /// As the options have it.
    pub fn of(options: &Options) -> Pace {
        let rates = options.call_rates;
        Pace {
            asked: rates.single.or(rates.create).or(rates.complete).is_some(),
            rates: rates.or_published(),
            link: options.limit_rate,
        }
    }

    /// Endpoints are limited each by itself.
    pub fn seconds_by_calls(&self, totals: &Totals) -> f64 {
        let seconds = |calls: u64, rate: Option<f64>| rate.map_or(0.0, |rate| calls as f64 / rate);
        seconds(totals.single, self.rates.single)
            .max(seconds(totals.create, self.rates.create))
            .max(seconds(totals.complete, self.rates.complete))
    }

    /// What one file adds to a run, in seconds: its bytes by the link, and its calls by their rates.
    pub fn cost(&self, forecast: &Forecast) -> f64 {
        let mut totals = Totals::default();
        totals.add(forecast);
        let link = self.link.map_or(USUAL_LINK, |link| link as f64);
        totals.bytes as f64 / link + self.seconds_by_calls(&totals)
    }

    /// Links to reckon with, by name, in bytes per second.
    fn links(&self) -> Vec<(String, f64)> {
        match self.link {
            Some(link) => vec![(format!("{}/s", human(link)), link as f64)],
            None => vec![
                ("100 Mbit/s".to_owned(), 12.5e6),
                ("1 Gbit/s".to_owned(), 125e6),
            ],
        }
    }
}

/// A time as people say it.
pub fn told(seconds: f64) -> String {
    match seconds {
        s if s < 0.1 => "less than 0.1 s".to_owned(),
        s if s < 100.0 => format!("{s:.1} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s if s < 360_000.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

/// `3 files, 5 MiB`
pub fn amount(files: u64, bytes: u64) -> String {
    format!("{}, {}", counted(files, "file", "files"), human(bytes))
}

/// 100 Mbit/s, where nothing says how fast a link is.
const USUAL_LINK: f64 = 12.5e6;
