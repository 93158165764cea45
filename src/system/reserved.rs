//! Names that Windows takes for others. In: one name of a path. Out: whether the system would look
//! elsewhere than at that name. Never: a look at the disk.

/// Whether Windows, asked for `name` in the usual way, opens a device or drops what the name ends with.
pub(crate) fn is_misread(name: &str) -> bool {
    if name.ends_with(['.', ' ']) {
        return !matches!(name, "." | "..");
    }
    let stem = name.split(['.', ':']).next().unwrap_or_default();
    let stem = stem.trim_end_matches(' ');
    let is = |device: &str| stem.eq_ignore_ascii_case(device);
    if DEVICES.into_iter().any(is) {
        return true;
    }
    let Some((port, number)) = stem.split_at_checked(3) else {
        return false;
    };
    let is_port = port.eq_ignore_ascii_case("COM") || port.eq_ignore_ascii_case("LPT");
    let mut signs = number.chars();
    let is_number = signs
        .next()
        .is_some_and(|sign| "123456789¹²³".contains(sign));
    is_port && is_number && signs.next().is_none()
}

const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_ends_that_are_dropped() {
        for name in [
            "CON",
            "con",
            "Aux.txt",
            "nul.tar.gz",
            "COM1",
            "lpt9.log",
            "COM¹",
            "PRN ",
            "con .txt",
            "a.",
            "a ",
            "名.",
            "...",
            " ",
            "CONIN$",
        ] {
            assert!(is_misread(name), "{name:?}");
        }
        for name in [
            ".", "..", "CONSOLE", "COM", "COM0", "COM10", "LPT", "a", ".a", "a.b", "名", "xCON",
            "公司1", "a CON", "",
        ] {
            assert!(!is_misread(name), "{name:?}");
        }
    }
}
