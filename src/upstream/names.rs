//! Host names to addresses: on a helper thread, with a small cache.
//!
//! getaddrinfo blocks, so it never runs on a worker. IP addresses and `localhost` need no lookup (a static binary in an
//! empty container has no `/etc/hosts`). The system tells no lifetime, so an answer is used for [`DNS_TTL`]; when a
//! later lookup fails, the old answer is used again.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use crate::limits::{DNS_TTL, MAX_ADDRESSES};
use crate::runtime::{Home, home};

/// The addresses of `host`, at most [`MAX_ADDRESSES`], by `deadline`.
pub fn resolve(
    home: &'static Home,
    host: &str,
    port: u16,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, String> {
    if let Some(known) = without_lookup(host, port) {
        return Ok(known);
    }
    let (fresh, old) = cached(host);
    let addresses = match fresh {
        Some(addresses) => addresses,
        None => match home::call(home, deadline, lookup(host.to_owned())) {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(error)) => old.ok_or(error)?,
            Err(home::NoAnswer) => old.ok_or_else(|| format!("no answer in time for the name {host}"))?,
        },
    };
    Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

fn without_lookup(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some(vec![SocketAddr::new(ip, port)]);
    }
    host.eq_ignore_ascii_case("localhost").then(|| {
        let (four, six) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
        vec![SocketAddr::new(four, port), SocketAddr::new(six, port)]
    })
}

fn lookup(host: String) -> impl FnOnce() -> Result<Vec<IpAddr>, String> + Send + 'static {
    move || {
        let found = (host.as_str(), 0).to_socket_addrs().map_err(|error| {
            let text = error.to_string();
            format!(
                "the name {host} was not found: {}",
                text.trim_start_matches("failed to lookup address information: ")
            )
        })?;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in found.map(|a| a.ip()) {
            if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(format!("the name {host} has no address"));
        }
        let entry = Entry { addresses: addresses.clone(), at: Instant::now() };
        let mut cache = cache().lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(host, entry);
        Ok(addresses)
    }
}

struct Entry {
    addresses: Vec<IpAddr>,
    at: Instant,
}

fn cache() -> &'static Mutex<HashMap<String, Entry>> {
    static CACHE: OnceLock<Mutex<HashMap<String, Entry>>> = OnceLock::new();
    CACHE.get_or_init(Mutex::default)
}

/// The cached answer, if it is fresh, and whatever is known, fresh or not.
fn cached(host: &str) -> (Option<Vec<IpAddr>>, Option<Vec<IpAddr>>) {
    let cache = cache().lock().unwrap_or_else(PoisonError::into_inner);
    match cache.get(host) {
        Some(entry) if entry.at.elapsed() < DNS_TTL => (Some(entry.addresses.clone()), None),
        Some(entry) => (None, Some(entry.addresses.clone())),
        None => (None, None),
    }
}

/// Names come from the configuration, so there are few.
const CACHED: usize = 1024;
