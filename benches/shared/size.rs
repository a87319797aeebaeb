//! How large the pool of a bench is.

/// Returns how many domains are asked for by `MXPOOL_BENCH_DOMAINS`, 100 000 by default; `None` where
/// nothing is to be measured.
pub(crate) fn asked() -> Option<usize> {
    // `cargo test --all-targets` and `cargo bench -- --list` ask for nothing to be measured.
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return None;
    }
    let size = std::env::var("MXPOOL_BENCH_DOMAINS").ok();
    Some(size.and_then(|size| size.parse().ok()).unwrap_or(100_000))
}
