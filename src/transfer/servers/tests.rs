//! Names, trust, fallbacks, and how many servers are remembered.

use super::*;

fn servers(plain: Plain) -> Arc<Servers> {
    let api = Origin::parse("http://127.0.0.1:1", Scheme::Https).expect("an address");
    let more = ["example", "example.com"].map(str::to_owned);
    let trust = Trust::new(&api, &more).expect("suffixes");
    Servers::new((trust, plain), Scheme::Https, Preference::Auto)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn origin_of(servers: &Arc<Servers>, name: &str) -> String {
    let set = servers.set_of(&[name.to_owned()]).expect("a server");
    servers
        .assign_now(&set, &[], 1, Instant::now())
        .origin
        .to_string()
}

#[test]
fn plain_servers_get_tls_unless_they_are_loopback() {
    let servers = servers(Plain::Refused);
    assert_eq!(
        origin_of(&servers, "http://127.0.0.1:81/"),
        "http://127.0.0.1:81"
    );
    assert_eq!(
        origin_of(&servers, "http://up.example.com"),
        "https://up.example.com"
    );
    assert_eq!(
        origin_of(&servers, "http://up.example.com:8080"),
        "https://up.example.com:8080"
    );
    assert_eq!(
        origin_of(&servers, "up.example.com/"),
        "https://up.example.com"
    );
}

#[test]
fn plain_is_fallen_back_to_only_where_allowed() {
    for (plain, then) in [
        (Plain::Refused, "https://up.example.com"),
        (Plain::Allowed, "http://up.example.com"),
    ] {
        let servers = servers(plain);
        let set = servers
            .set_of(&["http://up.example.com".to_owned()])
            .expect("a server");
        let error = Error::new(Kind::Transport, Operation::Slice, "refused");
        servers
            .assign_now(&set, &[], 1, Instant::now())
            .failed(&error, Instant::now());
        assert_eq!(origin_of(&servers, "http://up.example.com"), then);
    }
}

#[test]
fn what_two_servers_failed_goes_to_one_that_works() {
    let servers = servers(Plain::Refused);
    let names: Vec<String> = (0..100).map(|n| format!("s{n}.example")).collect();
    let set = servers.set_of(&names).expect("a hundred");
    let now = Instant::now();
    let proven = servers.assign_now(&set, &[], 1, now);
    let works = proven.server();
    proven.acked(None, now + Duration::from_secs(3));
    let failed: Vec<usize> = set.iter().copied().filter(|&at| at != works).collect();
    for avoid in 2..20 {
        let next = servers.assign_now(&set, &failed[..avoid], 1, now);
        assert_eq!(next.server(), works, "after {avoid}");
    }
}

#[test]
fn plain_is_no_way_around_a_forged_certificate_and_is_told() {
    let name = ["http://up.example.com".to_owned()];
    let failed = |servers: &Arc<Servers>, error: &Error| {
        let set = servers.set_of(&name).expect("a server");
        let now = Instant::now();
        servers.assign_now(&set, &[], 1, now).failed(error, now);
    };
    let error = || Error::new(Kind::Transport, Operation::Slice, "x");
    let servers = servers(Plain::Allowed);
    failed(&servers, &error().distrusted());
    assert_eq!(origin_of(&servers, &name[0]), "https://up.example.com");
    assert!(servers.take_warning().is_none());
    failed(&servers, &error());
    assert_eq!(origin_of(&servers, &name[0]), "http://up.example.com");
    let warning = servers.take_warning().expect("said").to_string();
    assert!(warning.contains("unencrypted"), "{warning}");
    assert!(servers.take_warning().is_none());
}

#[test]
fn hosts_that_are_not_trusted_are_left_out_and_said_once() {
    let servers = servers(Plain::Refused);
    for _ in 0..3 {
        let set = servers.set_of(&names(&["evil.net", "up.example"]));
        assert_eq!(set.expect("one of them").len(), 1);
    }
    let warning = servers.take_warning().expect("said").to_string();
    assert!(
        warning.contains("name evil.net in `Options::trusted_hosts`"),
        "{warning}"
    );
    assert!(servers.take_warning().is_none());
    let error = servers.set_of(&names(&["evil.net"])).expect_err("none");
    assert_eq!((error.kind(), error.is_of_the_run()), (Kind::Invalid, true));
}

#[test]
fn ever_new_names_do_not_fill_the_memory() {
    let servers = servers(Plain::Refused);
    for list in 0..50 {
        let names: Vec<String> = (0..1_024)
            .map(|n| format!("s{n}.l{list}.example"))
            .collect();
        assert!(!servers.set_of(&names).expect("servers").is_empty());
        let again = servers.set_of(&names[..1]).expect("a known one");
        assert_eq!(again.len(), 1);
    }
    let state = servers.lock();
    assert!(state.scores.count() <= MOST_SERVERS);
    assert_eq!(state.known.len(), state.scores.count());
}

#[test]
fn servers_that_are_named_no_more_are_forgotten_and_those_in_use_stay() {
    let servers = servers(Plain::Refused);
    let first = |name: &str| servers.set_of(&names(&[name])).expect("a server");
    let (held, body) = (first("held.example"), first("body.example"));
    let body = servers.assign_now(&body, &[], 1, Instant::now());
    drop(first("often.example"));
    for n in 0..5 * MOST_SERVERS {
        let set = first(&format!("s{n}.example"));
        let taken = servers.assign_now(&set, &[], 1, Instant::now());
        taken.acked(None, Instant::now());
        if n % 1_000 == 0 {
            drop(first("often.example"));
        }
    }
    let state = servers.lock();
    assert!(state.scores.count() <= MOST_SERVERS);
    assert!(state.sets.len() <= 2 * FEW_SETS, "{}", state.sets.len());
    let is_known = |name: &str| {
        let origin = Origin::parse(name, Scheme::Https).expect("an address");
        state.known.contains_key(&origin)
    };
    for name in ["held.example", "body.example", "often.example"] {
        assert!(is_known(name), "{name}");
    }
    assert!(!is_known("s0.example"));
    drop(state);
    body.acked(None, Instant::now());
    let again = servers.assign_now(&held, &[], 1, Instant::now());
    assert_eq!(again.origin.to_string(), "https://held.example");
}

/// A list of any length, nearly all of which refuse, costs a body no more than a look at each.
#[test]
fn one_list_of_more_servers_than_are_known_at_once_is_a_list() {
    let servers = servers(Plain::Refused);
    let names: Vec<String> = (0..3 * MOST_SERVERS)
        .map(|n| format!("s{n}.example"))
        .collect();
    let (set, other) = (
        servers.set_of(&names),
        servers.set_of(&names[MOST_SERVERS..]),
    );
    assert_eq!(set.expect("servers").len(), MOST_SERVERS);
    // Room is made only by those that are not in use.
    assert_eq!(other.expect("one more").len(), 1);
}

#[test]
fn a_name_is_one_server_and_only_those_of_the_set_are_used() {
    let servers = servers(Plain::Refused);
    let first = servers
        .set_of(&names(&["a.example", "b.example/", "https://a.example/"]))
        .expect("two");
    assert_eq!(first.len(), 2);
    let second = servers
        .set_of(&names(&["c.example", "a.example"]))
        .expect("two");
    for _ in 0..20 {
        assert!(second.contains(&servers.assign_now(&second, &[], 1, Instant::now()).server()));
    }
    let avoided = second[0];
    assert_ne!(
        servers
            .assign_now(&second, &[avoided], 1, Instant::now())
            .server(),
        avoided
    );
    assert!(
        second.contains(
            &servers
                .assign_now(&second, &second, 1, Instant::now())
                .server()
        ),
        "better one of these than none"
    );
    assert!(servers.set_of(&names(&["ht tp://"])).is_err());
}
