//! Which certificates are believed: the Web's roots, the system's, and an extra file.
//!
//! The extra file is read when a configuration is loaded, so that a reload tells a changed one. The TLS configuration is
//! made when the first connection needs it, on a helper thread, once for all that wait for it: reading the system's store
//! takes milliseconds, and a gateway to plain upstreams never needs it. A failure is never kept.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::limits::TICK;
use crate::runtime::Home;
use crate::runtime::home::{NoAnswer, Pending};
use crate::runtime::line::OnTick;

/// A TLS configuration that is made at its first use. Two are equal if they name the same file with the same content.
#[derive(Debug)]
pub struct Trust {
    ca_file: Option<Extra>,
    made: OnceLock<Arc<ClientConfig>>,
    loading: Mutex<Option<Arc<Pending<Loaded>>>>,
}

/// The extra file as it was when it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Extra {
    path: PathBuf,
    /// `None`: it could not be read.
    pem: Option<Vec<u8>>,
}

type Loaded = Result<Arc<ClientConfig>, String>;

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.ca_file == other.ca_file
    }
}

impl Trust {
    /// The trust that belongs to an extra file (or to none). Reads that file, and nothing else yet.
    pub fn new(ca_file: Option<&Path>) -> Self {
        let ca_file = ca_file.map(|path| Extra { path: path.to_path_buf(), pem: std::fs::read(path).ok() });
        Self { ca_file, made: OnceLock::new(), loading: Mutex::default() }
    }

    /// The configuration. The error says what is wrong with the extra file.
    pub fn config(&self, home: &'static Home, on_tick: OnTick<'_>) -> Loaded {
        if let Some(made) = self.made.get() {
            return Ok(Arc::clone(made));
        }
        let loaded = self.loading().and_then(|loading| loading.wait(home, TICK, on_tick));
        match loaded {
            Ok(loaded) => loaded.map(|made| Arc::clone(self.made.get_or_init(|| made))),
            Err(NoAnswer) => Err("the certificate store could not be read in time".to_owned()),
        }
    }

    /// The loading that is under way, or a new one.
    fn loading(&self) -> Result<Arc<Pending<Loaded>>, NoAnswer> {
        let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loading) = loading.as_ref().filter(|loading| loading.answer().is_none()) {
            return Ok(Arc::clone(loading));
        }
        let ca_file = self.ca_file.clone();
        let started = Pending::start(move || load(ca_file.as_ref()))?;
        *loading = Some(Arc::clone(&started));
        Ok(started)
    }
}

fn load(ca_file: Option<&Extra>) -> Loaded {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(extra) = ca_file {
        let named = |error: String| format!("ca_file {}: {error}", extra.path.display());
        let certificates = extra.pem.as_deref().map_or(Err(String::new()), certificates);
        // One that was bad may have been mended since.
        let certificates = certificates.or_else(|_| {
            let pem = std::fs::read(&extra.path).map_err(|error| super::describe(&error))?;
            self::certificates(&pem)
        });
        let (added, _) = roots.add_parsable_certificates(certificates.map_err(named)?);
        if added == 0 {
            return Err(named("no certificate in it".to_owned()));
        }
    }
    // Broken certificates in a system's store are common; the good ones count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err("no certificate in it".to_owned()),
        Ok(all) => Ok(all),
        Err(error) => Err(error.to_string()),
    }
}
