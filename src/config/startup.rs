//! Providers without a file: from the environment, and where nothing is set the bundled mock.
//!
//! Also what a provider takes from its type or the environment when its fields are silent: its own address, the name of
//! its key's variable, the proxy.

use super::env::Env;
use super::read;
use super::secret::Secret;
use super::snapshot::{
    Account, Affinity, Base, Credential, Kind, Models, Provider, Proxy, Snapshot, Timeouts,
};
use super::{fields, url};

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

/// One account of what the environment names, with what has to be told.
pub fn account(env: &dyn Env, timeouts: &Timeouts) -> (Account, Vec<String>) {
    let mut warnings = Vec::new();
    let mut providers = Vec::new();
    for kind in [Kind::Anthropic, Kind::OpenAi, Kind::Gemini] {
        let name = variable(kind);
        let Some(key) = env.var(name).filter(|k| !k.trim().is_empty()) else { continue };
        let provider = keyed(kind, key.trim(), timeouts, env, &mut warnings);
        if !provider.served {
            let word = kind.word();
            warnings.push(format!(
                "{name} is set, but type `{word}` is not served yet by this version: it gets no requests"
            ));
        }
        providers.push(provider);
    }
    for name in LATER.iter().filter(|n| env.var(n).is_some_and(|v| !v.trim().is_empty())) {
        warnings
            .push(format!("{name} is set, but its type is not built yet in this version: it is left out"));
    }
    if !providers.iter().any(|p| p.served) {
        warnings.push(if providers.is_empty() {
            "no provider is configured: the bundled mock answers".to_owned()
        } else {
            "no provider of the environment is served yet: the bundled mock answers".to_owned()
        });
        providers.push(blank(Kind::Mock, timeouts));
    }
    read::shares(&mut providers);
    (Account { id: ACCOUNT.to_owned(), providers }, warnings)
}

fn keyed(kind: Kind, key: &str, timeouts: &Timeouts, env: &dyn Env, warnings: &mut Vec<String>) -> Provider {
    let mut provider = blank(kind, timeouts);
    let secret = Secret::new(key);
    provider.credentials =
        vec![Credential { id: "default".to_owned(), secret, weight: 1.0, models: Vec::new() }];
    provider.standby = kind != Kind::Anthropic;
    provider.proxy = env_proxy(env, &provider.base).unwrap_or_else(|warning| {
        warnings.push(warning);
        None
    });
    provider
}

fn blank(kind: Kind, timeouts: &Timeouts) -> Provider {
    let id = kind.word().to_owned();
    Provider {
        stable: format!("{ACCOUNT}/{id}"),
        id,
        kind,
        served: read::served(kind),
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
    let of = fields::type_of(kind.word());
    of.and_then(|t| url::base(t.home, t.version).ok()).unwrap_or(NOWHERE)
}

/// The variable that holds a type's key by custom.
pub fn variable(kind: Kind) -> &'static str {
    match kind {
        Kind::Anthropic | Kind::AnthropicCompatible | Kind::Mock => "ANTHROPIC_API_KEY",
        Kind::OpenAi => "OPENAI_API_KEY",
        Kind::Gemini => "GEMINI_API_KEY",
    }
}

/// The proxy that the environment names for a base: for `https` beyond this machine only, less `NO_PROXY`. `Err` is a
/// warning about a proxy that cannot be used.
pub fn env_proxy(env: &dyn Env, base: &Base) -> Result<Option<Proxy>, String> {
    if !base.tls || base.host.is_empty() || url::is_loopback(&base.host) {
        return Ok(None);
    }
    let first = |names: &[&'static str]| {
        names.iter().find_map(|&n| env.var(n).filter(|v| !v.trim().is_empty()).map(|v| (n, v)))
    };
    let Some((name, text)) = first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]) else {
        return Ok(None);
    };
    if first(&["NO_PROXY", "no_proxy"]).is_some_and(|(_, list)| url::exempt(&list, &base.host, base.port)) {
        return Ok(None);
    }
    url::proxy(text.trim()).map(Some).map_err(|e| format!("{name} is not used: the URL {e}"))
}

/// Variables by which machines name providers of later versions.
const LATER: &[&str] = &[
    "OPENROUTER_API_KEY",
    "GROQ_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
    "XAI_API_KEY",
    "TOGETHER_API_KEY",
    "FIREWORKS_API_KEY",
    "CEREBRAS_API_KEY",
    "PERPLEXITY_API_KEY",
    "ZAI_API_KEY",
    "MOONSHOT_API_KEY",
];
/// The base of type `mock`: inside this process.
pub const NOWHERE: Base = Base { tls: false, host: String::new(), port: 0, path: String::new() };
/// The account where no file names one.
const ACCOUNT: &str = "default";
