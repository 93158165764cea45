//! Sizes and call rates as people type them.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../src/cli/size.rs"]
#[allow(dead_code, reason = "the command uses the rest")]
mod size;

fuzz_target!(|text: &str| {
    if let Ok(size::Size(bytes)) = text.parse() {
        assert!(bytes < 9_000_000_000_000_000);
        assert_eq!(bytes.to_string().parse(), Ok(size::Size(bytes)));
        let _ = size::human(bytes);
    }
    if let Ok(size::Rates(rates)) = text.parse() {
        for rate in [rates.create, rates.complete, rates.single].into_iter().flatten() {
            assert!(rate > 0.0 && rate.is_finite(), "{rate}");
        }
    }
});
