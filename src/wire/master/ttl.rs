//! TTLs with and without units.

use crate::wire::Ttl;

/// Reads seconds, plain or with units as BIND writes them: `3600`, `1h30m`, `2W`.
///
/// Returns `None` for a text that is none, or is more than a TTL can say (RFC 2181, section 8).
pub(in crate::wire) fn parse_ttl(text: &str) -> Option<Ttl> {
    let mut total: u64 = 0;
    let mut rest = text;
    if let Ok(seconds) = plain(rest) {
        return within(seconds);
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let unit = after.chars().next()?;
        let factor = match unit.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            'w' => 7 * 24 * 60 * 60,
            _ => return None,
        };
        total = total.checked_add(plain(number).ok()?.checked_mul(factor)?)?;
        rest = &after[unit.len_utf8()..];
    }
    (!text.is_empty()).then_some(())?;
    within(total)
}

/// Reads digits alone: no sign.
fn plain(text: &str) -> Result<u64, ()> {
    if !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(());
    }
    text.parse().map_err(|_| ())
}

/// Returns a TTL, if it is in range.
fn within(seconds: u64) -> Option<Ttl> {
    let seconds = u32::try_from(seconds).ok()?;
    (seconds <= Ttl::MAX.as_secs()).then(|| Ttl::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up_to_seconds() {
        for (text, seconds) in [
            ("0", 0),
            ("3600", 3600),
            ("1h30m", 5400),
            ("1W2D3H4M5S", 788_645),
            ("2147483647", 2_147_483_647),
        ] {
            assert_eq!(parse_ttl(text), Some(Ttl::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "h",
            "1h30",
            "1x",
            "-1",
            "+1",
            "2147483648",
            "99999w",
            "1é",
        ] {
            assert_eq!(parse_ttl(text), None, "{text}");
        }
    }
}
