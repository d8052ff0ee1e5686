//! Which `Host` and which `Origin` are served: the guard against DNS rebinding and against pages of other sites.
//!
//! A browser can be made to send requests to a loopback port under a name that its owner controls. So a `Host` must be
//! an IP address, `localhost`, a single label, or allowed by name; and a request with an `Origin` must come from an
//! allowed one or from this server itself. Authenticates nobody.

use std::net::IpAddr;

use super::head::Head;
use crate::error::{Error, Kind, Stage};

/// Refuses a foreign `Host` or `Origin`. The lists are in lower case. No host at all is what an HTTP/1.0 client has that
/// never heard of `Host`; an empty one is none of those that are served.
pub fn check(head: &Head, allowed_hosts: &[String], allowed_origins: &[String]) -> Result<(), Error> {
    let host = head.host();
    if let Some(host) = host.filter(|h| !is_own(without_port(h), allowed_hosts)) {
        return Err(refusal(match printable(host).as_str() {
            "" => "an empty Host is not served here; send the gateway's name".to_owned(),
            shown => format!("Host `{shown}` is not served here; add it to server.allowed_hosts"),
        }));
    }
    match head.get("origin") {
        None => Ok(()),
        Some(origin) if is_allowed_origin(origin, host.unwrap_or(""), allowed_origins) => Ok(()),
        Some(origin) => Err(refusal(format!(
            "Origin `{}` is not allowed; add it to server.allowed_origins",
            printable(origin)
        ))),
    }
}

fn is_own(name: &str, allowed: &[String]) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let single_label =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    bare.parse::<IpAddr>().is_ok()
        || name.to_ascii_lowercase().ends_with(".localhost")
        || single_label
        || allowed
            .iter()
            .any(|entry| entry.eq_ignore_ascii_case(name) || without_port(entry).eq_ignore_ascii_case(name))
}

/// A page of this very server carries an origin whose authority equals the `Host`.
fn is_allowed_origin(origin: &str, host: &str, allowed: &[String]) -> bool {
    let authority = origin.split_once("://").map(|(_, rest)| rest);
    authority.is_some_and(|a| !host.is_empty() && a.eq_ignore_ascii_case(host))
        || allowed.iter().any(|entry| entry.eq_ignore_ascii_case(origin))
}

fn without_port(host: &str) -> &str {
    if let Some(end) = host.find(']') {
        return &host[..=end];
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn printable(text: &str) -> String {
    text.chars().take(100).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

fn refusal(message: String) -> Error {
    Error::new(Stage::Edge, Kind::Forbidden, message)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::edge::head::parse;

    fn verdict(host: &str, origin: Option<&str>) -> bool {
        let origin = origin.map_or(String::new(), |o| format!("Origin: {o}\r\n"));
        let head = parse(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{origin}\r\n").as_bytes()).unwrap();
        check(&head, &["gw.example.com".into()], &["https://tools.example".into()]).is_ok()
    }

    #[test]
    fn foreign_hosts_are_refused() {
        for (host, expected) in [
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("localhost", true),
            ("app.localhost:1", true),
            ("gateway:8080", true),
            ("gw.example.com:443", true),
            ("GW.EXAMPLE.COM", true),
            ("evil.example", false),
            ("evil.example:8080", false),
            ("127.0.0.1.evil.example", false),
            ("gw.example.com.evil.example", false),
            ("", false),
            (":8080", false),
            ("a@b", false),
            ("a,b", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(verdict(host, None), expected, "{host}");
        }
    }

    #[test]
    fn foreign_origins_are_refused() {
        for (origin, expected) in [
            ("http://localhost:8080", true),
            ("https://tools.example", true),
            ("https://tools.example.evil", false),
            ("http://localhost:9999", false),
            ("null", false),
            ("https://evil.example", false),
        ] {
            assert_eq!(verdict("localhost:8080", Some(origin)), expected, "{origin}");
        }
    }
}
