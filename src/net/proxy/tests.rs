use std::collections::HashMap;

use super::*;

fn rules(variables: &[(&str, &str)]) -> Result<ProxyRules> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    ProxyRules::read(&|name| variables.get(name).map(OsString::from))
}

fn way(variables: &[(&str, &str)], server: &str) -> String {
    let rules = rules(variables).expect("readable");
    let origin = Origin::parse(server, Scheme::Https).expect("an address");
    rules
        .proxy(&origin)
        .map_or_else(|| "straight".to_owned(), Proxy::name)
}

#[test]
fn a_scheme_has_its_variable_and_all_the_rest_one_for_all() {
    let all = ("ALL_PROXY", "socks5://s");
    assert_eq!(way(&[all], "https://a.b"), "s:1080");
    assert_eq!(
        way(&[all, ("https_proxy", "p:3128")], "https://a.b"),
        "p:3128"
    );
    assert_eq!(
        way(&[all, ("https_proxy", "p:3128")], "http://a.b"),
        "s:1080"
    );
    assert_eq!(way(&[("http_proxy", "http://p/")], "http://a.b"), "p:80");
    assert_eq!(
        way(&[("http_proxy", "http://[::1]:8")], "http://a.b"),
        "[::1]:8"
    );
    assert_eq!(
        way(&[("http_proxy", "http://[::1]")], "http://a.b"),
        "[::1]:80"
    );
    assert_eq!(way(&[("HTTPS_PROXY", " "), all], "https://a.b"), "s:1080");
    assert_eq!(way(&[all], "http://127.0.0.1:1"), "straight");
}

#[test]
fn blanks_around_a_value_are_none_of_it() {
    let value = ("http_proxy", "http://127.0.0.1:33128/ \n");
    assert_eq!(way(&[value], "http://a.b"), "127.0.0.1:33128");
}

#[test]
fn a_request_header_of_a_web_server_is_no_setting() {
    let cgi = ("REQUEST_METHOD", "GET");
    let header = ("HTTP_PROXY", "http://evil:1");
    assert_eq!(way(&[cgi, header], "http://a.b"), "straight");
    assert_eq!(way(&[header], "http://a.b"), "evil:1");
}

#[test]
fn what_is_set_and_cannot_be_read_is_an_error_that_names_the_variable() {
    for (name, value, said) in [
        ("http_proxy", "ftp://p:1", "ftp"),
        ("HTTPS_PROXY", "https://p:1", "https"),
        ("ALL_PROXY", "socks4://p:1", "socks4"),
        ("all_proxy", "gopher://p:1", "not supported"),
        ("http_proxy", "http://", "host:port"),
        ("http_proxy", "http://p:99999", "host:port"),
        ("http_proxy", "http://p p:1", "host:port"),
        ("http_proxy", "http://u:pass#word@p:1", "host:port"),
        ("NO_PROXY", "a.b,c*d", "c*d"),
        ("no_proxy", "a.b:http", "a.b:http"),
        ("no_proxy", "10.0.0.0/33", "10.0.0.0/33"),
    ] {
        let error = rules(&[(name, value)]).expect_err(value);
        assert_eq!(error.kind(), Kind::Invalid);
        let words = error.to_string();
        assert!(words.contains(name) && words.contains(said), "{words}");
        assert!(!words.contains("pass#"), "{words}");
    }
}

#[test]
fn user_and_password_are_read_and_never_shown() {
    let value = "http://me:p%40ss@p:1";
    let rules = rules(&[
        ("http_proxy", value),
        ("https_proxy", "socks5h://me:p%2Fw@s"),
    ]);
    let rules = rules.expect("readable");
    let Some(Protocol::Http(Some(header))) = rules.http.as_ref().map(|proxy| &proxy.protocol)
    else {
        panic!("a password is there")
    };
    assert_eq!(header, "Basic bWU6cEBzcw==");
    let Some(Protocol::Socks5(Some(pair))) = rules.https.as_ref().map(|proxy| &proxy.protocol)
    else {
        panic!("a password is there")
    };
    assert_eq!((pair.0.as_str(), pair.1.as_str()), ("me", "p/w"));
    let shown = format!("{rules:?}");
    assert!(!shown.contains("p/w") && !shown.contains("bWU6"), "{shown}");
}

#[test]
fn the_forms_of_no_proxy() {
    for (list, server, straight) in [
        ("*", "https://a.b", true),
        ("*.test", "http://api.test:36000", true),
        (".test", "http://api.test:36000", true),
        ("test", "http://api.test:36000", true),
        ("test", "http://api.atest", false),
        ("*.test", "http://test", true),
        ("API.Test.", "http://api.test", true),
        ("api.test:36000", "http://api.test:36000", true),
        ("api.test:36000", "http://api.test:36001", false),
        ("api.test:443", "https://api.test", true),
        (".test:80", "http://api.test", true),
        ("a.b, c.d\te.f", "https://e.f", true),
        ("10.1.2.3", "http://10.1.2.3:8", true),
        ("10.1.2.3", "http://10.1.2.4:8", false),
        ("10.0.0.0/8", "http://10.200.2.4:8", true),
        ("10.0.0.0/8", "http://11.0.0.1", false),
        ("0.0.0.0/0", "http://11.0.0.1", true),
        ("fd00::/8", "http://[fd12::1]:80", true),
        ("fd00::/8", "http://[fe00::1]:80", false),
        ("[fd12::1]:81", "http://[fd12::1]:81", true),
        ("[fd12::1]:81", "http://[fd12::1]:82", false),
        ("fd12::1", "http://[fd12::1]:82", true),
        ("10.0.0.1:81", "http://10.0.0.1:82", false),
    ] {
        let way = way(&[("ALL_PROXY", "http://p:1"), ("NO_PROXY", list)], server);
        assert_eq!(way == "straight", straight, "{list} {server}");
    }
}
