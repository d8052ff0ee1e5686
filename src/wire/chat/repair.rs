//! What can be taken out of a request that a provider refused, so that it takes the rest.
//!
//! Remembered as bits of one number. Changes no body itself.

/// The names of the top-level fields that the remembered bits say to leave out.
pub fn dropped(_bits: u64) -> impl Iterator<Item = &'static str> {
    std::iter::empty()
}
