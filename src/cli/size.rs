//! Sizes and rates as people write them, both ways.

use std::str::FromStr;

use panup::CallRates;

/// Bytes. `16M` and `16MiB` are binary, `16MB` is decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let refused = || format!("{text:?} is no size; write for example 4194304, 4M, 4MiB or 4MB");
        let text = text.strip_suffix("/s").unwrap_or(text);
        let digits = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: f64 = number.parse().map_err(|_| refused())?;
        let unit = unit.trim();
        let base: f64 = if unit.len() == 2 && unit.ends_with(['B', 'b']) {
            1000.0
        } else {
            1024.0
        };
        let power = match unit.chars().next().map(|c| c.to_ascii_uppercase()) {
            None | Some('B') if unit.len() <= 1 => 0,
            Some('K') => 1,
            Some('M') => 2,
            Some('G') => 3,
            Some('T') => 4,
            _ => return Err(refused()),
        };
        let known =
            ["", "B", "IB"].contains(&unit.get(1..).unwrap_or("").to_ascii_uppercase().as_str());
        let bytes = number * base.powi(power);
        // f64 holds whole bytes up to 8 PiB, far above any file.
        if known && bytes.is_finite() && bytes < 9e15 {
            Ok(Size(bytes as u64))
        } else {
            Err(refused())
        }
    }
}

/// Bytes per second: a size, or bits, which are always decimal: `80Mbit` is ten million bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub u64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        let refused = || {
            format!(
                "{text:?} is no rate; write for example 10M, 10MiB or 10MB for bytes a second, 80Mbit for bits"
            )
        };
        let lower = text.trim().to_ascii_lowercase();
        let lower = lower.strip_suffix("/s").unwrap_or(&lower);
        let bits = lower
            .strip_suffix("bps")
            .or_else(|| lower.strip_suffix("bit/s"));
        let Some(bits) = bits.or_else(|| lower.strip_suffix("bit")) else {
            let Size(bytes) = text.trim().parse().map_err(|_| refused())?;
            return Ok(Rate(bytes));
        };
        // What is left is a number and a power: as of decimal bytes.
        let bits = match bits.ends_with(|c: char| c.is_ascii_digit()) {
            true => bits.to_owned(),
            false => format!("{bits}b"),
        };
        let Size(bits) = bits.parse().map_err(|_| refused())?;
        Ok(Rate(bits / 8))
    }
}

/// `create=5,complete=20,single=5`
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates(pub CallRates);

impl FromStr for Rates {
    type Err = String;

    fn from_str(text: &str) -> Result<Rates, String> {
        let mut rates = CallRates::default();
        for pair in text.split(',') {
            let refused = || {
                format!("{pair:?} is no call rate; write for example create=5,complete=20,single=5")
            };
            let (name, rate) = pair.split_once('=').ok_or_else(refused)?;
            let rate: f64 = rate
                .parse()
                .ok()
                .filter(|&rate: &f64| rate > 0.0 && rate.is_finite())
                .ok_or_else(refused)?;
            match name.trim() {
                "create" => rates.create = Some(rate),
                "complete" => rates.complete = Some(rate),
                "single" => rates.single = Some(rate),
                "list" => rates.list = Some(rate),
                _ => return Err(refused()),
            }
        }
        Ok(Rates(rates))
    }
}

/// `1 file`, `2 files`; scripts of old read the numbers, so no commas.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `1.5 GiB`, for people.
pub fn human(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let good = [
            ("0", 0),
            ("7", 7),
            ("7B", 7),
            ("4K", 4096),
            ("4k", 4096),
            ("4KiB", 4096),
            ("4KB", 4000),
        ];
        for (text, bytes) in
            good.into_iter()
                .chain([("1.5M", 3 << 19), ("10G", 10 << 30), ("2MB/s", 2_000_000)])
        {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for bad in [
            "",
            "x",
            "-1",
            "4X",
            "4KX",
            "1e3",
            "4 K B",
            "4MiBx",
            "99999999999T",
        ] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn rates_in_bytes_and_bits() {
        for (text, bytes) in [
            ("10M", 10 << 20),
            ("10MB/s", 10_000_000),
            ("80Mbit", 10_000_000),
            ("80mbit/s", 10_000_000),
            ("80Mbps", 10_000_000),
            ("1.6Gbit", 200_000_000),
            ("8000000bit", 1_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Rate(bytes)), "{text}");
        }
        for bad in [
            "fast",
            "bit",
            "Mbit",
            "10Mbits",
            "10 furlongs",
            "-1Mbit",
            "",
        ] {
            let words = bad.parse::<Rate>().expect_err(bad);
            assert!(words.contains("80Mbit"), "{words}");
        }
    }

    #[test]
    fn rates() {
        let Rates(rates) = "create=2.5,single=9".parse().expect("two rates");
        assert_eq!(
            (rates.create, rates.complete, rates.single),
            (Some(2.5), None, Some(9.0))
        );
        for bad in [
            "",
            "create",
            "create=0",
            "create=inf",
            "create=x",
            "slice=3",
        ] {
            assert!(bad.parse::<Rates>().is_err(), "{bad}");
        }
    }
}
