//! The outside as tests make it.
