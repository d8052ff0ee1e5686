//! Configuration: what users write (YAML) becomes what runs ([`snapshot::Snapshot`]).

pub mod pattern;
pub mod secret;
pub mod snapshot;
