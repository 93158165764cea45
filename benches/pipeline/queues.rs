//! What sockets took and the other side has not read yet, from the kernel's table. Dozens of
//! connections on a slow link swallow a hundred megabytes at once and then nothing for ten seconds:
//! without this, goodput between two moments would be the kernel's buffers, not the link's.

/// Bytes that lie in the queues of loopback connections to `port`, on both sides. Nothing where
/// the system has no such table.
pub fn waiting(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let lines = table.lines().skip(1);
    lines.filter_map(|line| queued(line, port)).sum()
}

/// `sl local remote state tx:rx …`, all of it in hexadecimal.
fn queued(line: &str, port: u16) -> Option<u64> {
    let mut words = line.split_whitespace().skip(1);
    let (local, remote) = (port_of(words.next()?)?, port_of(words.next()?)?);
    let (sending, receiving) = words.nth(1)?.split_once(':')?;
    let bytes = |text| u64::from_str_radix(text, 16).ok();
    match port {
        port if port == remote => bytes(sending),
        // A listener's queue counts connections, not bytes.
        port if port == local && remote != 0 => bytes(receiving),
        _ => None,
    }
}

fn port_of(address: &str) -> Option<u16> {
    u16::from_str_radix(address.split_once(':')?.1, 16).ok()
}
