//! A Messages request as a conversation.
//!
//! Placeholder.

use crate::error::Error;
use crate::wire::anthropic::Ask;
use crate::wire::ir::Conversation;

/// Reads a request.
pub fn read<'b>(_ask: &Ask<'b>) -> Result<Conversation<'b>, Error> {
    unimplemented!()
}
