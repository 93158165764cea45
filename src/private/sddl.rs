//! Access lists of Windows as text (SDDL). In: a list, and who we are. Out: who else has a right. Never: a
//! right that is taken to be missing because it is spelt otherwise.

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// To read the contents.
    Read,
    /// To change the contents, the list or the owner, or, of a folder, what is in it.
    Write,
}

/// The first one other than us, the system and its administrators that `list` gives one of `rights` to.
/// Refusals in a list are passed over: they can only take away.
pub(super) fn others(list: &str, us: &str, rights: Rights) -> Option<String> {
    let Some((_, list)) = list.split_once("D:") else {
        return Some(EVERYBODY.to_owned());
    };
    // The audit list, which says nothing of rights, comes last.
    let list = list.split("S:(").next().unwrap_or(list);
    if list.starts_with("NO_ACCESS_CONTROL") {
        return Some(EVERYBODY.to_owned());
    }
    let entries = list.split('(').skip(1);
    let mut given = entries.filter_map(|entry| Entry::read(entry.split(')').next()?));
    let entry = given.find(|entry| {
        let applies = entry.allows && !entry.only_below && !is_trusted(entry.who, us);
        applies && entry.mask & mask(rights) != 0
    })?;
    Some(named(entry.who).to_owned())
}

/// The owner that `list` says, where that is neither us nor one of those.
pub(super) fn foreign_owner(list: &str, us: &str) -> Option<String> {
    let (_, from) = list.split_once("O:")?;
    let end = ["G:", "D:", "S:("]
        .iter()
        .filter_map(|next| from.find(next));
    let owner = &from[..end.min().unwrap_or(from.len())];
    (!is_trusted(owner, us)).then(|| named(owner).to_owned())
}

struct Entry<'l> {
    allows: bool,
    only_below: bool,
    mask: u32,
    who: &'l str,
}

impl Entry<'_> {
    /// `type;flags;rights;object;inherited object;who`.
    fn read(entry: &str) -> Option<Entry<'_>> {
        let mut fields = entry.split(';');
        let mut next = || fields.next();
        let (kind, flags, rights) = (next()?, next()?, next()?);
        let who = fields.nth(2)?;
        Some(Entry {
            allows: kind.starts_with('A') || kind == "XA" || kind == "OA",
            only_below: pairs(flags).any(|flag| flag == "IO"),
            mask: number(rights),
            who,
        })
    }
}

/// Rights as a number or as pairs of letters; one that is not known is every one.
fn number(rights: &str) -> u32 {
    if let Some(hex) = rights.strip_prefix("0x") {
        return u32::from_str_radix(hex, 16).unwrap_or(u32::MAX);
    }
    if let Ok(number) = rights.parse() {
        return number;
    }
    let bit = |pair: &str| {
        let known = RIGHTS.iter().find(|(name, _)| *name == pair);
        known.map_or(u32::MAX, |(_, bits)| *bits)
    };
    pairs(rights).map(bit).fold(0, |all, more| all | more)
}

fn pairs(text: &str) -> impl Iterator<Item = &str> {
    (0..text.len())
        .step_by(2)
        .map(|at| text.get(at..at + 2).unwrap_or("?"))
}

fn mask(rights: Rights) -> u32 {
    match rights {
        Rights::Read => 0x9000_0001,
        Rights::Write => 0x500d_0046,
    }
}

/// We, the system, the administrators of this machine and of its domain, and what stands for the owner.
/// Accounts of services that install software are the system's.
fn is_trusted(who: &str, us: &str) -> bool {
    let known = ["SY", "BA", "LA", "DA", "EA", "SA", "CO", "OW"];
    let sids = ["S-1-5-18", "S-1-5-32-544", "S-1-3-0", "S-1-3-4"];
    let domain = who.starts_with("S-1-5-21-")
        && [500, 512, 518, 519]
            .iter()
            .any(|id| who.ends_with(&format!("-{id}")));
    who == us
        || known.contains(&who)
        || sids.contains(&who)
        || domain
        || who.starts_with("S-1-5-80-")
}

fn named(who: &str) -> &str {
    match who {
        "WD" | "S-1-1-0" => EVERYBODY,
        "AU" | "S-1-5-11" => "authenticated users",
        "BU" | "S-1-5-32-545" => "users of this machine",
        "BG" | "S-1-5-32-546" => "guests",
        "IU" | "S-1-5-4" => "interactive users",
        who => who,
    }
}

const EVERYBODY: &str = "everybody";

/// The letters of rights, and what they are of a file.
const RIGHTS: [(&str, u32); 24] = [
    ("GA", 0x1000_0000),
    ("GR", 0x8000_0000),
    ("GW", 0x4000_0000),
    ("GX", 0x2000_0000),
    ("RC", 0x0002_0000),
    ("SD", 0x0001_0000),
    ("WD", 0x0004_0000),
    ("WO", 0x0008_0000),
    ("FA", 0x001f_01ff),
    ("FR", 0x0012_0089),
    ("FW", 0x0012_0116),
    ("FX", 0x0012_00a0),
    ("CC", 0x0001),
    ("DC", 0x0002),
    ("LC", 0x0004),
    ("SW", 0x0008),
    ("RP", 0x0010),
    ("WP", 0x0020),
    ("DT", 0x0040),
    ("LO", 0x0080),
    ("CR", 0x0100),
    ("KA", 0x000f_003f),
    ("KR", 0x0002_0019),
    ("KW", 0x0002_0006),
];

#[cfg(test)]
mod tests {
    use super::*;

    const US: &str = "S-1-5-21-1-2-3-1001";

    fn who(list: &str, rights: Rights) -> Option<String> {
        others(list, US, rights)
    }

    #[test]
    fn a_folder_of_a_profile_is_ours_alone() {
        for list in [
            "O:S-1-5-21-1-2-3-1001G:S-1-5-21-1-2-3-513D:P(A;OICI;FA;;;S-1-5-21-1-2-3-1001)(A;;FA;;;OW)(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)",
            "O:BAG:BAD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;S-1-5-21-1-2-3-1001)",
            "D:(A;;FA;;;S-1-5-21-9-9-9-512)(D;;FA;;;WD)(A;OICIIO;GA;;;BU)",
            "O:SYD:S:(AU;SA;FA;;;WD)",
        ] {
            assert_eq!(who(list, Rights::Read), None, "{list}");
            assert_eq!(who(list, Rights::Write), None, "{list}");
        }
    }

    #[test]
    fn whoever_else_may_is_named() {
        for (list, reads, writes) in [
            ("D:(A;;FA;;;WD)", "everybody", "everybody"),
            (
                "D:(A;;0x1301bf;;;AU)",
                "authenticated users",
                "authenticated users",
            ),
            ("D:(A;OICIID;0x1200a9;;;BU)", "users of this machine", ""),
            ("D:(A;;FR;;;S-1-5-21-1-2-3-1002)", "S-1-5-21-1-2-3-1002", ""),
            ("D:(A;;LC;;;BU)", "", "users of this machine"),
            ("D:(A;;WD;;;S-1-5-21-1-2-3-513)", "", "S-1-5-21-1-2-3-513"),
            ("D:(A;;GRGX;;;BG)", "guests", ""),
            ("D:(A;;ZZ;;;IU)", "interactive users", "interactive users"),
            ("D:(XA;;GW;;;WD;(a == 1))", "", "everybody"),
            ("D:NO_ACCESS_CONTROL", "everybody", "everybody"),
            ("O:BAG:BA", "everybody", "everybody"),
        ] {
            let some = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
            assert_eq!(who(list, Rights::Read), some(reads), "{list}");
            assert_eq!(who(list, Rights::Write), some(writes), "{list}");
        }
    }

    #[test]
    fn an_owner_is_read_whatever_follows() {
        for (list, expected) in [
            ("O:BAG:SYD:", None),
            ("O:S-1-5-21-1-2-3-1001D:(A;;FA;;;WD)", None),
            ("O:SY", None),
            ("D:", None),
            ("O:S-1-5-21-1-2-3-1002G:BAD:", Some("S-1-5-21-1-2-3-1002")),
            ("O:BUD:", Some("users of this machine")),
            ("O:WD", Some("everybody")),
        ] {
            assert_eq!(foreign_owner(list, US).as_deref(), expected, "{list}");
        }
    }
}
