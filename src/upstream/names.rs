//! Host names to addresses: on a helper thread, one lookup per name at a time, with a small cache.
//!
//! getaddrinfo blocks, so it never runs on a worker. IP addresses and `localhost` need no lookup (a static binary in an
//! empty container has no `/etc/hosts`). The system tells no lifetime, so an answer is used for [`DNS_TTL`]; for
//! [`DNS_STALE`] more it is still used at once while a new lookup runs behind it; after that the lookup is awaited, and the
//! old answer is used when it fails or takes longer than [`DNS_PATIENCE`] (RFC 8767). So a name server that hangs stops
//! nobody who was served before.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;
use crate::limits::{DNS_PATIENCE, DNS_STALE, DNS_TTL, MAX_ADDRESSES, TICK};
use crate::runtime::Home;
use crate::runtime::home::{NoAnswer, Pending};
use crate::runtime::line::OnTick;

/// The addresses of `host`, at most [`MAX_ADDRESSES`]. An error of `on_tick` ends the waiting.
pub fn resolve(
    home: &'static Home,
    host: &str,
    port: u16,
    on_tick: OnTick<'_>,
) -> Result<Vec<SocketAddr>, String> {
    static NAMES: LazyLock<Names> = LazyLock::new(|| Names::new(lookup));
    if let Some(known) = without_lookup(host, port) {
        return Ok(known);
    }
    let addresses = NAMES.resolve(home, host, on_tick)?;
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

/// Asks the system.
fn lookup(host: &str) -> Result<Vec<IpAddr>, String> {
    let found = (host, 0).to_socket_addrs().map_err(|error| {
        let text = error.to_string();
        format!(
            "the name {host} was not found: {}",
            text.trim_start_matches("failed to lookup address information: ")
        )
    })?;
    Ok(found.map(|address| address.ip()).collect())
}

/// What is known of names, and how more is found out.
struct Names {
    look: Arc<dyn Fn(&str) -> Found + Send + Sync>,
    known: Mutex<HashMap<String, Name>>,
}

type Found = Result<Vec<IpAddr>, String>;
/// What is known of a name with its age, and, where that is not fresh, the one lookup that is under way.
type Begun = (Option<(Vec<IpAddr>, Duration)>, Result<Looking, NoAnswer>);
type Looking = Arc<Pending<(Found, Instant)>>;

#[derive(Default)]
struct Name {
    /// The last answer, and when it came.
    found: Option<(Vec<IpAddr>, Instant)>,
    /// The last lookup, until its answer was looked at.
    looking: Option<Looking>,
}

impl Names {
    fn new(look: impl Fn(&str) -> Found + Send + Sync + 'static) -> Self {
        Self { look: Arc::new(look), known: Mutex::default() }
    }

    fn resolve(&self, home: &'static Home, host: &str, on_tick: OnTick<'_>) -> Found {
        let (found, looking) = self.begin(host, clock::now());
        let old = match found {
            Some((addresses, age)) if age < DNS_TTL + DNS_STALE => return Ok(addresses),
            found => found.map(|(addresses, _)| addresses),
        };
        let patient_until = old.as_ref().map(|_| clock::now() + DNS_PATIENCE);
        let mut watch = || match patient_until {
            Some(until) if clock::now() >= until => Err(io::ErrorKind::TimedOut.into()),
            _ => on_tick(),
        };
        match looking.and_then(|looking| looking.wait(home, TICK, &mut watch)) {
            Ok((Ok(addresses), _)) => Ok(addresses),
            Ok((Err(error), _)) => old.ok_or(error),
            Err(NoAnswer) => old.ok_or_else(|| format!("no answer in time for the name {host}")),
        }
    }

    /// Looks at what is known, and starts a lookup where there is need for one.
    fn begin(&self, host: &str, now: Instant) -> Begun {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CACHED && !known.contains_key(host) {
            known.clear();
        }
        let name = known.entry(host.to_owned()).or_default();
        if let Some(answer) = name.looking.as_ref().and_then(|looking| looking.answer()) {
            name.looking = None;
            if let Ok((Ok(addresses), at)) = answer {
                name.found = Some((addresses, at));
            }
        }
        let found = name.found.as_ref().map(|(all, at)| (all.clone(), now.saturating_duration_since(*at)));
        if found.as_ref().is_some_and(|(_, age)| *age < DNS_TTL) {
            return (found, Err(NoAnswer));
        }
        let looking = match &name.looking {
            Some(looking) => Ok(Arc::clone(looking)),
            None => self.look_up(host),
        };
        name.looking = looking.as_ref().ok().cloned();
        (found, looking)
    }

    fn look_up(&self, host: &str) -> Result<Looking, NoAnswer> {
        let (look, host) = (Arc::clone(&self.look), host.to_owned());
        Pending::start(move || {
            let found = look(&host).and_then(|all| match chosen(&all) {
                chosen if chosen.is_empty() => Err(format!("the name {host} has no address")),
                chosen => Ok(chosen),
            });
            (found, clock::now())
        })
    }
}

/// The families by turns, beginning with the one that the system prefers (RFC 8305 section 4): a host without IPv6, or
/// without IPv4, then meets an address that it can reach among the first.
fn chosen(all: &[IpAddr]) -> Vec<IpAddr> {
    let first_is_six = all.first().is_some_and(IpAddr::is_ipv6);
    let (mut preferred, mut other): (Vec<IpAddr>, Vec<IpAddr>) = (Vec::new(), Vec::new());
    for address in all {
        let family = if address.is_ipv6() == first_is_six { &mut preferred } else { &mut other };
        if !family.contains(address) {
            family.push(*address);
        }
    }
    let turns = 0..preferred.len().max(other.len());
    let by_turns = turns.flat_map(|n| preferred.get(n).into_iter().chain(other.get(n)));
    by_turns.copied().take(MAX_ADDRESSES).collect()
}

/// Names come from the configuration, so there are few.
const CACHED: usize = 1024;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};
    use std::time::{Duration, Instant};

    use super::{DNS_PATIENCE, DNS_STALE, DNS_TTL, Names, chosen};
    use crate::runtime::home::{Home, spawn};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Resolves in a coroutine that gives up after `patience`; and how long it took.
    fn resolve(names: &Arc<Names>, host: &'static str, patience: Duration) -> (super::Found, Duration) {
        let (tell, told) = mpsc::channel();
        let (names, home, began) = (Arc::clone(names), Home::get(0), Instant::now());
        spawn(home, move || {
            let found = names.resolve(home, host, &mut || {
                if began.elapsed() > patience { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok(()) }
            });
            tell.send((found, began.elapsed())).unwrap();
        });
        told.recv_timeout(Duration::from_secs(20)).expect("the coroutine did not end")
    }

    /// Makes an answer that was found older.
    fn age(names: &Names, host: &str, by: Duration) {
        let _ = names.begin(host, Instant::now());
        let mut known = names.known.lock().unwrap();
        let (_, at) = known.get_mut(host).unwrap().found.as_mut().unwrap();
        *at = at.checked_sub(by).unwrap();
    }

    /// Finds one address at once, and hangs in every later lookup.
    fn hanging() -> (Arc<Names>, Arc<AtomicUsize>) {
        let lookups = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&lookups);
        let names = Names::new(move |_| {
            if counted.fetch_add(1, Ordering::Relaxed) > 0 {
                hang(Duration::from_secs(4));
            }
            Ok(vec![ip("192.0.2.1")])
        });
        (Arc::new(names), lookups)
    }

    #[allow(clippy::disallowed_methods)] // A helper thread, not a coroutine.
    fn hang(time: Duration) {
        std::thread::sleep(time);
    }

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn a_stale_name_is_served_at_once_while_one_lookup_hangs_behind_it() {
        let (names, lookups) = hanging();
        assert_eq!(resolve(&names, "a", LONG).0, Ok(vec![ip("192.0.2.1")]));
        age(&names, "a", DNS_TTL);
        for _ in 0..8 {
            let (found, took) = resolve(&names, "a", LONG);
            assert_eq!(found, Ok(vec![ip("192.0.2.1")]));
            assert!(took < Duration::from_secs(1), "{took:?}");
        }
        // The helpers may be busy with what other tests let hang.
        let begun = Instant::now();
        while lookups.load(Ordering::Relaxed) < 2 && begun.elapsed() < LONG {
            hang(Duration::from_millis(5));
        }
        assert_eq!(lookups.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_very_old_name_is_looked_up_first_and_used_when_that_hangs() {
        let (names, _) = hanging();
        resolve(&names, "a", LONG).0.unwrap();
        age(&names, "a", DNS_TTL + DNS_STALE);
        let (found, took) = resolve(&names, "a", LONG);
        assert_eq!(found, Ok(vec![ip("192.0.2.1")]));
        assert!(took >= DNS_PATIENCE && took < DNS_PATIENCE * 2, "{took:?}");
    }

    #[test]
    fn many_who_ask_for_one_name_wait_for_one_lookup() {
        let lookups = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&lookups);
        let names = Arc::new(Names::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            hang(Duration::from_millis(300));
            Err("no such name".to_owned())
        }));
        let (tell, told) = mpsc::channel();
        for n in 0..16 {
            let (names, tell, home) = (Arc::clone(&names), tell.clone(), Home::get(n));
            spawn(home, move || tell.send(names.resolve(home, "a", &mut || Ok(()))).unwrap());
        }
        for _ in 0..16 {
            assert_eq!(told.recv_timeout(LONG).unwrap(), Err("no such name".to_owned()));
        }
        assert_eq!(lookups.load(Ordering::Relaxed), 1);
        // A failure is not kept.
        resolve(&names, "a", LONG).0.unwrap_err();
        assert_eq!(lookups.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn who_gives_up_does_not_wait_for_the_lookup() {
        let (names, lookups) = hanging();
        lookups.store(1, Ordering::Relaxed);
        let (found, took) = resolve(&names, "a", Duration::from_millis(100));
        assert!(found.unwrap_err().contains("in time"));
        assert!(took < Duration::from_secs(2), "{took:?}");
    }

    #[test]
    fn one_family_does_not_hide_the_other() {
        let all = ["2001:db8::1", "2001:db8::2", "2001:db8::1", "2001:db8::3", "2001:db8::4", "192.0.2.1"];
        let expected = ["2001:db8::1", "192.0.2.1", "2001:db8::2", "2001:db8::3"];
        assert_eq!(chosen(&all.map(ip)), expected.map(ip));
        let all = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
        assert_eq!(chosen(&all.map(ip)), ["192.0.2.1", "2001:db8::1", "192.0.2.2"].map(ip));
        assert_eq!(chosen(&[]), Vec::<IpAddr>::new());
    }
}
