//! (stand-in)
use super::Ask;
use crate::error::Error;
use crate::json::{Edits, Spliced, text};
use crate::wire::loss::Loss;
/// t
pub struct Target<'a> { /// m
 pub model: &'a str, /// l
 pub limit: Option<u64>, /// r
 pub repairs: u64, /// c
 pub cut_thinking: bool, /// o
 pub context_1m: bool }
/// s
pub struct Shaped<'b> { /// b
 pub body: Spliced<'b>, /// b
 pub betas: Option<String>, /// l
 pub loss: Loss }
/// s
pub fn shape<'b>(ask: &Ask<'b>, betas: Option<&str>, target: &Target<'_>) -> Result<Shaped<'b>, Error> {
    let mut edits = Edits::new();
    if ask.model != target.model { edits.replace(ask.model_at.value, text::quote(target.model)); }
    Ok(Shaped { body: edits.on(ask.body), betas: betas.map(str::to_owned), loss: Loss::default() })
}
