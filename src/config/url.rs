//! URLs of a configuration: base URLs of providers, proxies, origins.
//!
//! A small reader of its own: `http` and `https`, a host, a port, a path. What it refuses it says why, without repeating
//! the URL (it may hold a password). Resolves no name but by this machine's own files.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::env::Env;
use super::secret::Secret;
use super::snapshot::{Base, Proxy};

/// The parts of an `http` or `https` URL.
#[derive(Debug, PartialEq, Eq)]
struct Parts<'a> {
    tls: bool,
    user: Option<&'a str>,
    host: String,
    port: Option<u16>,
    path: &'a str,
}

fn parts(text: &str) -> Result<Parts<'_>, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("has no scheme; expected a URL that begins with `https://` or `http://`".to_owned());
    };
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return Err("has a scheme that is not spoken here; expected `https://` or `http://`".to_owned()),
    };
    if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("has a space or a control character in it".to_owned());
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if path.contains(['?', '#']) {
        return Err(
            "has a query (`?…`) or a fragment (`#…`); expected scheme, host, port and path only".to_owned()
        );
    }
    let (user, authority) = match authority.rsplit_once('@') {
        Some((user, authority)) => (Some(user), authority),
        None => (None, authority),
    };
    let (host, port) = host_and_port(authority)?;
    Ok(Parts { tls, user, host, port, path })
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']').ok_or("has a `[` without `]`")?;
            let host: std::net::Ipv6Addr = host.parse().map_err(|_| "has a bad IPv6 address")?;
            (
                host.to_string(),
                rest.strip_prefix(':').or(rest.is_empty().then_some("")).ok_or("has a bad port")?,
            )
        }
        None => match authority.split_once(':') {
            Some((host, "")) => (host.to_owned(), "bad"),
            Some((host, port)) => (host.to_owned(), port),
            None => (authority.to_owned(), ""),
        },
    };
    let in_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(in_host) {
        return Err("has no host, or a bad one; expected a name or an IP behind `://`".to_owned());
    }
    let number = match port {
        "" => None,
        _ => Some(port.parse::<u16>().ok().filter(|&p| p > 0).ok_or("has a bad port; expected 1 to 65535")?),
    };
    Ok((host.to_ascii_lowercase(), number))
}

/// Where requests go: the path ends with a version segment (`/v1`, `/v1beta`, `/v4`), appended if it is absent and
/// `version` names one; what stands behind it there (`v1beta/openai`) follows either.
pub fn base(text: &str, version: &str) -> Result<Base, String> {
    let parts = parts(text)?;
    if parts.user.is_some() {
        return Err(
            "has user info (`user:password@`); credentials belong in `api_key` or `headers`".to_owned()
        );
    }
    let path = parts.path.trim_end_matches('/');
    for endpoint in ["/messages", "/chat/completions", "/responses", "/embeddings"] {
        if path.ends_with(endpoint) {
            return Err(format!("ends with an endpoint; leave out `{endpoint}`"));
        }
    }
    let (version, below) = version.split_once('/').unwrap_or((version, ""));
    let root = path.strip_suffix(below).filter(|root| root.ends_with('/')).unwrap_or(path);
    let root = root.trim_end_matches('/');
    let version = if root.rsplit('/').next().is_some_and(is_version) { "" } else { version };
    let segments = [version, below].into_iter().filter(|segment| !segment.is_empty());
    let path = segments.fold(root.to_owned(), |path, segment| path + "/" + segment);
    let port = parts.port.unwrap_or(if parts.tls { 443 } else { 80 });
    Ok(Base { tls: parts.tls, host: parts.host, port, path })
}

/// `v1`, `v4`, `v1beta`, `v1beta1`.
fn is_version(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix('v') else { return false };
    rest.starts_with(|c: char| c.is_ascii_digit())
        && rest.bytes().all(|b| b.is_ascii_alphanumeric())
        && rest.len() <= 10
}

/// A base URL as users write it: scheme, host, a port that is not the scheme's own, path.
pub fn show(base: &Base) -> String {
    let scheme = if base.tls { "https" } else { "http" };
    let host = if base.host.contains(':') { format!("[{}]", base.host) } else { base.host.clone() };
    let own = if base.tls { 443 } else { 80 };
    let port = if base.port == own { String::new() } else { format!(":{}", base.port) };
    format!("{scheme}://{host}{port}{}", base.path)
}

/// A CONNECT proxy, `http://[user:password@]host:port`; the scheme may be left out, as in `HTTPS_PROXY`.
pub fn proxy(text: &str) -> Result<Proxy, String> {
    let with_scheme;
    let text = if text.contains("://") {
        text
    } else {
        with_scheme = format!("http://{text}");
        &with_scheme
    };
    let parts = parts(text).map_err(|e| e.replace("`https://` or `http://`", "`http://`"))?;
    if parts.tls {
        return Err(
            "is asked over TLS, which is not built; expected `http://[user:password@]host:port`".to_owned()
        );
    }
    if !matches!(parts.path, "" | "/") {
        return Err("has a path; expected `http://[user:password@]host:port`".to_owned());
    }
    let authorization =
        parts.user.map(|user| Secret::new(format!("Basic {}", BASE64.encode(unescaped(user)))));
    Ok(Proxy { host: parts.host, port: parts.port.unwrap_or(80), authorization })
}

/// User and password of a proxy, for clients that build the header themselves.
pub fn proxy_user(proxy: &Proxy) -> Option<(String, String)> {
    let coded = proxy.authorization.as_ref()?.expose().strip_prefix("Basic ")?;
    let text = String::from_utf8(BASE64.decode(coded).ok()?).ok()?;
    Some(text.split_once(':').map_or((text.clone(), String::new()), |(u, p)| (u.to_owned(), p.to_owned())))
}

/// An origin as browsers send it: `scheme://host[:port]`, lower case.
pub fn origin(text: &str) -> Result<String, String> {
    let parts = parts(text)?;
    if parts.user.is_some() || !matches!(parts.path, "" | "/") {
        return Err("is more than an origin; expected `https://host` or `https://host:port`".to_owned());
    }
    Ok(text.trim_end_matches('/').to_ascii_lowercase())
}

/// Whether requests to this base would come back to the listener: by an address in any spelling that resolvers take, by
/// `localhost`, by this machine's name, or by a name of its hosts file. Asks no name server.
pub fn is_own(base: &Base, listen: SocketAddr, env: &dyn Env) -> bool {
    if base.host.is_empty() || listen.port() == 0 || base.port != listen.port() {
        return false;
    }
    let bound = listen.ip().to_canonical();
    let name = base.host.strip_suffix('.').unwrap_or(&base.host);
    match address(name) {
        Some(ip) => leads_to(ip, bound, env),
        None if is_localhost(name) => bound.is_loopback() || bound.is_unspecified(),
        None => is_hostname(name, env) || in_hosts(name, env).iter().any(|&ip| leads_to(ip, bound, env)),
    }
}

/// Whether a connection to an address comes out at a listener that is bound to `bound`. All interfaces of version 6 are
/// those of version 4 as well.
fn leads_to(ip: IpAddr, bound: IpAddr, env: &dyn Env) -> bool {
    let everywhere = bound.is_unspecified() && (bound.is_ipv6() || ip.is_ipv4());
    ip == bound
        || (ip.is_unspecified() && (bound.is_loopback() || bound.is_unspecified()))
        || (everywhere && (ip.is_loopback() || env.is_here(ip)))
}

/// Whether a host is this machine's loopback.
pub fn is_loopback(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    is_localhost(name) || address(name).is_some_and(|ip| ip.is_loopback())
}

/// RFC 6761 section 6.3.
fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// The kernel's name of this machine, in full or its first label.
fn is_hostname(name: &str, env: &dyn Env) -> bool {
    let file = |path| env.file(Path::new(path)).ok();
    let known = HOSTNAME_FILES.iter().find_map(file).unwrap_or_default().trim().to_ascii_lowercase();
    !known.is_empty() && (name == known || known.split('.').next() == Some(name))
}

/// What the hosts file says of a name.
fn in_hosts(name: &str, env: &dyn Env) -> Vec<IpAddr> {
    let text = env.file(Path::new("/etc/hosts")).unwrap_or_default();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or("").split_ascii_whitespace());
    lines
        .filter_map(|mut words| {
            let ip = address(words.next()?)?;
            words.any(|word| word.eq_ignore_ascii_case(name)).then_some(ip)
        })
        .collect()
}

/// An address in any spelling that resolvers take for one; those of version 4 in version 6 are of version 4.
fn address(host: &str) -> Option<IpAddr> {
    let ip: Option<IpAddr> = host.parse().ok();
    ip.or_else(|| numeric(host).map(IpAddr::V4)).map(|ip| ip.to_canonical())
}

/// `inet_aton(3)`: one to four numbers, decimal, octal or hexadecimal, of which the last one fills what is left:
/// `127.1`, `2130706433`, `0x7f.0.0.1`.
fn numeric(host: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = host.split('.').map(number).collect::<Option<_>>()?;
    let (&last, first) = parts.split_last()?;
    let room = 32_u32.checked_sub(8 * u32::try_from(first.len()).ok()?).filter(|&bits| bits > 0)?;
    let high = first.iter().try_fold(0_u32, |sum, &part| (part < 256).then_some(sum << 8 | part))?;
    let fits = last.checked_shr(room).unwrap_or(0) == 0;
    fits.then(|| Ipv4Addr::from(high.checked_shl(room).unwrap_or(0) | last))
}

fn number(part: &str) -> Option<u32> {
    let (digits, radix) = match part.strip_prefix("0x") {
        Some(hex) => (hex, 16),
        None if part.len() > 1 && part.starts_with('0') => (part, 8),
        None => (part, 10),
    };
    // `from_str_radix` takes a sign.
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
    u32::from_str_radix(digits, radix).ok().filter(|_| plain)
}

/// Whether `NO_PROXY` exempts a host: `*`, a name with all names below it, an IP, a network (`10.0.0.0/8`), each also
/// with a port.
pub fn exempt(no_proxy: &str, host: &str, port: u16) -> bool {
    no_proxy.split([',', ' ']).map(str::trim).filter(|e| !e.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        let (name, only) = match entry.rsplit_once(':') {
            Some((name, p)) if !name.contains(':') => (name.to_owned(), p.parse::<u16>().ok()),
            _ => (entry.clone(), None),
        };
        let name = name.trim_start_matches("*.").trim_start_matches('.');
        let named = name == "*" || host == name || host.strip_suffix(name).is_some_and(|h| h.ends_with('.'));
        only.is_none_or(|p| p == port) && (named || in_network(host, name))
    })
}

fn in_network(host: &str, network: &str) -> bool {
    let Some((net, bits)) = network.split_once('/') else { return false };
    let (Ok(IpAddr::V4(host)), Ok(IpAddr::V4(net)), Ok(bits)) =
        (host.parse(), net.parse(), bits.parse::<u32>())
    else {
        return false;
    };
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
    u32::from(host) & mask == u32::from(net) & mask
}

/// `%40` → `@`; what is no escape stays.
fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let pair = text.get(i + 1..i + 3).and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[i], pair) {
            (b'%', Some(byte)) => {
                out.push(byte);
                i += 3;
            }
            (byte, _) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    out
}

/// Where the kernel tells the machine's name, and where it takes it from.
const HOSTNAME_FILES: [&str; 2] = ["/proc/sys/kernel/hostname", "/etc/hostname"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::env::Given;

    #[test]
    fn a_version_segment_is_appended_but_never_doubled() {
        for (text, shown) in [
            ("https://api.anthropic.com", "https://api.anthropic.com/v1"),
            ("https://api.anthropic.com/", "https://api.anthropic.com/v1"),
            ("https://api.anthropic.com/v1/", "https://api.anthropic.com/v1"),
            ("http://127.0.0.1:9000/proxy", "http://127.0.0.1:9000/proxy/v1"),
            ("https://open.bigmodel.cn/api/paas/v4", "https://open.bigmodel.cn/api/paas/v4"),
            ("https://h/v1beta", "https://h/v1beta"),
            ("https://h:443/anthropic", "https://h/anthropic/v1"),
            ("HTTPS://Host.Example", "https://host.example/v1"),
            ("http://[::1]:80/x", "http://[::1]/x/v1"),
            ("http://h/vertex", "http://h/vertex/v1"),
        ] {
            assert_eq!(show(&base(text, "v1").unwrap()), shown, "{text}");
        }
        for (text, version, shown) in [
            ("https://h", "", "https://h"),
            ("https://h/", "", "https://h"),
            ("https://h/v1/", "", "https://h/v1"),
            ("https://h/inference", "", "https://h/inference"),
            ("https://h/api/paas/v4", "v4", "https://h/api/paas/v4"),
            ("https://h", "v1beta/openai", "https://h/v1beta/openai"),
            ("https://h/v1beta", "v1beta/openai", "https://h/v1beta/openai"),
            ("https://h/v1beta/openai/", "v1beta/openai", "https://h/v1beta/openai"),
            ("https://h/openai", "v1beta/openai", "https://h/v1beta/openai"),
        ] {
            assert_eq!(show(&base(text, version).unwrap()), shown, "{text} {version}");
        }
    }

    #[test]
    fn what_is_no_base_is_refused() {
        for text in [
            "",
            "api.anthropic.com",
            "ftp://h",
            "https://",
            "https://u:p@h",
            "https://h?key=1",
            "https://h#x",
            "http://h:0",
            "http://h:x",
            "http://h:70000",
            "http://h h",
            "http://[::1",
            "http://[x]",
            "https://h/v1/messages",
            "http://h:",
        ] {
            assert!(base(text, "v1").is_err(), "{text}");
        }
    }

    #[test]
    fn proxies_carry_their_user() {
        let p = proxy("http://me:p%40ss@proxy.corp:3128/").unwrap();
        assert_eq!((p.host.as_str(), p.port), ("proxy.corp", 3128));
        assert_eq!(p.authorization.unwrap().expose(), "Basic bWU6cEBzcw==");
        assert_eq!(proxy("proxy:3128").unwrap().port, 3128);
        for text in ["socks5://h:1", "https://h:1", "http://h/x"] {
            assert!(proxy(text).is_err(), "{text}");
        }
    }

    #[test]
    fn knows_its_own_address_in_every_spelling() {
        let env = Given::new()
            .with_file("/proc/sys/kernel/hostname", "Build-Box.corp\n")
            .with_file("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 odd # other\n10.0.0.5 lan Lan.Corp\n")
            .with_address("10.0.0.5".parse().unwrap())
            .with_address("fd00::5".parse().unwrap());
        for (host, listen, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("localhost", "127.0.0.1", true),
            ("LOCALHOST.", "127.0.0.1", true),
            ("api.localhost", "127.0.0.1", true),
            ("[::ffff:127.0.0.1]", "127.0.0.1", true),
            ("127.1", "127.0.0.1", true),
            ("127.0.1", "127.0.0.1", true),
            ("2130706433", "127.0.0.1", true),
            ("0x7f000001", "127.0.0.1", true),
            ("0x7F.1", "127.0.0.1", true),
            ("0177.0.0.01", "127.0.0.1", true),
            ("0", "127.0.0.1", true),
            ("0.0.0.0", "127.0.0.1", true),
            ("[::]", "[::1]", true),
            ("build-box.corp", "127.0.0.1", true),
            ("build-box", "0.0.0.0", true),
            ("BUILD-BOX.corp.", "127.0.0.1", true),
            ("127.0.0.1", "0.0.0.0", true),
            ("127.0.0.2", "0.0.0.0", true),
            ("[::1]", "[::]", true),
            ("127.0.0.1", "[::]", true),
            ("10.0.0.5", "0.0.0.0", true),
            ("10.0.0.5", "[::]", true),
            ("10.5", "0.0.0.0", true),
            ("lan.corp", "0.0.0.0", true),
            ("lan", "10.0.0.5", true),
            ("[fd00::5]", "[::]", true),
            ("[fd00::5]", "0.0.0.0", false),
            ("10.0.0.6", "0.0.0.0", false),
            ("10.0.0.5", "127.0.0.1", false),
            ("odd", "127.0.0.1", false),
            ("127.0.0.2", "127.0.0.1", false),
            ("build-box.example", "127.0.0.1", false),
            ("build", "127.0.0.1", false),
            ("other", "0.0.0.0", false),
            ("127.0.0.1.corp", "127.0.0.1", false),
            ("127.0.0.256", "127.0.0.1", false),
            ("4294967296", "127.0.0.1", false),
            ("1.2.3.4.5", "127.0.0.1", false),
            ("localhost.corp", "127.0.0.1", false),
        ] {
            let base = base(&format!("http://{host}:8080"), "v1").unwrap();
            let listen: SocketAddr = format!("{listen}:8080").parse().unwrap();
            assert_eq!(is_own(&base, listen, &env), expected, "{host} at {listen}");
            for port in [0, 8081] {
                assert!(!is_own(&base, SocketAddr::new(listen.ip(), port), &env), "{host} at port {port}");
            }
        }
    }

    #[test]
    fn no_proxy_exempts_names_networks_and_ports() {
        for (list, host, yes) in [
            ("*", "a.b", true),
            ("corp", "x.corp", true),
            (".corp", "x.corp", true),
            ("*.corp", "x.corp", true),
            ("corp", "xcorp", false),
            ("a, b", "b", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("b:443", "b", true),
            ("b:444", "b", false),
            ("", "b", false),
        ] {
            assert_eq!(exempt(list, host, 443), yes, "{list} {host}");
        }
    }
}
