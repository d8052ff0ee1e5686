//! Placeholder. To be written.
