//! Which certificates are believed: the Web's roots, the system's, and an extra file.
//!
//! Loaded when the first TLS connection needs them, on a helper thread, once for each extra file: reading the system's
//! store takes milliseconds, and a gateway to plain upstreams never needs it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::runtime::{Home, home};

/// A TLS configuration that is made at its first use.
#[derive(Debug)]
pub struct Trust {
    ca_file: Option<PathBuf>,
    made: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Trust {
    /// The configuration. The error says what is wrong with the extra file.
    pub fn config(
        self: &Arc<Self>,
        home: &'static Home,
        deadline: Instant,
    ) -> Result<Arc<ClientConfig>, String> {
        if self.made.get().is_none() {
            let this = Arc::clone(self);
            home::call(home, deadline, move || {
                this.made.get_or_init(|| load(this.ca_file.as_deref()));
            })
            .map_err(|_| "the certificate store could not be read in time".to_owned())?;
        }
        self.made.get().cloned().unwrap_or_else(|| Err("no certificate store".to_owned()))
    }
}

/// The trust that belongs to an extra file (or to none), shared by all origins that name it.
pub fn of(ca_file: Option<&Path>) -> Arc<Trust> {
    static ALL: OnceLock<Mutex<HashMap<Option<PathBuf>, Arc<Trust>>>> = OnceLock::new();
    let mut all = ALL.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let ca_file = ca_file.map(Path::to_path_buf);
    let made =
        all.entry(ca_file.clone()).or_insert_with(|| Arc::new(Trust { ca_file, made: OnceLock::new() }));
    Arc::clone(made)
}

fn load(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    // Broken certificates in a system's store are common; the good ones count.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let extra = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| format!("ca_file {}: {error}", path.display()))?;
        let (added, _) = roots.add_parsable_certificates(extra);
        if added == 0 {
            return Err(format!("ca_file {}: no certificate in it", path.display()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
