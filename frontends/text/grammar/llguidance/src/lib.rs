//! Gathers llguidance and its C interface in one static library.
pub use llguidance::*;
