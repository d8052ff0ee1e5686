//! Placeholder. To be written.

use crate::error::Error;
use crate::json::Spliced;
use crate::wire::Loss;
use crate::wire::chat::Ask;
use crate::wire::translate::Target;

/// Placeholder.
#[derive(Debug)]
pub struct Shaped<'b> {
    /// The body.
    pub body: Spliced<'b>,
    /// What was changed.
    pub loss: Loss,
}

/// Placeholder.
pub fn shape<'b>(_ask: &Ask<'b>, _target: &Target<'_>) -> Result<Shaped<'b>, Error> {
    unimplemented!()
}
