//! Placeholder. To be written.

/// Placeholder.
pub fn window(_model: &str) -> Option<u64> {
    None
}
