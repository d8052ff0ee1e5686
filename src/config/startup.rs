//! Providers without a file: from the environment, and where nothing is set the bundled mock.
//!
//! Also what a provider takes from its type or the environment when its fields are silent: its own address, the proxy.
//! Which models stand in for Claude's is `stand_ins`' matter. Reads no file.

use super::env::Env;
use super::read;
use super::secret::Secret;
use super::snapshot::{
    Account, Affinity, Base, Credential, Kind, Models, Provider, Proxy, Snapshot, Timeouts,
};
use super::stand_ins::STAND_INS;
use super::url;

/// The configuration of a machine without a file.
pub fn from_env(env: &dyn Env) -> Snapshot {
    let (account, warnings) = account(env, &read::RETRY.timeouts);
    Snapshot {
        source: None,
        server: read::default_server(),
        accounts: vec![account],
        keys: Vec::new(),
        aliases: Vec::new(),
        affinity: Affinity::Session,
        retry: read::RETRY,
        budgets: Vec::new(),
        rate_limits: Vec::new(),
        log: read::LOG,
        warnings,
    }
}

/// One account of what the environment names, with what has to be told: the first provider gets everything, the others
/// are standby.
pub fn account(env: &dyn Env, timeouts: &Timeouts) -> (Account, Vec<String>) {
    let mut warnings = Vec::new();
    let named = std::iter::once((Kind::Anthropic, Models::AsAsked))
        .chain(STAND_INS.iter().map(|stand_in| (stand_in.kind, stand_in.models())));
    let mut providers: Vec<Provider> =
        named.filter_map(|(kind, models)| keyed(kind, models, timeouts, env, &mut warnings)).collect();
    for provider in providers.iter_mut().skip(1) {
        provider.standby = true;
    }
    for name in LATER.iter().filter(|name| set(env, name).is_some()) {
        warnings
            .push(format!("{name} is set, but its type is not built yet in this version: it is left out"));
    }
    if providers.is_empty() {
        warnings.push("no provider is configured: the bundled mock answers".to_owned());
        providers.push(blank(Kind::Mock, timeouts));
    }
    read::shares(&mut providers);
    (Account { id: ACCOUNT.to_owned(), providers }, warnings)
}

/// The provider whose key is set.
fn keyed(
    kind: Kind,
    models: Models,
    timeouts: &Timeouts,
    env: &dyn Env,
    warnings: &mut Vec<String>,
) -> Option<Provider> {
    let secret = Secret::new(set(env, kind.of().variable)?);
    let mut provider = blank(kind, timeouts);
    provider.models = models;
    provider.credentials =
        vec![Credential { id: "default".to_owned(), secret, weight: 1.0, models: Vec::new() }];
    if kind == Kind::OpenAi {
        openai(&mut provider, env, warnings);
    }
    provider.proxy = env_proxy(env, &provider.base).unwrap_or_else(|warning| {
        warnings.push(warning);
        None
    });
    Some(provider)
}

/// The variables that `OpenAI`'s own libraries look at.
fn openai(provider: &mut Provider, env: &dyn Env, warnings: &mut Vec<String>) {
    for (variable, name) in
        [("OPENAI_ORG_ID", "openai-organization"), ("OPENAI_PROJECT_ID", "openai-project")]
    {
        let value = set(env, variable).map(|value| (name.to_owned(), Secret::new(value)));
        provider.headers.extend(value);
    }
    match set(env, "OPENAI_BASE_URL").map(|text| url::base(&text, provider.kind.of().version)) {
        // Clients of the gateway have it so in their environment.
        Some(Ok(base)) if url::is_own(&base, read::default_server().listen, env) => {
            warnings.push("OPENAI_BASE_URL is not used: it is the gateway's own address".to_owned());
        }
        Some(Ok(base)) => {
            provider.foreign_base = base.is_elsewhere(&provider.base);
            provider.base = base;
        }
        Some(Err(e)) => warnings.push(format!("OPENAI_BASE_URL is not used: it {e}")),
        None => {}
    }
}

/// A variable that is not blank.
fn set(env: &dyn Env, name: &str) -> Option<String> {
    env.var(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn blank(kind: Kind, timeouts: &Timeouts) -> Provider {
    let id = kind.word().to_owned();
    Provider {
        stable: format!("{ACCOUNT}/{id}"),
        id,
        kind,
        enabled: true,
        weight: 1.0,
        share: 0.0,
        standby: false,
        models: Models::AsAsked,
        credentials: Vec::new(),
        base: home(kind),
        foreign_base: false,
        headers: Vec::new(),
        proxy: None,
        ca_file: None,
        timeouts: *timeouts,
        max_output_tokens: None,
        strict: false,
    }
}

/// Where a type is when no `base_url` is written.
pub fn home(kind: Kind) -> Base {
    url::base(kind.of().home, kind.of().version).unwrap_or(NOWHERE)
}

/// The proxy that the environment names for a base: for `https` beyond this machine only, less `NO_PROXY`. `Err` is a
/// warning about a proxy that cannot be used.
pub fn env_proxy(env: &dyn Env, base: &Base) -> Result<Option<Proxy>, String> {
    if !base.tls || base.host.is_empty() || url::is_loopback(&base.host) {
        return Ok(None);
    }
    let first = |names: &[&'static str]| names.iter().find_map(|&name| Some((name, set(env, name)?)));
    let Some((name, text)) = first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]) else {
        return Ok(None);
    };
    if first(&["NO_PROXY", "no_proxy"]).is_some_and(|(_, list)| url::exempt(&list, &base.host, base.port)) {
        return Ok(None);
    }
    url::proxy(&text).map(Some).map_err(|e| format!("{name} is not used: the URL {e}"))
}

/// Variables by which machines name providers of later versions.
const LATER: &[&str] = &["AZURE_OPENAI_API_KEY", "COHERE_API_KEY"];
/// The base of type `mock`: inside this process.
pub const NOWHERE: Base = Base { tls: false, host: String::new(), port: 0, path: String::new() };
/// The account where no file names one.
const ACCOUNT: &str = "default";
