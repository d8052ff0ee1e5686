//! Asks each provider for its list of models: whether it is there, and whether it takes its key.
//!
//! By `ureq`, one after the other, at most [`PATIENCE`] each; redirects are not followed, so that a key goes nowhere but
//! to its provider. Prints one line per key, with a status and never a body. Sends no message to a model: it costs nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Proxy, ProxyProtocol};

use crate::config::snapshot::{Credential, Kind, Provider, Snapshot};
use crate::config::{proxy_user, show_base};
use crate::upstream::provider::entry::{Auth, Entry, entry};
use crate::wire::Dialect;

/// Whether all answered.
pub(super) fn ask(snapshot: &Snapshot) -> bool {
    let mut fine = true;
    for provider in snapshot.accounts.iter().flat_map(|a| &a.providers) {
        let stable = &provider.stable;
        if !provider.enabled {
            println!("  {stable}: off, not asked");
        } else if provider.kind == Kind::Mock {
            println!("  {stable}: ok, inside this process");
        } else {
            fine &= each_key(provider);
        }
    }
    fine
}

fn each_key(provider: &Provider) -> bool {
    let stable = &provider.stable;
    let mut fine = true;
    let mut tell = |name: &str, credential: Option<&Credential>| {
        let begun = Instant::now();
        match one(provider, credential) {
            Ok(said) => println!("  {stable}{name}: ok, {said} in {} ms", begun.elapsed().as_millis()),
            Err(reason) => {
                println!("  {stable}{name}: FAILED, {reason}");
                fine = false;
            }
        }
    };
    match provider.credentials.as_slice() {
        [] => tell("", None),
        [only] => tell("", Some(only)),
        several => several.iter().for_each(|c| tell(&format!(", key {}", c.id), Some(c))),
    }
    fine
}

/// What it said, or what failed.
fn one(provider: &Provider, credential: Option<&Credential>) -> Result<String, String> {
    let sets = [Some(RootCerts::WebPki), own_roots(provider)?];
    let mut last = String::new();
    // ureq takes either the built-in authorities or given ones, while the gateway trusts both: so one after the other.
    for roots in sets.into_iter().flatten() {
        match answer(provider, credential, roots) {
            Ok(status) => return judge(provider, status),
            Err(ureq::Error::Tls(e)) => last = format!("TLS: {e}"),
            Err(ureq::Error::Rustls(e)) => last = format!("TLS: {e}"),
            Err(ureq::Error::Io(e)) if e.kind() == std::io::ErrorKind::InvalidData => {
                last = format!("TLS: {e}");
            }
            Err(e) => return Err(failure(&e, provider)),
        }
    }
    Err(last)
}

fn answer(
    provider: &Provider,
    credential: Option<&Credential>,
    roots: RootCerts,
) -> Result<u16, ureq::Error> {
    let config = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy(provider)?)
        .user_agent(concat!("pointsman/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build());
    let agent = Agent::new_with_config(config.build());
    let mut request = agent.get(format!("{}/models", show_base(&provider.base)));
    let Entry { dialect, auth, .. } = entry(provider.kind);
    let has = |name: &str| provider.headers.iter().any(|(n, _)| n == name);
    if *dialect == Dialect::Messages && !has("anthropic-version") {
        request = request.header("anthropic-version", "2023-06-01");
    }
    if let Some(key) = credential.map(|credential| credential.secret.expose()) {
        if *auth != Auth::Bearer {
            request = request.header("x-api-key", key);
        }
        if *auth != Auth::ApiKey {
            request = request.header("authorization", format!("Bearer {key}"));
        }
    }
    for (name, value) in &provider.headers {
        request = request.header(name, value.expose());
    }
    Ok(request.call()?.status().as_u16())
}

/// The snapshot's proxy and no other: it has looked at the environment already.
fn proxy(provider: &Provider) -> Result<Option<Proxy>, ureq::Error> {
    let Some(proxy) = &provider.proxy else { return Ok(None) };
    let mut builder = Proxy::builder(ProxyProtocol::Http).host(&proxy.host).port(proxy.port);
    if let Some((user, password)) = proxy_user(proxy) {
        builder = builder.username(&user).password(&password);
    }
    builder.build().map(Some)
}

/// The system's authorities and those of `ca_file`; `None` where there are none.
fn own_roots(provider: &Provider) -> Result<Option<RootCerts>, String> {
    let mut found = rustls_native_certs::load_native_certs().certs;
    if let Some(path) = &provider.ca_file {
        let more = rustls_native_certs::load_certs_from_paths(Some(path), None);
        if more.certs.is_empty() {
            return Err(format!("ca_file {} holds no certificate", path.display()));
        }
        found.extend(more.certs);
    }
    let certs: Vec<_> = found.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    Ok((!certs.is_empty()).then(|| RootCerts::Specific(Arc::new(certs))))
}

fn judge(provider: &Provider, status: u16) -> Result<String, String> {
    match status {
        200..=299 => Ok(status.to_string()),
        404 | 405 | 501 if may_list_none(provider.kind) => {
            Ok(format!("it is there but lists no models ({status})"))
        }
        401 | 403 => Err(format!("its key is refused ({status})")),
        404 => Err(format!("there is no {}/models (404); look at base_url", show_base(&provider.base))),
        429 => Ok("it is there but limits this key just now (429)".to_owned()),
        300..=399 => {
            Err(format!("it answers with a redirect ({status}), which is not followed; look at base_url"))
        }
        _ => Err(format!("it answers {status}")),
    }
}

/// Whether a server of this type may be there without a list of its models.
fn may_list_none(kind: Kind) -> bool {
    matches!(kind, Kind::AnthropicCompatible | Kind::OpenAiCompatible | Kind::Perplexity | Kind::GitHub)
}

/// In words without any part of the request.
fn failure(error: &ureq::Error, provider: &Provider) -> String {
    let place = match &provider.proxy {
        Some(proxy) => format!("proxy {}:{}", proxy.host, proxy.port),
        None => format!("{}:{}", provider.base.host, provider.base.port),
    };
    match error {
        ureq::Error::Timeout(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        ureq::Error::HostNotFound => format!("no such host: {place}"),
        ureq::Error::ConnectionFailed => format!("no connection to {place}"),
        ureq::Error::ConnectProxyFailed(_) => format!("{place} opens no connection"),
        ureq::Error::Io(e) => format!("no connection to {place}: {e}"),
        ureq::Error::Protocol(_) | ureq::Error::Http(_) => "it answers something that is no HTTP".to_owned(),
        _ => "the request could not be made".to_owned(),
    }
}

/// Longest wait for one answer, connection included.
const PATIENCE: Duration = Duration::from_secs(10);
