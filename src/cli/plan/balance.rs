//! Files dealt out to shards, so that each takes about as long. In: what each file costs. Out: each one's
//! shard. Never: another answer for the same files.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The shards of some files.
#[derive(Debug)]
pub struct Balance {
    /// By file, from 1.
    pub shards: Vec<u32>,
    /// The longest shard's cost, and the mean.
    pub longest: f64,
    pub mean: f64,
}

/// Deals files of these `costs`, in seconds, out to `count` shards: the largest first, each to the shard
/// that has the least so far.
pub fn balance(costs: &[f64], count: u32) -> Balance {
    let mut largest_first: Vec<usize> = (0..costs.len()).collect();
    largest_first.sort_by(|&a, &b| costs[b].total_cmp(&costs[a]).then(a.cmp(&b)));
    let mut loads: BinaryHeap<Reverse<(u64, u32)>> =
        (1..=count).map(|shard| Reverse((0, shard))).collect();
    let mut shards = vec![1; costs.len()];
    for file in largest_first {
        if let Some(mut least) = loads.peek_mut() {
            let Reverse((load, shard)) = *least;
            shards[file] = shard;
            *least = Reverse((load.saturating_add(nanoseconds(costs[file])), shard));
        }
    }
    let loads = loads
        .into_iter()
        .map(|Reverse((load, _))| load as f64 / 1e9);
    let (longest, sum) = loads.fold((0.0_f64, 0.0), |(longest, sum), load| {
        (longest.max(load), sum + load)
    });
    Balance {
        shards,
        longest,
        mean: sum / f64::from(count.max(1)),
    }
}

/// Whole numbers add up to the same in any order.
fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_take_about_as_long() {
        // Some large files and many small ones.
        let large = (1..60).map(f64::from);
        let costs: Vec<f64> = large.chain(std::iter::repeat_n(0.2, 3000)).collect();
        for count in [1, 2, 7, 16, 32] {
            let balance = balance(&costs, count);
            let ratio = balance.longest / balance.mean;
            assert!((0.999..1.05).contains(&ratio), "{count}: {ratio}");
            for shard in 1..=count {
                assert!(balance.shards.contains(&shard), "{shard} of {count}");
            }
        }
    }

    #[test]
    fn one_file_can_be_longer_than_all_others() {
        let balance = balance(&[1.0, 1.0, 10.0, 1.0], 3);
        assert_eq!(balance.longest, 10.0);
        let alone = balance.shards[2];
        let beside = balance.shards.iter().filter(|&&shard| shard == alone);
        assert_eq!(beside.count(), 1);
    }

    #[test]
    fn the_same_files_go_to_the_same_shards() {
        let costs: Vec<f64> = (0..500).map(|n| f64::from(n % 7) + 0.1).collect();
        assert_eq!(balance(&costs, 8).shards, balance(&costs, 8).shards);
    }
}
