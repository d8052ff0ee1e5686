//! A conversation as a Messages request.
//!
//! Placeholder.

use std::sync::Arc;

use crate::error::Error;
use crate::wire::ir::Conversation;
use crate::wire::translate::{Target, Toolbox, Written};

/// Writes a request. `tools` are the conversation's, translated ([`super::tools::write`]).
pub fn write(
    _conversation: &Conversation<'_>,
    _tools: &Arc<Toolbox>,
    _target: &Target<'_>,
) -> Result<Written, Error> {
    unimplemented!()
}
