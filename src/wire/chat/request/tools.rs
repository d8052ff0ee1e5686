//! Lists of tools in Chat Completions, read and written.
//!
//! Placeholder.

use crate::error::Error;
use crate::wire::Loss;
use crate::wire::ir::Tool;
use crate::wire::traits::Traits;
use crate::wire::translate::Toolbox;

/// Reads a list; what cannot be read into the IR is noted.
pub fn read<'b>(_raw: &'b [u8], _loss: &mut Loss) -> Result<Vec<Tool<'b>>, Error> {
    unimplemented!()
}

/// Writes a list.
pub fn write(_tools: &[Tool<'_>], _traits: &Traits, _model: &str) -> Toolbox {
    unimplemented!()
}
